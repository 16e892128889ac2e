package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_writesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := run(path); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(written)), "\n")
	if len(lines) != 3 {
		t.Fatalf("there are %d lines:\n%s", len(lines), written)
	}
	for i, want := range []string{`"msg":"started","logger":"shop","version":"1.2","port":8080}`, `"err":"card refused"}`, `"msg":"now somebody did","logger":"shop","version":"1.2"}`} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d does not end in %s: %s", i+1, want, lines[i])
		}
	}
}
