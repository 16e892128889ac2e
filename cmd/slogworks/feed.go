package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
	"github.com/slogworks/slogworks/sinks/live"
)

// source is where records come from, other than a listener.
type source interface {
	// run publishes records until ctx is done, and says once if it cannot and
	// has to try again.
	run(ctx context.Context)
	state() live.Source
}

// feed makes records of lines and publishes them.
type feed struct {
	hub     *live.Hub
	name    string // of the source
	process string // that records come from, unless they say so themselves

	// holds says that records are not published but kept in held.
	holds bool
	held  []heldRecord

	isConnected       atomic.Bool
	received, dropped atomic.Uint64
}

// heldRecord is one that is published later.
type heldRecord struct {
	record slog.Record
	from   live.Origin
	of     *feed
	at     time.Time // when it was written, or the one before it
}

// line publishes a line, unless it is blank.
func (f *feed) line(line []byte, isCut bool) {
	r, from, ok := wire.Read(line)
	if !ok {
		return
	}
	if isCut {
		r.Message += "!truncated" // what is cut elsewhere ends with that too
	}
	origin := live.Origin{Host: from.Host, Process: from.Process, PID: from.PID}
	if origin.Process == "" {
		origin.Process = f.process
	}
	if f.holds {
		at := r.Time
		if at.IsZero() && len(f.held) > 0 {
			at = f.held[len(f.held)-1].at
		}
		f.held = append(f.held, heldRecord{r, origin, f, at})
		return
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	f.publish(r, origin)
}

// publishHeld publishes what feeds have held, in the order of time.
func publishHeld(feeds []*feed) {
	var all []heldRecord
	for _, f := range feeds {
		all = append(all, f.held...)
		f.held, f.holds = nil, false
	}
	slices.SortStableFunc(all, func(a, b heldRecord) int { return a.at.Compare(b.at) })
	for _, held := range all {
		held.of.publish(held.record, held.from)
	}
}

func (f *feed) publish(r slog.Record, from live.Origin) {
	if f.hub.Publish(r, from) != nil {
		f.dropped.Add(1)
	}
	f.received.Add(1)
}

func (f *feed) state() live.Source {
	return live.Source{
		Source: f.name, Connected: f.isConnected.Load(),
		Received: f.received.Load(), Dropped: f.dropped.Load(),
	}
}

// stdinFeed publishes the lines of stdin.
type stdinFeed struct {
	feed
	in   *os.File
	tell func(error)

	mu      sync.Mutex // held while a line is published
	stopped bool
}

// line publishes a line, unless run has returned.
func (f *stdinFeed) line(line []byte, isCut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.feed.line(line, isCut)
	}
}

// run reads until the end of stdin, or until ctx is done.
func (f *stdinFeed) run(ctx context.Context) {
	f.isConnected.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := readLines(f.in, f.line)
		f.isConnected.Store(false)
		switch {
		case ctx.Err() != nil: // it was told to stop
		case err != nil:
			f.tell(err)
		default:
			f.tell(errors.New("end of stdin; the page stays until Ctrl-C"))
		}
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	// A read from a terminal or a file cannot be ended. What it returns later
	// goes nowhere, like what was never read.
	if f.in.SetReadDeadline(time.Now()) == nil {
		<-done
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
}

// readLines calls emit with each line of r.
func readLines(r io.Reader, emit func(line []byte, isCut bool)) error {
	l := lines{emit: emit}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		l.write(buf[:n])
		if err != nil {
			l.end()
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
