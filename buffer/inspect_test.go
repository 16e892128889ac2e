package buffer_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

func TestInspect_tellsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	h := open(t, s, manual(dir))
	logN(h, 3)
	s.answers(&slogworks.DeliveryError{Permanent: true, Done: []string{"a"}, Err: errDown})
	dead := h.Deliver(t.Context())
	wantOutcome(t, dead, buffer.Rejected)
	logN(h, 2)
	s.answers(&slogworks.DeliveryError{Accepted: 1, Err: errDown})
	pending := h.Deliver(t.Context())
	wantOutcome(t, pending, buffer.Partial)
	slog.New(h).Error("new")

	info, err := buffer.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Total", info.Total, 1)
	wantEqual(t, "CountAt(Error)", info.CountAt(slog.LevelError), 1)
	wantEqual(t, "Bytes", info.Bytes, h.Stats().Bytes)
	if len(info.Dead) != 1 || len(info.Pending) != 1 {
		t.Fatalf("the spool has %+v", info)
	}
	d, p := info.Dead[0], info.Pending[0]
	if d.ID != dead.BatchID || d.Records != 3 || d.Attempt != 1 || d.Err == "" || !slices.Equal(d.Done, []string{"a"}) || d.Cause != "asked for" {
		t.Errorf("dead is %+v", d)
	}
	if p.ID != pending.BatchID || p.Records != 2 || p.Accepted != 1 || p.Err == "" || !p.Next.Equal(pending.Next) {
		t.Errorf("pending is %+v, want %+v", p, pending)
	}
	// The first of the pending two is delivered.
	if d.Oldest.IsZero() || !p.Oldest.Equal(s.tried()[1].Items[1].Record.Time) || !info.Oldest.After(p.Oldest) {
		t.Errorf("the oldest are of %v, %v and %v", d.Oldest, p.Oldest, info.Oldest)
	}

	if _, err := buffer.Inspect(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
	empty := t.TempDir()
	if info, err := buffer.Inspect(empty); err != nil || info.Total != 0 {
		t.Errorf("of an empty directory: %+v, %v", info, err)
	}
	if names, _ := filepath.Glob(filepath.Join(empty, "*")); names != nil {
		t.Errorf("Inspect has made %q", names)
	}
}

func TestRequeue_hasADeadBatchTriedAgain(t *testing.T) {
	for _, running := range []bool{true, false} {
		dir := t.TempDir()
		s := newSink()
		h := open(t, s, manual(dir))
		logN(h, 3)
		s.answers(&slogworks.DeliveryError{Permanent: true, Accepted: 1, Done: []string{"a"}, Err: errDown})
		dead := h.Deliver(t.Context())
		wantOutcome(t, dead, buffer.Rejected)
		wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
		if !running {
			closed(t, h)
		}
		for _, id := range []string{"", "none", "../dead/batch-" + dead.BatchID, "a/b"} {
			if err := buffer.Requeue(dir, id); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Requeue of %q returned %v", id, err)
			}
		}
		if err := buffer.Requeue(dir, dead.BatchID); err != nil {
			t.Fatal(err)
		}
		if err := buffer.Requeue(dir, dead.BatchID); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Requeue, called again, returned %v", err)
		}
		s.answers(nil)
		if !running {
			h = open(t, s, manual(dir))
		}
		o := h.Evaluate(t.Context())
		wantOutcome(t, o, buffer.Sent)
		b := s.tried()[1]
		if b.ID != dead.BatchID || b.Attempt != 1 || !slices.Equal(b.Done, []string{"a"}) {
			t.Errorf("tried again was %+v", b)
		}
		wantMessages(t, messages(b.Items), "1", "2")
		info, err := buffer.Inspect(dir)
		if err != nil || len(info.Dead)+len(info.Pending)+info.Total > 0 {
			t.Errorf("left is %+v, %v", info, err)
		}
		wantBalance(t, h)
	}
}

// A requeued batch does not wait behind another one that does.
func TestRequeue_passesABatchThatWaits(t *testing.T) {
	dir := t.TempDir()
	s, opts := newSink(), manual(dir)
	opts.Retry = slogworks.Backoff{Min: time.Hour, Max: time.Hour}
	h := open(t, s, opts)
	logN(h, 1)
	s.answers(&slogworks.DeliveryError{Permanent: true})
	dead := h.Deliver(t.Context())
	logN(h, 2)
	s.answers(errDown)
	waits := h.Deliver(t.Context())
	wantOutcome(t, waits, buffer.Failed)
	if err := buffer.Requeue(dir, dead.BatchID); err != nil {
		t.Fatal(err)
	}
	s.answers(nil)
	o := h.Evaluate(t.Context())
	wantOutcome(t, o, buffer.Sent)
	wantEqual(t, "ID", o.BatchID, dead.BatchID)
	o = h.Evaluate(t.Context())
	wantOutcome(t, o, buffer.Kept)
	wantEqual(t, "ID", o.BatchID, waits.BatchID)
}

// Of several that move a batch back, one does, and the batch keeps its state.
func TestRequeue_isSafeForConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	s.answers(&slogworks.DeliveryError{Permanent: true, Done: []string{"a"}, Err: errDown})
	h := open(t, s, manual(dir))
	logN(h, 1)
	for range 100 {
		id := h.Deliver(t.Context()).BatchID
		results := make(chan error)
		for range 4 {
			go func() { results <- buffer.Requeue(dir, id) }()
		}
		moved := 0
		for range 4 {
			if err := <-results; err == nil {
				moved++
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
		wantEqual(t, "Requeue returned nil", moved, 1)
		info, err := buffer.Inspect(dir)
		if err != nil || len(info.Pending) != 1 || !slices.Equal(info.Pending[0].Done, []string{"a"}) {
			t.Fatalf("the spool has %+v, %v", info, err)
		}
	}
}

// A batch that cannot be moved to the dead ones keeps who has it.
func TestDeliver_keepsTheStateOfABatchThatCannotBeMoved(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	opts := manual(dir)
	h := open(t, s, opts)
	logN(h, 3)
	s.answers(errDown)
	id := h.Deliver(t.Context()).BatchID
	if err := os.MkdirAll(filepath.Join(dir, "dead", "batch-"+id), 0o700); err != nil {
		t.Fatal(err)
	}
	s.answers(&slogworks.DeliveryError{Permanent: true, Accepted: 1, Done: []string{"a"}, Err: errDown})
	o := h.Deliver(t.Context())
	if wantOutcome(t, o, buffer.Rejected); !errors.Is(o.Err, errDown) || !strings.Contains(o.Err.Error(), "dead") {
		t.Errorf("the error is %v", o.Err)
	}
	closed(t, h)
	s.answers(nil)
	wantOutcome(t, open(t, s, opts).Deliver(t.Context()), buffer.Sent)
	b := s.tried()[2]
	if wantMessages(t, messages(b.Items), "1", "2"); !slices.Equal(b.Done, []string{"a"}) {
		t.Errorf("tried again was %+v", b)
	}
}

func TestInspect_hasTheBeginningOfALongError(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	s.answers(errors.New(strings.Repeat("x", 1<<20)))
	h := open(t, s, manual(dir))
	logN(h, 1)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Failed)
	info, err := buffer.Inspect(dir)
	if err != nil || len(info.Pending) != 1 || len(info.Pending[0].Err) != 4<<10 {
		t.Errorf("the spool has %d batches, %v", len(info.Pending), err)
	}
}
