//go:build unix

package config_test

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slogworks/slogworks/config"
)

// To open a pipe waits until somebody writes to it, and Shutdown would wait too.
func TestOpen_refusesAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	if _, err := config.Open(context.Background(), pipe, nil); err == nil || err.Error() != pipe+": is a pipe and has to be a file" {
		t.Errorf("got %v", err)
	}
	d := parse(t, with("h: {kind: socket, address: 'tcp://127.0.0.1:1', token_file: '"+pipe+"'}"))
	if _, err := d.Build(t.Context()); err == nil || !strings.HasSuffix(err.Error(), pipe+": is a pipe and has to be a file") {
		t.Errorf("got %v", err)
	}
}

func TestSecret_saysThatItsFileIsADirectory(t *testing.T) {
	d := parse(t, with("h: {kind: socket, address: 'tcp://127.0.0.1:1', token_file: '"+t.TempDir()+"'}"))
	if _, err := d.Build(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
}
