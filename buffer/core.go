package buffer

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// core is what derived handlers have in common.
type core struct {
	settings
	next    slogworks.BatchHandler
	printer *printer
	store   store
	life    context.Context // of the deliveries in the background
	endLife context.CancelFunc
	turn    chan struct{} // holds an element while somebody evaluates or delivers

	mu         sync.Mutex
	closed     bool          // no more records
	over       bool          // Shutdown is through
	tidied     bool          // the store is closed
	working    chan struct{} // closed when the goroutine ends; nil if there is none
	poked      bool          // there is a reason to ask the trigger
	lookAround bool          // and to see what other processes did
	timer      *time.Timer   // asks the trigger some time; nil if it is not set
	timerAt    time.Time
	notBefore  time.Time   // no look until then, because the last one was prevented
	syncTimer  *time.Timer // nil if it is not set
	syncErr    error       // of a sync that nobody waited for
	last       Outcome

	accepted uint64 // records that came by Handle and HandleBatch
	refused  uint64 // of these, after Shutdown
	failed   uint64 // of these, that could not be stored
	sent     uint64 // records delivered
	rejected uint64 // records that were given up
	unread   uint64 // records that were stored and could not be read again
	lost     uint64 // records that a Shutdown without a directory could not deliver
}

func newCore(next slogworks.BatchHandler, opts *Options) (*core, error) {
	if next == nil || isNilPointer(next) {
		panic("buffer: nil Handler")
	}
	stage.Require("buffer", next)
	c := &core{settings: settingsOf(opts), next: next, turn: make(chan struct{}, 1)}
	c.printer = newPrinter(c.Fingerprint)
	c.life, c.endLife = context.WithCancel(context.Background())
	if c.Dir == "" {
		c.store = newMemory(&c.settings)
		return c, nil
	}
	store, err := openSpool(&c.settings, c.printer, &c.mu)
	if err != nil {
		return nil, err
	}
	c.store = store
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held() > 0 {
		c.poke()
	}
	return c, nil
}

// isNilPointer recognises what New of a sink returned besides an error that
// nobody looked at.
func isNilPointer(next slogworks.BatchHandler) bool {
	v := reflect.ValueOf(next)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// buffers are for lines that are being stored.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// put stores a record that stands by itself.
func (c *core) put(r slog.Record) error {
	buf := buffers.Get().(*[]byte)
	*buf = appendLine((*buf)[:0], r, c.MaxRecordBytes)
	one := [1]entry{c.printer.entry(r, len(*buf))}
	err := c.hold(*buf, one[:], 0)
	if cap(*buf) <= 64<<10 {
		buffers.Put(buf)
	}
	return err
}

// putBatch stores the items of a batch in one piece.
func (c *core) putBatch(with *chain.Node, b slogworks.Batch) error {
	var buf []byte
	entries := make([]entry, 0, len(b.Items))
	for _, item := range b.Items {
		begin := len(buf)
		r := with.Flatten(item.Record)
		buf = appendLine(buf, r, c.MaxRecordBytes)
		entries = append(entries, c.printer.entry(r, len(buf)-begin))
	}
	return c.hold(buf, entries, b.Dropped)
}

// hold stores lines, and how many records were lost with them, and has the
// trigger asked.
func (c *core) hold(lines []byte, entries []entry, dropped int) error {
	n := uint64(len(entries))
	dropped = max(0, dropped)
	c.mu.Lock()
	c.accepted += n
	if c.closed {
		c.refused += n
		c.mu.Unlock()
		return ErrClosed
	}
	var ticket int
	var err error
	switch {
	case n > 0:
		ticket, err = c.store.append(lines, entries, dropped)
	case dropped > 0:
		err = c.store.update(func(s *spoolState) { s.Dropped += dropped })
	}
	if err != nil {
		c.failed += n
		c.mu.Unlock()
		return err
	}
	if n > 0 {
		c.poke()
		c.syncSoon()
	}
	c.mu.Unlock()
	if c.Sync == SyncAlways {
		return c.store.awaitSync(ticket)
	}
	return nil
}

// syncEvery is how long SyncInterval leaves a record to the system.
const syncEvery = time.Second

// syncSoon sets the timer of SyncInterval. The lock is held.
func (c *core) syncSoon() {
	if c.Sync != SyncInterval || c.Dir == "" || c.syncTimer != nil {
		return
	}
	c.syncTimer = time.AfterFunc(syncEvery, func() {
		c.mu.Lock()
		c.syncTimer = nil
		closed := c.closed // Shutdown syncs
		c.mu.Unlock()
		if closed {
			return
		}
		if err := c.store.sync(); err != nil {
			c.mu.Lock()
			c.syncErr = err
			c.mu.Unlock()
		}
	})
}

// flush syncs, and returns what went wrong when a timer did.
func (c *core) flush() error {
	c.mu.Lock()
	over, before := c.over, c.syncErr
	c.syncErr = nil
	c.mu.Unlock()
	if over {
		return nil
	}
	if err := c.store.sync(); err != nil {
		return err
	}
	return before
}

// Last returns the last outcome: of Evaluate, Deliver, Shutdown or the
// background. It is the zero Outcome before there is one.
func (h *Handler) Last() Outcome {
	h.core.mu.Lock()
	defer h.core.mu.Unlock()
	return h.core.last
}
