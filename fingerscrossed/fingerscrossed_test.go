package fingerscrossed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

var errFailed = errors.New("failed")

// plain returns a handler over a recorder that takes single records.
func plain(opts *fingerscrossed.Options) (*fingerscrossed.Handler, *slog.Logger, *handlertest.Recorder) {
	rec := new(handlertest.Recorder)
	h := fingerscrossed.New(rec.Plain(), opts)
	return h, slog.New(h), rec
}

// batched returns a handler over a recorder that takes batches.
func batched(opts *fingerscrossed.Options) (*fingerscrossed.Handler, *slog.Logger, *handlertest.Recorder) {
	rec := new(handlertest.Recorder)
	h := fingerscrossed.New(rec, opts)
	return h, slog.New(h), rec
}

// messages returns the messages that have arrived, separated by blanks.
func messages(rec *handlertest.Recorder) string {
	var all []string
	for _, item := range rec.Items() {
		all = append(all, item.Record.Message)
	}
	return strings.Join(all, " ")
}

func wantMessages(t *testing.T, rec *handlertest.Recorder, want string) {
	t.Helper()
	if got := messages(rec); got != want {
		t.Errorf("what arrived is\n%s, want\n%s", got, want)
	}
}

// wantBatches checks the batches that have arrived, as describe gives them.
func wantBatches(t *testing.T, rec *handlertest.Recorder, want ...string) {
	t.Helper()
	var got []string
	for _, b := range rec.Batches() {
		got = append(got, describe(b))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the batches are %q, want %q", got, want)
	}
}

// describe returns such as "escalation a b c, 2 dropped".
func describe(b slogworks.Batch) string {
	s := b.Kind.String()
	for _, item := range b.Items {
		s += " " + item.Record.Message
	}
	if b.Dropped > 0 {
		s += fmt.Sprintf(", %d dropped", b.Dropped)
	}
	return s
}

// wantBalanced checks what must hold whenever nothing is being logged.
func wantBalanced(t *testing.T, h *fingerscrossed.Handler) {
	t.Helper()
	s := h.Stats()
	if s.Accepted != s.Written+s.Discarded+s.Evicted+s.Failed+s.Held {
		t.Errorf("the counts do not balance: %+v", s)
	}
	if s.Held == 0 && fingerscrossed.Granted(h) != 0 {
		t.Errorf("%d bytes are granted and nothing is held", fingerscrossed.Granted(h))
	}
}

// shutDown shuts h down and checks that nothing is left.
func shutDown(t *testing.T, h *fingerscrossed.Handler) {
	t.Helper()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	wantBalanced(t, h)
	if s := h.Stats(); s.Held != 0 || fingerscrossed.InUse(h) != 0 {
		t.Errorf("after Shutdown %d buffers are in use, and the counts are %+v", fingerscrossed.InUse(h), s)
	}
	account := h.Account()
	dropped := uint64(0)
	for _, n := range account.Dropped {
		dropped += n
	}
	if account.Accepted != account.Delivered+dropped || account.Held != 0 {
		t.Errorf("after Shutdown the account is %+v", account)
	}
}

func TestHandler_writesOutsideOfScopesWhatItsLevelAllows(t *testing.T) {
	var level slog.LevelVar
	h, logger, rec := plain(&fingerscrossed.Options{Level: &level})
	logger.Debug("a")
	logger.Info("b")
	logger.Error("c")
	level.Set(slog.LevelWarn)
	logger.Info("d")
	logger.Warn("e")
	wantMessages(t, rec, "b c e")
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 3, Written: 3}); got != want {
		t.Errorf("the counts are %+v", got)
	}
	shutDown(t, h)
}

func TestHandler_isEnabledForWhatItHoldsOrWrites(t *testing.T) {
	const (
		belowDebug = slog.LevelDebug - 1
		debug      = slog.LevelDebug
		info       = slog.LevelInfo
		warn       = slog.LevelWarn
		err        = slog.LevelError
		trace      = slog.LevelDebug - 4
	)
	open := func(min slog.Level) func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
		return func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			return &handlertest.Recorder{Level: min}, nil, nil
		}
	}
	for _, test := range []struct {
		name    string
		opts    fingerscrossed.Options
		next    slog.Level // what the next handler is open at
		outside slog.Level // the lowest level that is enabled there,
		armed   slog.Level // in a scope,
		after   slog.Level // and in one that was released
	}{
		{"by default", fingerscrossed.Options{}, trace, info, debug, debug},
		{"over a next that is open at Info", fingerscrossed.Options{}, info, info, info, info},
		{"over a next that is open at Warn", fingerscrossed.Options{}, warn, warn, warn, warn},
		{"with Hold", fingerscrossed.Options{Hold: trace}, trace, info, trace, trace},
		{"with Hold above Level", fingerscrossed.Options{Hold: warn}, trace, info, info, info},
		{"with Trigger below Hold", fingerscrossed.Options{Trigger: belowDebug}, trace, info, belowDebug, belowDebug},
		{"with Level", fingerscrossed.Options{Level: warn}, trace, warn, debug, debug},
		{"with PassLevel", fingerscrossed.Options{After: fingerscrossed.PassLevel}, trace, info, debug, info},
		{"with Rearm", fingerscrossed.Options{After: fingerscrossed.Rearm}, trace, info, debug, debug},
		{"with Live", fingerscrossed.Options{Live: true}, trace, info, debug, debug},
		{"with Open, over a next that is closed", fingerscrossed.Options{Open: open(info)}, err + 1, err + 1, debug, info},
		{"with Open that fails", fingerscrossed.Options{Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			return nil, nil, errFailed
		}}, warn, warn, debug, warn},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := fingerscrossed.New(&handlertest.Recorder{Level: test.next}, &test.opts)
			ctx, s := h.Begin(t.Context())
			derived := h.WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")
			lowest := func(when string, ctx context.Context, want slog.Level) {
				t.Helper()
				for level := slog.LevelDebug - 8; level <= slog.LevelError+8; level++ {
					for _, h := range []slog.Handler{h, derived} {
						if got := h.Enabled(ctx, level); got != (level >= want) {
							t.Errorf("%s, Enabled at %v is %t", when, level, got)
						}
					}
				}
			}
			lowest("outside", t.Context(), test.outside)
			lowest("in a scope", ctx, test.armed)
			if err := h.Handle(ctx, slog.Record{Level: slog.LevelError}); err != nil {
				t.Error(err)
			}
			lowest("in a released scope", ctx, test.after)
			s.End(nil)
			lowest("in a scope that has ended", ctx, test.outside)
		})
	}
}

func TestHandler_tellsOnceOfANextThatIsNotOpenAtHold(t *testing.T) {
	var told []error
	opts := &fingerscrossed.Options{OnError: func(err error) { told = append(told, err) }}
	closed := func() slog.Handler {
		return fanout.New(
			&handlertest.Recorder{Level: slog.LevelInfo},
			fanout.AtLeast(new(handlertest.Recorder), slog.LevelWarn))
	}
	h := fingerscrossed.New(closed(), opts)
	if len(told) != 0 {
		t.Errorf("New told %v, and there may never be a scope", told)
	}
	for range 3 {
		_, s := h.Begin(t.Context())
		s.End(nil)
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "not open at DEBUG") {
		t.Errorf("three scopes over a fan-out that is open at Info told %v", told)
	}

	told = nil
	opts.Process = true
	fingerscrossed.New(closed(), opts)
	if len(told) != 1 {
		t.Errorf("a process buffer over a fan-out that is open at Info told %v", told)
	}

	told = nil
	h = fingerscrossed.New(fanout.New(closed(), new(handlertest.Recorder)), opts)
	h.Begin(t.Context())
	opts.Open = func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) { return closed(), nil, nil }
	h = fingerscrossed.New(closed(), opts)
	h.Begin(t.Context())
	if len(told) != 0 {
		t.Errorf("over a fan-out with one handler that is open, and with Open, %v was told", told)
	}
}

func TestNew_copiesTheOptions(t *testing.T) {
	opts := &fingerscrossed.Options{MaxRecords: 2}
	before := *opts
	h, logger, _ := plain(opts)
	if fmt.Sprintf("%+v", *opts) != fmt.Sprintf("%+v", before) {
		t.Errorf("New changed its options to %+v", *opts)
	}
	opts.MaxRecords, opts.Level = 100, slog.LevelError
	ctx, s := h.Begin(t.Context())
	for range 5 {
		logger.DebugContext(ctx, "debug")
	}
	if got := s.Stats(); got.Held != 2 || got.Evicted != 3 {
		t.Errorf("options that were changed after New changed the handler: %+v", got)
	}
	if !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("options that were changed after New changed the level")
	}
}

func TestNew_takesNilForTheDefaults(t *testing.T) {
	results := map[string]fingerscrossed.Stats{}
	for name, opts := range map[string]*fingerscrossed.Options{
		"nil":      nil,
		"zero":     {},
		"negative": {MaxRecords: -1, MaxBytes: -1, TotalBytes: -1, Slow: -1},
		"explicit": {
			Level: slog.LevelInfo, Hold: slog.LevelDebug, Trigger: slog.LevelError,
			After: fingerscrossed.PassAll, MaxRecords: 256, MaxBytes: 256 << 10, TotalBytes: 64 << 20,
		},
	} {
		h, logger, rec := batched(opts)
		log := func(ctx context.Context, level slog.Level, n, bytes int) {
			for range n {
				logger.Log(ctx, level, strings.Repeat("x", bytes))
			}
		}
		var end error
		for _, end = range []error{nil, errFailed} {
			ctx, s := h.Begin(t.Context())
			log(ctx, slog.LevelDebug-1, 1, 1)
			log(ctx, slog.LevelDebug, 300, 1)
			log(ctx, slog.LevelInfo, 300, 1)
			log(ctx, slog.LevelDebug, 10, 30<<10)
			s.End(&end)
			ctx, s = h.Begin(t.Context())
			log(ctx, slog.LevelDebug, 3, 1)
			log(ctx, slog.LevelWarn, 1, 1)
			log(ctx, slog.LevelError, 1, 1)
			log(ctx, slog.LevelDebug, 3, 1)
			s.End(nil)
		}
		scopes := make([]context.Context, 300) // 300 * 256 KiB is more than the total
		for i := range scopes {
			var s *fingerscrossed.Scope
			scopes[i], s = h.Begin(t.Context())
			defer s.End(nil)
			log(scopes[i], slog.LevelDebug, 8, 31<<10)
		}
		stats := h.Stats()
		stats.Held += 1000 * uint64(len(rec.Batches())) // to compare them too
		results[name] = stats
		shutDown(t, h)
	}
	for name, stats := range results {
		if stats != results["nil"] {
			t.Errorf("with %s options the counts are %+v, with nil %+v", name, stats, results["nil"])
		}
	}
	if s := results["nil"]; s.Evicted < 300 || s.Written == 0 || s.Escalations == 0 {
		t.Errorf("the test does not reach the limits: %+v", s)
	}
}

func TestNew_refusesWhatCannotWork(t *testing.T) {
	var none *slog.LevelVar
	rec := new(handlertest.Recorder)
	for want, f := range map[string]func(){
		"fingerscrossed: nil Handler":             func() { fingerscrossed.New(nil, nil) },
		"fingerscrossed: nil *slog.LevelVar":      func() { fingerscrossed.New(rec, &fingerscrossed.Options{Level: none}) },
		"fingerscrossed: nil *slog.LevelVar as":   func() { fingerscrossed.New(rec, &fingerscrossed.Options{Hold: none}) },
		"fingerscrossed: nil *slog.LevelVar as a": func() { fingerscrossed.New(rec, &fingerscrossed.Options{Trigger: none}) },
		"fingerscrossed: nil open function":       func() { fingerscrossed.Lazy(nil, nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, want) {
					t.Errorf("the panic is %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
}

func TestHandler_doesNotMindANilContext(t *testing.T) {
	h, _, rec := plain(&fingerscrossed.Options{
		When: func(ctx context.Context, _ slogworks.View) bool { return ctx.Value("no such key") != nil },
	})
	var none context.Context
	_, s := h.Begin(t.Context())
	bound := s.Logger(slog.New(h)).Handler()
	for _, h := range []slog.Handler{h, bound, bind(s, fanout.New(h))} {
		h.Enabled(none, slog.LevelInfo)
		if err := h.Handle(none, slog.NewRecord(time.Time{}, slog.LevelInfo, "a", 0)); err != nil {
			t.Error(err)
		}
	}
	if got := h.Scope(none); got != nil {
		t.Errorf("a nil context is in the scope %v", got)
	}
	s.End(nil)
	wantMessages(t, rec, "a a a")
}
