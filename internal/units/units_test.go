package units_test

import (
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/units"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "7B": 7, "64KiB": 64 << 10, "64kib": 64 << 10,
		"100MB": 100e6, "1GB": 1e9, "2GiB": 2 << 30,
	} {
		if got, err := units.Size(text); got != want || err != nil {
			t.Errorf("Size(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1.5MB", "10 MB", "10XB", "9223372036854775807GiB", "1e3", "10IB"} {
		if got, err := units.Size(text); err == nil {
			t.Errorf("Size(%q) = %d, want an error", text, got)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "10s": 10 * time.Second, "1h30m": 90 * time.Minute, "-1s": -time.Second,
		"7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "-1d1h": -25 * time.Hour, "0d": 0,
	} {
		if got, err := units.Duration(text); got != want || err != nil {
			t.Errorf("Duration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "10", "d", "-d", "1d-1h", "1d25h", "65536d", "1.5d", "--1d", "1dd", "ten"} {
		if got, err := units.Duration(text); err == nil {
			t.Errorf("Duration(%q) = %v, want an error", text, got)
		}
	}
}
