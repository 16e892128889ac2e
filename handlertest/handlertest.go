// Package handlertest tests implementations of slog.Handler for what goes wrong
// in practice: records lost when a context is cancelled, attributes that turn
// up on somebody else's logger, values that are printed as they were later,
// errors that nobody sees, a Shutdown that leaves a goroutine behind.
//
// Use it in the tests of every handler you write: [Run] for one that passes
// records on to another, [RunSink] for one that writes them somewhere, and
// [Compose] for several that are used together. It includes testing/slogtest,
// which alone is enough to check the form of a sink's output.
//
// A run takes a fraction of a second per handler. Handle and the methods below
// are given ten seconds, then the test fails and the call is left behind. Two
// checks replace slog's default logger and the output of package log while they
// run, so Run, RunSink and Compose do not belong in parallel tests. Run them
// with the race detector: what a handler shares without a lock shows only there.
//
// Handlers may be asynchronous or hold records back. Before a check looks at
// what arrived it calls slogworks.Flush and slogworks.Shutdown, which reach
// the handlers that have the methods
//
//	Flush(context.Context) error
//	Shutdown(context.Context) error
//	Unwrap() slog.Handler            // or Unwrap() []slog.Handler
//	Account() slogworks.Account
//
// Those that have some of them, or HandleBatch, are checked for what these
// methods promise; for the others, such checks are skipped.
//
// The smallest program:
//
//	func TestHandler(t *testing.T) {
//		handlertest.Run(t, func(next slog.Handler) slog.Handler { return myhandler.New(next) })
//	}
package handlertest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"
)

// patience is how long a check waits for a call of the handler.
const patience = 10 * time.Second

// Run checks a handler that passes records on to next. Each rule is a subtest,
// and its name says what the handler must do.
//
// newHandler is called many times, and each handler is shut down at the end of
// its check. It gets a next that takes batches or one that does not, and once a
// nil and once slog's own default handler, at which it must panic. What it
// returns must be enabled from LevelInfo on if next is, have room for 200
// records and for one of a megabyte, and pass on every record that it is given,
// by Handle or by HandleBatch, with the With chain derived or folded into the
// record.
//
// A handler that drops or changes records by a rule of its own is built so that
// the rule does not apply here. Above all it must leave messages alone, since
// records are found by them: as the handler of the example leaves all those
// alone that are not loud, give yours a rule that none of these records meets,
// and test what it does to those that do beside Run. It may add attributes, but
// testing/slogtest takes one that is added to every record for a mistake, since
// it makes an empty group one that is not.
//
// Run asks for more than slog does. A nil next and slog's default handler panic
// when the handler is built; Handle passes on nothing that next is not enabled
// for, survives a nil context, and lets neither a cancelled context nor a value
// that panics cost a record; WithAttrs of nothing and WithGroup("") return the
// receiver, and an empty group name never reaches next; Enabled does not
// allocate; nothing is logged through slog or log; and next's errors are
// returned or counted.
func Run(t *testing.T, newHandler func(next slog.Handler) slog.Handler) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			r.checkWrapper(t, patience, newHandler)
		})
	}
}

// RunSink checks a handler at the end of a pipeline. Each rule is a subtest,
// and its name says what the handler must do.
//
// newSink returns a fresh handler, enabled from LevelInfo on, and a function
// that gives what the handler has written so far, one map per record with the
// keys and values that testing/slogtest wants; for lines of JSON that is
// [JSON]. It is called many times. Each handler is shut down at the end of its
// check; what else it needs to be rid of is a matter of t.Cleanup.
func RunSink(t *testing.T, newSink func(t *testing.T) (h slog.Handler, results func() []map[string]any)) {
	for _, r := range rules() {
		if r.needsNext {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			r.checkSink(t, patience, func() (slog.Handler, func() []map[string]any) { return newSink(t) })
		})
	}
}

// rules returns the rules for all handlers.
func rules() []rule {
	return slices.Concat(
		constructionRules,
		enabledRules,
		derivationRules,
		contextRules,
		recordRules,
		valueRules,
		failureRules,
		lifecycleRules,
		batchRules,
	)
}

// JSON returns a function that reads the lines of JSON in written, such as a
// *bytes.Buffer, as results for [RunSink]. It ends the test at a line that is
// not a JSON object.
func JSON(t testing.TB, written interface{ Bytes() []byte }) func() []map[string]any {
	return func() []map[string]any {
		t.Helper()
		var results []map[string]any
		for line := range bytes.Lines(written.Bytes()) {
			result, err := parse(line)
			if err != nil {
				t.Fatalf("handlertest: not a line of JSON: %v\n%s", err, line)
			}
			results = append(results, result)
		}
		return results
	}
}

func parse(line []byte) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal(line, &m)
	return m, err
}
