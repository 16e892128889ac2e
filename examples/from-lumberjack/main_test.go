package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_leavesAFileAndACompressedBackup(t *testing.T) {
	dir := t.TempDir()
	if err := run(filepath.Join(dir, "app.log")); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(written), "after") || strings.Contains(string(written), "before") {
		t.Errorf("the file has\n%s", written)
	}
	backups, err := filepath.Glob(filepath.Join(dir, "app-*.log.gz"))
	if err != nil || len(backups) != 1 {
		t.Errorf("the backups are %q, %v", backups, err)
	}
}
