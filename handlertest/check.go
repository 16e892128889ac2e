package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
)

// reporter is the part of testing.T that a check needs, so that a test can see
// a check fail.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Cleanup(f func())
}

// A rule is one thing that a handler must do. The name says what, so that the
// name of a failed test is the complaint.
type rule struct {
	name      string
	needsNext bool // makes sense for a handler that passes records on
	check     func(c *check)
}

// check is a rule at work on one handler.
type check struct {
	reporter
	complaints   int
	patience     time.Duration
	takesBatches bool // what next is to do

	// Of these, one is set.
	newHandler func(next slog.Handler) slog.Handler
	newSink    func() (slog.Handler, func() []map[string]any)
}

// checkWrapper checks the handler over both kinds of next, since a handler may
// go another way where it can hand on batches.
func (r rule) checkWrapper(t reporter, patience time.Duration, newHandler func(slog.Handler) slog.Handler) {
	r.check(&check{reporter: t, patience: patience, newHandler: newHandler})
	if t.Failed() {
		return // it would say the same again
	}
	r.check(&check{reporter: overBatches{t}, patience: patience, newHandler: newHandler, takesBatches: true})
}

func (r rule) checkSink(t reporter, patience time.Duration, newSink func() (slog.Handler, func() []map[string]any)) {
	r.check(&check{reporter: t, patience: patience, newSink: newSink})
}

// maxComplaints ends a check that would say the same of every record.
const maxComplaints = 3

func (c *check) Errorf(format string, args ...any) {
	c.Helper()
	c.complaints++
	if c.complaints == maxComplaints {
		c.Fatalf(format, args...)
	}
	c.reporter.Errorf(format, args...)
}

type overBatches struct{ reporter }

func (t overBatches) Errorf(format string, args ...any) {
	t.Helper()
	t.reporter.Errorf("over a next that takes batches: "+format, args...)
}

func (t overBatches) Fatalf(format string, args ...any) {
	t.Helper()
	t.reporter.Fatalf("over a next that takes batches: "+format, args...)
}

// next returns rec as the next handler that is wanted.
func (c *check) next(rec *Recorder) slog.Handler {
	if c.takesBatches {
		return rec
	}
	return rec.Plain()
}

// wrap returns a handler over next that is shut down after the check.
func (c *check) wrap(next slog.Handler) slog.Handler {
	c.Helper()
	h := c.newHandler(next)
	if h == nil {
		c.Fatalf("the function that makes the handler returned nil")
	}
	c.Cleanup(func() { c.end(h) })
	return h
}

// end shuts h down whatever comes of it.
func (c *check) end(h slog.Handler) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.Background(), c.patience)
		defer cancel()
		_ = slogworks.Shutdown(ctx, h)
	}()
	select {
	case <-ended:
	case <-time.After(2 * c.patience): // a check has complained, or another will
	}
}

// subject is a handler and what came of the records it was given.
type subject struct {
	*check
	handler slog.Handler
	results func() []map[string]any
}

// subject returns a fresh handler.
func (c *check) subject() *subject {
	c.Helper()
	if c.newSink != nil {
		h, results := c.newSink()
		if h == nil || results == nil {
			c.Fatalf("the function that makes the sink returned nil")
		}
		c.Cleanup(func() { c.end(h) })
		return &subject{c, h, results}
	}
	rec := new(Recorder)
	return &subject{c, c.wrap(c.next(rec)), func() []map[string]any { return c.resultsOf(rec) }}
}

// resultsOf returns what rec has as slog.JSONHandler would print it.
func (c *check) resultsOf(rec *Recorder) []map[string]any {
	c.Helper()
	var results []map[string]any
	for _, item := range rec.Items() {
		line := asJSON(item.Record)
		result, err := parse(line)
		if err != nil {
			c.Fatalf("what arrived is not JSON after slog.JSONHandler printed it: %v\n%s", err, line)
		}
		results = append(results, result)
	}
	return results
}

// arrived ends the handler and returns what came of all records.
func (s *subject) arrived() []map[string]any {
	s.Helper()
	s.flush(s.handler)
	s.shutdown(s.handler)
	return s.results()
}

// call calls f and gives up if it panics or does not return.
func (c *check) call(what string, f func()) {
	c.Helper()
	c.callWithin(c.patience, what, f)
}

func (c *check) callWithin(limit time.Duration, what string, f func()) {
	c.Helper()
	ended := make(chan error, 1)
	go func() {
		var err error
		defer func() { ended <- err }()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%s panicked: %v\n%s", what, p, debug.Stack())
			}
		}()
		f()
	}()
	select {
	case err := <-ended:
		if err != nil {
			c.Fatalf("%v", err)
		}
	case <-time.After(limit):
		c.Fatalf("%s has not returned for %v: it must not wait for what may never come, nor for a lock that its own caller holds", what, limit)
	}
}

// handle hands r to h, which must take it.
func (c *check) handle(h slog.Handler, ctx context.Context, r slog.Record) {
	c.Helper()
	if err := c.handleError(h, ctx, r); err != nil {
		c.Errorf("Handle of %q returned %q although nothing failed", r.Message, err)
	}
}

func (c *check) handleError(h slog.Handler, ctx context.Context, r slog.Record) (err error) {
	c.Helper()
	c.call("Handle", func() { err = h.Handle(ctx, r) })
	return err
}

func (c *check) handleBatchError(h slogworks.BatchHandler, b slogworks.Batch) (err error) {
	c.Helper()
	c.call("HandleBatch", func() { err = h.HandleBatch(context.Background(), b) })
	return err
}

// flush flushes the pipeline, which must succeed.
func (c *check) flush(h slog.Handler) {
	c.Helper()
	c.verb("Flush", h, slogworks.Flush)
}

// shutdown shuts the pipeline down, which must succeed.
func (c *check) shutdown(h slog.Handler) {
	c.Helper()
	c.verb("Shutdown", h, slogworks.Shutdown)
}

func (c *check) verb(name string, h slog.Handler, verb func(context.Context, slog.Handler) error) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	var err error
	c.callWithin(2*c.patience, name, func() { err = verb(ctx, h) })
	if err != nil {
		c.Errorf("%s returned %q although nothing failed", name, err)
	}
}

// poll asks until ok, and reports whether that came true in time.
func poll(limit time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(time.Millisecond)
	}
	return true
}

// variant is a handler or one derived from it.
type variant struct {
	name    string
	handler slog.Handler
}

// variants returns h and handlers that are derived from it in each way.
func variants(h slog.Handler) []variant {
	with := h.WithAttrs([]slog.Attr{slog.String("with", "w")})
	return []variant{
		{"the handler", h},
		{"a handler derived by WithAttrs", with},
		{"a handler derived by WithGroup", h.WithGroup("group")},
		{"a handler derived by WithAttrs and WithGroup", with.WithGroup("group")},
	}
}

// record returns a record that handlers must take.
func record(message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	return r
}

// count returns how many results have the message.
func count(results []map[string]any, message string) int {
	n := 0
	for _, result := range results {
		if result[slog.MessageKey] == message {
			n++
		}
	}
	return n
}

// one returns the result with the message, of which there must be one.
func (c *check) one(results []map[string]any, message string) (result map[string]any, ok bool) {
	c.Helper()
	for _, r := range results {
		if r[slog.MessageKey] == message {
			result = r
		}
	}
	switch n := count(results, message); n {
	case 1:
		return result, true
	case 0:
		c.Errorf("record %q did not arrive; %s (after Flush and Shutdown): every record must be passed on or counted", message, whatArrived(results))
	default:
		c.Errorf("record %q arrived %d times: a record must arrive once", message, n)
	}
	return nil, false
}

// whatArrived lists the messages of the results, as far as there is room: a
// handler that changes messages has not lost the one that is missing.
func whatArrived(results []map[string]any) string {
	const (
		maxMessages = 5
		maxLength   = 60
	)
	if len(results) == 0 {
		return "what arrived: nothing"
	}
	var list []string
	for _, result := range results[:min(len(results), maxMessages)] {
		list = append(list, fmt.Sprintf("%.*q", maxLength, fmt.Sprint(result[slog.MessageKey])))
	}
	if more := len(results) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return "what arrived: " + strings.Join(list, ", ")
}

// at returns what stands at the path, nil if there is nothing.
func at(result map[string]any, path ...string) any {
	for _, group := range path[:len(path)-1] {
		result, _ = result[group].(map[string]any)
	}
	return result[path[len(path)-1]]
}

// attr is a string attribute.
func attr(key, value string) slog.Attr { return slog.String(key, value) }
