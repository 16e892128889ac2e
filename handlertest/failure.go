package handlertest

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"sync"

	"github.com/slogworks/slogworks"
)

var failureRules = []rule{
	{"an error of next is returned or counted", true, visibleErrors},
	{"a DeliveryError of next is passed on unchanged or not at all", true, deliveryErrors},
	{"the handler does not log through slog or log", false, silent},
	{"a failure of next is not logged through slog or log", true, silentFailure},
}

var errRefused = errors.New("next refused the record")

// refusing is a Recorder that refuses for good, so that nobody tries again.
func refusing() *Recorder {
	return &Recorder{Before: func(context.Context, slogworks.Batch) error {
		return &slogworks.DeliveryError{Permanent: true, Err: errRefused}
	}}
}

func visibleErrors(c *check) {
	h := c.wrap(c.next(refusing()))
	const n = 3
	visible := uint64(0)
	for range n {
		if err := c.handleError(h, context.Background(), record("refused")); err != nil {
			visible++
		}
	}
	c.end(h)
	for _, account := range slogworks.Books(h) {
		visible += dropped(account)
	}
	if visible < n {
		c.Errorf("next failed %d times, and %d of that could be seen: return the error from Handle or, if Handle has returned before, count the record as dropped in a method Account() slogworks.Account", n, visible)
	}
}

func dropped(account slogworks.Account) (sum uint64) {
	for _, n := range account.Dropped {
		sum += n
	}
	return sum
}

func deliveryErrors(c *check) {
	given := &slogworks.DeliveryError{Accepted: 2, Permanent: true, Err: errRefused}
	rec := &Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		if len(b.Items) == 1 {
			return &slogworks.DeliveryError{Permanent: true, Err: errRefused}
		}
		return given
	}}
	h := c.wrap(c.next(rec))
	// What a stage makes of an error is its matter, as long as it does not panic.
	_ = c.handleError(h, context.Background(), record("refused"))
	batches, ok := h.(slogworks.BatchHandler)
	if !ok {
		return
	}
	err := c.handleBatchError(batches, sampleBatch())
	if got, ok := err.(*slogworks.DeliveryError); ok && c.takesBatches {
		if got.Accepted != given.Accepted || got.Permanent != given.Permanent || got.After != given.After || got.Uncertain != given.Uncertain {
			c.Errorf("next returned the DeliveryError %+v for a batch, and HandleBatch %+v: whoever tries again reads it as being about its own items", *given, *got)
		}
	}
}

func silent(c *check) {
	c.listen(func() {
		s := c.subject()
		for _, v := range variants(s.handler) {
			c.handle(v.handler, context.Background(), record("handled", attr("k", "v")))
		}
		s.arrived()
		// After Shutdown some complain.
		_ = c.handleError(s.handler, context.Background(), record("late"))
	})
}

func silentFailure(c *check) {
	c.listen(func() {
		h := c.wrap(c.next(refusing()))
		for _, v := range variants(h) {
			_ = c.handleError(v.handler, context.Background(), record("refused", attr("k", "v")))
		}
		c.end(h)
	})
}

// listen complains about what is logged through the defaults while f runs.
func (c *check) listen(f func()) {
	logger, output, flags, prefix := slog.Default(), log.Writer(), log.Flags(), log.Prefix()
	defer func() {
		// SetDefault redirects package log, so it comes first.
		slog.SetDefault(logger)
		log.SetOutput(output)
		log.SetFlags(flags)
		log.SetPrefix(prefix)
	}()
	var overheard lockedBuffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&overheard, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.SetOutput(&overheard)
	f()
	if text := overheard.String(); text != "" {
		c.Errorf("the handler logged through slog.Default or package log, which deadlocks or never ends where the handler is the default one: return errors, or report them to a callback or os.Stderr; it wrote\n%s", text)
	}
}

// lockedBuffer is written to by whoever logs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
