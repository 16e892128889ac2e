package main

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/sinks/memory"
)

func TestCharge_saysWhatFailed(t *testing.T) {
	t.Parallel() // each test has a handler of its own
	logs := memory.New(nil)
	if err := charge(slog.New(logs), 7, 1000); err == nil {
		t.Error("the card was not refused")
	}
	logs.Level(slog.LevelError).Message("payment failed").Attr("order", 7).Attr("amount", 1000).One(t)
}

func TestCharge_isQuietWhenItWorks(t *testing.T) {
	t.Parallel()
	logs := memory.New(nil)
	logs.FailOn(t, slog.LevelWarn) // whatever is logged at Warn and above fails the test
	if err := charge(slog.New(logs), 8, 100); err != nil {
		t.Error(err)
	}
	if !logs.InOrder("paid") {
		logs.Dump(t) // what was logged, if the test fails
		t.Error("nobody said that it was paid")
	}
}
