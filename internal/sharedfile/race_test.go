//go:build race

package sharedfile_test

const raceEnabled = true
