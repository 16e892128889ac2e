package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/slogworks/slogworks/rotate/internal/engine"
)

func write(t *testing.T, e engine.Engine, text string) {
	t.Helper()
	if n, err := e.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("wrote %d bytes of %q, %v", n, text, err)
	}
}

func has(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); string(got) != want || err != nil {
		t.Errorf("%s has %q, %v; want %q", filepath.Base(path), got, err, want)
	}
}

func TestFile_appendsAndFollowsWhatItOpened(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "app.log"), filepath.Join(dir, "app.log.1")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e engine.File
	info, err := e.Open(path, 0o600)
	if err != nil || info.Size() != 7 {
		t.Fatalf("Open returned %v, %v", info, err)
	}
	write(t, &e, "one\n")
	if err := e.Rename(path, backup); err != nil {
		t.Fatal(err)
	}
	write(t, &e, "two\n") // there is no other file yet
	if _, err := e.Open(path, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, &e, "three\n")
	if err := e.Sync(); err != nil {
		t.Error(err)
	}
	has(t, backup, "before\none\ntwo\n")
	has(t, path, "three\n")
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFile_keepsWhatIsOpenIfOpenFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	var e engine.File
	if _, err := e.Open(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(filepath.Join(dir, "none", "app.log"), 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open in no directory: %v", err)
	}
	write(t, &e, "still\n")
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	has(t, path, "still\n")
}

func TestFile_refusesWithoutAFile(t *testing.T) {
	var e engine.File
	if _, err := e.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := e.Sync(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Sync: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
