package nearest_test

import (
	"strings"
	"testing"

	"github.com/slogworks/slogworks/internal/nearest"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"queue", "queue", 0},
		{"queu", "queue", 1},   // drop
		{"queuee", "queue", 1}, // add
		{"quese", "queue", 1},  // change
		{"flie", "file", 1},    // neighbours swapped
		{"", "abc", 3},
		{"ca", "abc", 3}, // optimal string alignment, not Damerau's 2
	} {
		if got := nearest.Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestOf(t *testing.T) {
	known := []string{"console", "file", "queue"}
	for name, want := range map[string]string{
		"flie":                     "file",
		"queu":                     "queue",
		"consoel":                  "console",
		"telegraph":                "",
		"":                         "",
		strings.Repeat("a", 1<<20): "",
	} {
		if got := nearest.Of(name, known); got != want {
			t.Errorf("Of(%.20q) = %q, want %q", name, got, want)
		}
	}
	if got := nearest.Of("fi", []string{"fa", "fo"}); got != "" {
		t.Errorf("one letter of two is no slip, got %q", got)
	}
	if got := nearest.Of("cat", []string{"bat", "rat"}); got != "bat" {
		t.Errorf("of two as near, got %q, want the first", got)
	}
}
