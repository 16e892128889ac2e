package buffer_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

// smallDisk returns a directory on a file system of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("buffer-test", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("skipped: mount refused: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// A full disk costs the records that Handle returns an error for, and no other.
func TestHandler_survivesAFullDisk(t *testing.T) {
	disk := smallDisk(t)
	dir := filepath.Join(disk, "spool")
	s := newSink()
	opts := manual(dir)
	opts.Retry = slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}
	h := open(t, s, opts)
	ballast := filepath.Join(disk, "ballast")
	var accepted []string
	refused := 0
	for i := range 400 {
		switch i {
		case 60:
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
		case 200:
			// What cannot be noted is not tried, and stays.
			o := h.Deliver(t.Context())
			if o.Status != buffer.Failed || !errors.Is(o.Err, syscall.ENOSPC) {
				t.Errorf("on a full disk the outcome is %+v", o)
			}
			wantEqual(t, "attempts", len(s.tried()), 0)
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}
		r := slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprint(i), 0)
		r.AddAttrs(slog.String("pad", string(bytes.Repeat([]byte("x"), 300))))
		err := h.Handle(t.Context(), r)
		switch {
		case err == nil:
			accepted = append(accepted, r.Message)
		case errors.Is(err, syscall.ENOSPC):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if refused < 100 || len(accepted) < 200 {
		t.Errorf("%d records were accepted and %d refused", len(accepted), refused)
	}
	wantEqual(t, "Failed", h.Stats().Failed, uint64(refused))
	wantBalance(t, h)
	closed(t, h)
	h = open(t, s, opts)
	for h.Deliver(t.Context()).Status == buffer.Sent {
	}
	wantMessages(t, s.delivered(), accepted...)
	wantEqual(t, "Corrupt", h.Stats().Corrupt, 0)
	wantBalance(t, h)
}

// A batch that does not fit leaves nothing behind, what it lost before included.
func TestHandler_countsNothingOfABatchThatTheDiskRefuses(t *testing.T) {
	disk := smallDisk(t)
	s := newSink()
	opts := manual(filepath.Join(disk, "spool"))
	opts.Sync = buffer.SyncNone
	h := open(t, s, opts)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	info, err := os.Stat(ballast)
	if err == nil {
		// There is room for the state and for a part of the batch.
		err = os.Truncate(ballast, info.Size()-16<<10)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := batchOf(100, 5)
	for i := range b.Items {
		b.Items[i].Record.AddAttrs(slog.String("pad", string(bytes.Repeat([]byte("x"), 1000))))
	}
	for range 3 {
		if err := h.HandleBatch(t.Context(), b); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("on a full disk HandleBatch returned %v", err)
		}
	}
	if info, err := buffer.Inspect(opts.Dir); err != nil || info.Total != 0 || info.Dropped != 0 {
		t.Errorf("the spool has %d records and has lost %d: %v", info.Total, info.Dropped, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	o := h.Deliver(t.Context())
	wantEqual(t, "Records", o.Records, 100)
	wantEqual(t, "Dropped", o.Dropped, 5)
	wantBalance(t, h)
}
