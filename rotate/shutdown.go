package rotate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (f *File) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return f.Shutdown(ctx)
}

// Shutdown refuses further records, writes what is in the buffer and closes the
// file, whatever ctx says. Then it waits for callbacks and compressions, which
// hurry now; if ctx ends first, these end as soon as they can, the error wraps
// ctx.Err(), and the next Open goes on with what was not compressed. An error
// also says how many records of the buffer could not be written. A second
// Shutdown waits for the first and returns nil. Called by OnRotate or OnError,
// Shutdown returns an error and does nothing.
func (f *File) Shutdown(ctx context.Context) error {
	if f.worker.Load() != 0 && f.worker.Load() == goroutine() {
		return errors.New("rotate: Shutdown called by OnRotate or OnError: it would wait for itself")
	}
	f.mu.Lock()
	var err error
	if !f.closed {
		err = f.end()
	}
	working, idle := f.working, f.idle
	f.mu.Unlock()
	if !working {
		return err
	}
	select {
	case <-idle:
	case <-ctx.Done():
		select {
		case <-idle: // at the same time
			return err
		default:
		}
		f.abort.Store(true)
		err = errors.Join(err, fmt.Errorf("rotate: shutdown: %w: 0 records lost, but callbacks or compressions are left", ctx.Err()))
	}
	return err
}

// end closes the file. The lock is held.
func (f *File) end() error {
	f.closed, f.usual = true, false
	close(f.closing)
	for _, timer := range []*time.Timer{f.lookTimer, f.flushTimer, f.ageing} {
		if timer != nil {
			timer.Stop()
		}
	}
	err := f.flush()
	if lost := records(f.ends, 0); lost > 0 {
		f.counts.failed += lost
		f.buf, f.ends = nil, nil
		err = fmt.Errorf("rotate: shutdown: %d records lost: %w", lost, err)
	}
	if closing := f.engine.Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("rotate: %w", closing))
	}
	return err
}

// ReopenOn calls Reopen at each of the signals, such as syscall.SIGHUP, until
// ctx or the file ends. It returns at once, and does nothing if there are no
// signals. OnError hears of a Reopen that fails.
func (f *File) ReopenOn(ctx context.Context, sig ...os.Signal) {
	if len(sig) == 0 {
		return // Notify would take that for all signals
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, sig...)
	go func() {
		defer signal.Stop(received)
		for {
			select {
			case <-received:
				_ = f.Reopen() // is reported
			case <-ctx.Done():
				return
			case <-f.closing:
				return
			}
		}
	}()
}
