//go:build race

package slogctx_test

const raceEnabled = true
