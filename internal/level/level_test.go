package level_test

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/internal/level"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"debug": -4, "Info": 0, "WARN": 4, "warning": 4, "error": 8,
		"trace": -8, "critical": 12, "FATAL": 12,
		"error+4": 12, "INFO-1": -1,
		"0": 0, "-4": -4, "+3": 3, "12": 12,
	} {
		if got, ok := level.Parse(text); !ok || got != want {
			t.Errorf("Parse(%q) = %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "verbose", "error+", "error+x", "+", "trace+1", "warning+1", "1.5", " info", "99999999999999999999", "error+99999999999999999999"} {
		if got, ok := level.Parse(text); ok || got != 0 {
			t.Errorf("Parse(%q) = %d, %v", text, got, ok)
		}
	}
	if got, ok := level.Named("8"); ok {
		t.Errorf("8 is the name of %v", got)
	}
}
