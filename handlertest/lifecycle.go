package handlertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/pprof"
	"sync"
	"sync/atomic"

	"github.com/slogworks/slogworks"
)

var lifecycleRules = []rule{
	{"Flush and Shutdown reach next", true, verbsReachNext},
	{"Flush delivers what is not held", false, flushDelivers},
	{"Flush may be called twice", false, flushTwice},
	{"Shutdown may be called twice and at once", false, shutdownTwice},
	{"Handle after Shutdown returns an error and counts the record", false, handleAfterShutdown},
	{"Shutdown ends the handler when its context is over", false, shutdownWithoutTime},
	{"the books balance after Shutdown", false, booksBalance},
	{"Shutdown leaves no goroutine behind", false, noGoroutines},
}

type (
	flusher    interface{ Flush(context.Context) error }
	shutdowner interface{ Shutdown(context.Context) error }
	accountant interface{ Account() slogworks.Account }
)

// requireShutdown skips the check for a handler that has nothing to shut down.
func (c *check) requireShutdown(h slog.Handler) {
	c.Helper()
	if _, ok := h.(shutdowner); !ok {
		c.Skipf("%T has no method Shutdown(context.Context) error", h)
	}
}

func verbsReachNext(c *check) {
	reached := &verbs{Handler: new(Recorder)}
	h := c.wrap(reached)
	switch h.(type) {
	case flusher, shutdowner, accountant, interface{ Unwrap() slog.Handler }, interface{ Unwrap() []slog.Handler }:
	default:
		c.Skipf("%T takes no part in Flush and Shutdown, having none of their methods", h)
	}
	const remedy = "give the handler a method Unwrap() slog.Handler that returns next, derived as the handler is"
	for _, v := range variants(h) {
		before := reached.flushed.Load()
		c.flush(v.handler)
		if reached.flushed.Load() == before {
			c.Errorf("slogworks.Flush of %s does not reach next: %s", v.name, remedy)
		}
	}
	c.shutdown(h)
	if reached.shutDown.Load() == 0 {
		c.Errorf("slogworks.Shutdown does not reach next: %s", remedy)
	}
}

// verbs is a next that is to be flushed and shut down.
type verbs struct {
	slog.Handler
	root              *verbs
	flushed, shutDown atomic.Int64
}

func (v *verbs) core() *verbs {
	if v.root != nil {
		return v.root
	}
	return v
}

func (v *verbs) Unwrap() slog.Handler           { return v.Handler }
func (v *verbs) Flush(context.Context) error    { v.core().flushed.Add(1); return nil }
func (v *verbs) Shutdown(context.Context) error { v.core().shutDown.Add(1); return nil }

func (v *verbs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &verbs{Handler: v.Handler.WithAttrs(attrs), root: v.core()}
}

func (v *verbs) WithGroup(name string) slog.Handler {
	return &verbs{Handler: v.Handler.WithGroup(name), root: v.core()}
}

func flushDelivers(c *check) {
	s := c.subject()
	if _, ok := s.handler.(flusher); !ok {
		c.Skipf("%T has no method Flush(context.Context) error", s.handler)
	}
	const n = 20
	for range n {
		c.handle(s.handler, context.Background(), record("flushed"))
	}
	c.flush(s.handler)
	held := held(s.handler)
	if got := count(s.results(), "flushed"); got+int(held) != n {
		c.Errorf("of %d records, %d have arrived when Flush returns and %d are held according to Account: Flush must wait until what need not be held is delivered, and what must be held stands in Held", n, got, held)
	}
}

func flushTwice(c *check) {
	s := c.subject()
	if _, ok := s.handler.(flusher); !ok {
		c.Skipf("%T has no method Flush(context.Context) error", s.handler)
	}
	c.handle(s.handler, context.Background(), record("flushed"))
	for _, v := range variants(s.handler) {
		c.flush(v.handler)
		c.flush(v.handler)
	}
}

func shutdownTwice(c *check) {
	s := c.subject()
	c.requireShutdown(s.handler)
	all := variants(s.handler)
	for _, v := range all {
		c.handle(v.handler, context.Background(), record("before Shutdown", attr("k", "v")))
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	c.callWithin(2*c.patience, "Shutdown, called several times at once", func() {
		var wg sync.WaitGroup
		for _, v := range all {
			wg.Go(func() {
				err := slogworks.Shutdown(ctx, v.handler)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
		wg.Wait()
	})
	if err := errors.Join(errs...); err != nil {
		c.Errorf("Shutdown, called several times at once on the handler and on derived ones, returned %q: each call waits for the end and returns nil", err)
	}
	for _, v := range all {
		c.shutdown(v.handler)
		if closer, ok := v.handler.(io.Closer); ok {
			var err error
			c.call("Close after Shutdown", func() { err = closer.Close() })
			if err != nil {
				c.Errorf("Close of %s after Shutdown returned %q", v.name, err)
			}
		}
	}
	if got := count(s.results(), "before Shutdown"); got != len(all) {
		c.Errorf("of %d records logged before Shutdown, %d arrived", len(all), got)
	}
}

// handleAfterShutdown also shuts down by a derived handler, which must end them
// all.
func handleAfterShutdown(c *check) {
	for _, byDerived := range []bool{false, true} {
		s := c.subject()
		c.requireShutdown(s.handler)
		all := variants(s.handler)
		by := all[0]
		if byDerived {
			by = all[len(all)-1]
		}
		c.shutdown(by.handler)
		for _, v := range all {
			before := accountOf(s.handler)
			if err := c.handleError(v.handler, context.Background(), record("late", attr("k", "v"))); err == nil {
				c.Errorf("after Shutdown of %s, Handle of %s returns nil: it must refuse the record with an error such as ErrClosed, and all handlers derived from one must share what Shutdown ends", by.name, v.name)
				return
			}
			after := accountOf(s.handler)
			if _, ok := s.handler.(accountant); ok && (after.Accepted != before.Accepted+1 || dropped(after) != dropped(before)+1) {
				c.Errorf("Handle after Shutdown took the account from %+v to %+v: a record that is refused counts as Accepted and as Dropped", before, after)
				return
			}
		}
		if n := count(s.results(), "late"); n > 0 {
			c.Errorf("%d records that were logged after Shutdown arrived although Handle returned an error", n)
		}
	}
}

// accountOf returns the handler's own account, or a zero one.
func accountOf(h slog.Handler) slogworks.Account {
	if keeper, ok := h.(accountant); ok {
		return keeper.Account()
	}
	return slogworks.Account{}
}

func shutdownWithoutTime(c *check) {
	s := c.subject()
	c.requireShutdown(s.handler)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.handle(s.handler, context.Background(), record("just before"))
	var err error
	c.call("Shutdown with a cancelled context", func() { err = s.handler.(shutdowner).Shutdown(ctx) })
	if err != nil && !errors.Is(err, context.Canceled) {
		c.Errorf("Shutdown with a cancelled context returned %q, which does not wrap ctx.Err()", err)
	}
	if err := c.handleError(s.handler, context.Background(), record("late")); err == nil {
		c.Fatalf("after Shutdown with a cancelled context Handle returns nil: Shutdown must refuse further records and release files and goroutines whatever its context says")
	}
	var complaint string
	if !poll(c.patience, func() bool { complaint = imbalance(accountOf(s.handler)); return complaint == "" }) {
		c.Errorf("after Shutdown with a cancelled context %s: count what could not be delivered as dropped", complaint)
	}
}

func booksBalance(c *check) {
	s := c.subject()
	if _, ok := s.handler.(accountant); !ok {
		c.Skipf("%T has no method Account() slogworks.Account", s.handler)
	}
	const message = "counted"
	all := variants(s.handler)
	for _, v := range all {
		for range 5 {
			c.handle(v.handler, context.Background(), record(message, attr("k", "v")))
		}
	}
	n := uint64(5 * len(all))
	got := uint64(count(s.arrived(), message))
	for _, account := range slogworks.Books(s.handler) {
		if complaint := imbalance(account); complaint != "" {
			c.Errorf("after Shutdown %s", complaint)
		}
	}
	switch account := accountOf(s.handler); {
	case account.Accepted != n:
		c.Errorf("%d records were logged, by the handler and by derived ones, and the account says %+v: each counts as Accepted once", n, account)
	case account.Delivered != got:
		c.Errorf("%d records arrived and the account says %+v", got, account)
	}
	for _, v := range all {
		if account := accountOf(v.handler); account.Accepted != n {
			c.Errorf("%s has an account of its own, %+v: all must share that of the handler they were derived from", v.name, account)
		}
	}
}

// imbalance says what is wrong with the account of a handler that was shut
// down.
func imbalance(account slogworks.Account) string {
	switch {
	case account.Held != 0:
		return fmt.Sprintf("stage %q holds %d records", account.Stage, account.Held)
	case account.Accepted != account.Delivered+dropped(account):
		return fmt.Sprintf("the books of stage %q do not balance, Accepted is not Delivered + Dropped in %+v", account.Stage, account)
	}
	return ""
}

// noGoroutines marks the goroutines of one handler with a profiler label, which
// goroutines pass on to those they start, so that others do not count.
func noGoroutines(c *check) {
	label := fmt.Sprintf("%p", c)
	mark := func(f func(context.Context)) {
		pprof.Do(context.Background(), pprof.Labels("handlertest", label), f)
	}
	var s *subject
	if c.newHandler != nil {
		mark(func(context.Context) { s = c.subject() })
	} else {
		// What a sink's test sets up, such as a server, may last longer.
		s = c.subject()
	}
	c.requireShutdown(s.handler)
	mark(func(ctx context.Context) {
		for _, v := range variants(s.handler) {
			c.handle(v.handler, ctx, record("before Shutdown", attr("k", "v")))
		}
		c.flush(s.handler)
		c.shutdown(s.handler)
	})
	var left string
	if !poll(c.patience, func() bool { left = marked(label); return left == "" }) {
		c.Errorf("goroutines that the handler started run on after Shutdown:\n%s", left)
	}
}

// marked returns the part of the goroutine profile that has the label.
func marked(label string) string {
	var profile, found bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return ""
	}
	_, entries, _ := bytes.Cut(profile.Bytes(), []byte("\n")) // without the heading
	for entry := range bytes.SplitSeq(entries, []byte("\n\n")) {
		if bytes.Contains(entry, []byte(label)) {
			found.Write(entry)
			found.WriteByte('\n')
		}
	}
	return found.String()
}
