package peertest_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/internal/stage"
)

func TestReceivers_CountWhatTheHandlerDoes(t *testing.T) {
	for name, test := range map[string]struct {
		falsify func(*peertest.ReceiverStats)
		silent  bool
		ok      bool
	}{
		"that counts right":     {func(*peertest.ReceiverStats) {}, false, true},
		"that reports nothing":  {func(*peertest.ReceiverStats) {}, true, false},
		"with a wrong Written":  {func(s *peertest.ReceiverStats) { s.Written++ }, false, false},
		"with a wrong Dropped":  {func(s *peertest.ReceiverStats) { s.Dropped-- }, false, false},
		"with a wrong Ignored":  {func(s *peertest.ReceiverStats) { s.Ignored = 0 }, false, false},
		"with a wrong Received": {func(s *peertest.ReceiverStats) { s.Received++ }, false, false},
	} {
		t.Run("of a receiver "+name, func(t *testing.T) {
			var receivers peertest.Receivers = func(_ testing.TB, h slog.Handler) peertest.Receiver {
				var counts peertest.ReceiverStats
				var errs []error
				return peertest.Receiver{
					Send: func(records ...slog.Record) {
						for _, r := range records {
							if !h.Enabled(t.Context(), r.Level) {
								counts.Ignored++
							} else if err := stage.Handle(t.Context(), h, r); err != nil {
								counts.Dropped++
								if !test.silent {
									errs = append(errs, err)
								}
							} else {
								counts.Written++
							}
						}
						counts.Received = counts.Written + counts.Dropped
						test.falsify(&counts)
					},
					Stats:    func() peertest.ReceiverStats { return counts },
					Reported: func() []error { return errs },
				}
			}
			if got := failure(t, func(t testing.TB) { receivers.CountWhatTheHandlerDoes(t) }); (got == "") != test.ok {
				t.Errorf("it fails with %q", got)
			}
		})
	}
}

// fickle is a server that returns err, and closes no packet connection.
type fickle struct{ err error }

func (f fickle) Serve(l net.Listener) error       { _ = l.Close(); return f.err }
func (f fickle) ServePacket(net.PacketConn) error { return f.err }
func (f fickle) Close() error                     { return nil }

func TestIsClosedForGood(t *testing.T) {
	got := failure(t, func(t testing.TB) { peertest.IsClosedForGood(t, fickle{net.ErrClosed}, net.ErrClosed) })
	if got != "the packet connection is open: <nil>" {
		t.Errorf("it fails with %q", got)
	}
	if failure(t, func(t testing.TB) { peertest.IsClosedForGood(t, fickle{}, net.ErrClosed) }) == "" {
		t.Error("a server that goes on passes")
	}
}

func TestReturnsTheErrorOfItsListener(t *testing.T) {
	for err, ok := range map[error]bool{net.ErrClosed: true, nil: false} {
		if got := failure(t, func(t testing.TB) { peertest.ReturnsTheErrorOfItsListener(t, fickle{err}) }); (got == "") != ok {
			t.Errorf("with %v, it fails with %q", err, got)
		}
	}
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := peertest.NewBusy()
		var handling sync.WaitGroup
		returned := make(chan error, 2)
		for range 2 {
			handling.Go(func() { returned <- h.Handle(context.Background(), peertest.Record("m")) })
		}
		synctest.Wait()
		if n := h.Handling.Load(); n != 2 || len(returned) > 0 {
			t.Errorf("%d records have come, and %d have been let go", n, len(returned))
		}
		h.Free()
		handling.Wait()
		if err := <-returned; err != nil {
			t.Error(err)
		}
	})
}
