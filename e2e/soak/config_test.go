package soak_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks/config"
)

// newManaged is a branch whose document changes again and again. Its file has
// each record in the end, as the other one does.
func (r *rig) newManaged() slog.Handler {
	path := filepath.Join(r.dir, "pipeline.yaml")
	size := 0
	change := func() {
		size++
		r.writeDocument(path, fmt.Sprintf(`version: 1
handlers:
  file: {kind: file, path: %q, max_size: %dMiB, max_backups: 100000}
root: {level: debug, to: [file]}
`, filepath.Join(r.dir, "managed.log"), 2+size%3))
	}
	change()
	manager, err := config.Open(context.Background(), path, &config.ManagerOptions{RetireTimeout: 5 * time.Second})
	if err != nil {
		r.t.Fatal(err)
	}
	r.onClose(func() {
		if err := manager.Close(); err != nil {
			r.t.Errorf("manager: %v", err)
		}
	})
	r.fault("the document changes and is wrong", func() {
		for range 10 {
			change()
			if err := manager.Reload(context.Background()); err != nil {
				r.t.Errorf("reload: %v", err)
			}
		}
	}, func() {
		r.writeDocument(path, "version: 1\nhandlers: {file: {kind: flie}}\n")
		if err := manager.Reload(context.Background()); err == nil {
			r.t.Error("a wrong document was accepted")
		}
	})
	return manager.Handler()
}

func (r *rig) writeDocument(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Error(err)
	}
}
