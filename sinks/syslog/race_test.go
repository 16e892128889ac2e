//go:build race

package syslog_test

const raceEnabled = true
