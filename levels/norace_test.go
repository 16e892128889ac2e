//go:build !race

package levels_test

const raceEnabled = false
