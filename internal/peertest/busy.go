package peertest

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
)

// Busy is a handler that holds every record until it is freed.
type Busy struct {
	Discard
	Handling atomic.Int64 // the records that have come, which does not fall
	freed    chan struct{}
}

// NewBusy returns a handler that is not free.
func NewBusy() *Busy { return &Busy{freed: make(chan struct{})} }

// Free lets go of all records, once and for good.
func (b *Busy) Free() { close(b.freed) }

// Handle waits for Free, and returns nil.
func (b *Busy) Handle(_ context.Context, r slog.Record) error {
	b.Handling.Add(1)
	<-b.freed
	runtime.KeepAlive(r)
	return nil
}
