//go:build race

package handlertest

const raceEnabled = true
