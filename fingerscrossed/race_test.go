//go:build race

package fingerscrossed_test

const raceEnabled = true
