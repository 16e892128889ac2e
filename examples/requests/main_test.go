package main

import (
	"strings"
	"testing"
)

func TestRun_tellsTheStoryOfTheRequestThatFails(t *testing.T) {
	var screen strings.Builder
	if err := run(&screen); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(screen.String()), "\n")
	want := []string{"INF http request", "DBG query", "ERR http request"}
	if len(lines) != len(want) {
		t.Fatalf("there are %d lines:\n%s", len(lines), screen.String())
	}
	for i, text := range want {
		if !strings.Contains(lines[i], text) || !strings.Contains(lines[i], "request_id=") {
			t.Errorf("line %d is not of %q: %s", i+1, text, lines[i])
		}
	}
	if !strings.Contains(lines[2], `err="the database is gone"`) {
		t.Errorf("the last line does not say what failed: %s", lines[2])
	}
}
