package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_writesWhatTheLoggersLevelsLetThrough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	var stderr strings.Builder
	if err := run(path, &stderr); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{
		"msg=connected logger=shop.db host=db1": 1,
		`msg="cannot read" logger=other`:        1,
		"nobody asked":                          0,
	} {
		if n := strings.Count(string(written), line); n != want {
			t.Errorf("%q stands in the file %d times:\n%s", line, n, written)
		}
	}
	if strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "cannot read") {
		t.Errorf("stderr has\n%s", stderr.String())
	}
}
