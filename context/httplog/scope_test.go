package httplog_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/sinks/memory"
)

// scoped serves one request in a scope, in which next logs as it likes, and
// returns the messages that were written in the end.
func scoped(t *testing.T, crossed *fingerscrossed.Options, opts httplog.Options, target string, next func(w http.ResponseWriter, r *http.Request, l *slog.Logger)) []string {
	t.Helper()
	logs := memory.New(nil)
	scopes := fingerscrossed.New(logs, crossed)
	logger := slog.New(slogctx.New(scopes, nil))
	opts.Logger, opts.Scopes = logger, scopes
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next(w, r, logger) }), &opts)
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), get(target))
	}()

	if s := scopes.Stats(); s.Held != 0 {
		t.Errorf("the scope was not ended: %+v", s)
	}
	var messages []string
	ids := map[string]bool{}
	for v := range logs.Records() {
		messages = append(messages, v.Message())
		ids[text(v, "request_id")] = true
	}
	if len(ids) > 1 {
		t.Errorf("the records of one request have the ids %v", ids)
	}
	return messages
}

func TestHandler_tellsTheStoryOfARequestThatFails(t *testing.T) {
	story := func(status int) func(http.ResponseWriter, *http.Request, *slog.Logger) {
		return func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
			l.DebugContext(r.Context(), "debug")
			l.InfoContext(r.Context(), "info")
			w.WriteHeader(status)
		}
	}
	only500 := func(r *http.Request, status int) bool {
		return status >= 500 && status != http.StatusServiceUnavailable && r.URL.Path != "/flaky"
	}
	whole := []string{"debug", "info", access}
	without := []string{"info", access}
	tests := map[string]struct {
		crossed *fingerscrossed.Options
		opts    httplog.Options
		target  string
		next    func(http.ResponseWriter, *http.Request, *slog.Logger)
		want    []string
	}{
		"with 500":                      {nil, httplog.Options{}, "/", story(500), whole},
		"with 599":                      {nil, httplog.Options{}, "/", story(599), whole},
		"not one of 200":                {nil, httplog.Options{}, "/", story(200), without},
		"not one of 404":                {nil, httplog.Options{}, "/", story(404), without},
		"not one of an excluded status": {nil, httplog.Options{Failed: only500}, "/", story(503), without},
		"not one of an excluded path":   {nil, httplog.Options{Failed: only500}, "/flaky", story(500), without},
		"also beside the exclusions":    {nil, httplog.Options{Failed: only500}, "/", story(500), whole},
		"with another status": {nil, httplog.Options{Failed: func(_ *http.Request, status int) bool { return status == 404 }},
			"/", story(404), whole},
		"at a level that does not trigger": {nil, httplog.Options{StatusLevel: func(*http.Request, int) slog.Level { return slog.LevelInfo }},
			"/", story(500), whole},
		"at a level that is not logged": {nil, httplog.Options{StatusLevel: func(*http.Request, int) slog.Level { return slog.LevelDebug - 1 }},
			"/", story(500), []string{"debug", "info"}},
		"or is logged as if it did": {nil, httplog.Options{StatusLevel: func(*http.Request, int) slog.Level { return slog.LevelError }},
			"/", story(200), whole},
		"with an error in the log": {nil, httplog.Options{}, "/", func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
			l.DebugContext(r.Context(), "debug")
			l.ErrorContext(r.Context(), "error")
		}, []string{"debug", "error", access}},
		"with a panic": {nil, httplog.Options{Failed: only500}, "/flaky", func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
			l.DebugContext(r.Context(), "debug")
			panic("oh")
		}, []string{"debug", panicked, access}},
		"with a panic in an answer": {nil, httplog.Options{}, "/", func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
			l.DebugContext(r.Context(), "debug")
			w.WriteHeader(200)
			panic("oh")
		}, []string{"debug", panicked, access}},
		"not of one that is aborted": {nil, httplog.Options{}, "/", func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
			l.DebugContext(r.Context(), "debug")
			panic(http.ErrAbortHandler)
		}, []string{access}},
		"and that is skipped otherwise": {nil, httplog.Options{Skip: func(*http.Request) bool { return true }}, "/", story(500), whole},
		"not of one that is skipped":    {nil, httplog.Options{Skip: func(*http.Request) bool { return true }}, "/", story(200), []string{"info"}},
		"that asks for it":              {nil, httplog.Options{Debug: func(r *http.Request) bool { return r.URL.Query().Has("debug") }}, "/?debug", story(200), whole},
		"not of one that does not ask":  {nil, httplog.Options{Debug: func(r *http.Request) bool { return r.URL.Query().Has("debug") }}, "/", story(200), without},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := scoped(t, tt.crossed, tt.opts, tt.target, tt.next); !slices.Equal(got, tt.want) {
				t.Errorf("written were %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHandler_tellsTheStoryOfASlowRequest(t *testing.T) {
	for took, want := range map[time.Duration][]string{
		time.Second:     {access},
		3 * time.Second: {"debug", access},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := scoped(t, &fingerscrossed.Options{Slow: 2 * time.Second}, httplog.Options{}, "/", func(w http.ResponseWriter, r *http.Request, l *slog.Logger) {
				l.DebugContext(r.Context(), "debug")
				time.Sleep(took)
			})
			if !slices.Equal(got, want) {
				t.Errorf("written after %v were %q, want %q", took, got, want)
			}
		})
	}
}

func TestHandler_logsTheDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, logs := serve(httplog.Options{}, func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) }, get("/"))
		wantAttrs(t, logs.Message(access).One(t), map[string]string{"duration": "3s"})
	})
}

// batches keeps what is handed over as a whole, one mail for each for example.
type batches struct {
	mu  sync.Mutex
	got []slogworks.Batch
}

func (b *batches) Enabled(context.Context, slog.Level) bool      { return true }
func (b *batches) Handle(_ context.Context, r slog.Record) error { return nil }
func (b *batches) WithAttrs([]slog.Attr) slog.Handler            { return b }
func (b *batches) WithGroup(string) slog.Handler                 { return b }
func (b *batches) HandleBatch(_ context.Context, batch slogworks.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, batch)
	return nil
}

func TestHandler_escalatesTheAccessRecord(t *testing.T) {
	sink := new(batches)
	scopes := fingerscrossed.New(sink, nil)
	logger := slog.New(slogctx.New(scopes, nil))
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logger.DebugContext(r.Context(), "debug")
		w.WriteHeader(500)
	}), &httplog.Options{Logger: logger, Scopes: scopes})
	h.ServeHTTP(httptest.NewRecorder(), get("/"))

	if len(sink.got) != 1 || sink.got[0].Kind != slogworks.Escalation {
		t.Fatalf("got %+v", sink.got)
	}
	var messages []string
	for _, item := range sink.got[0].Items {
		messages = append(messages, item.Record.Message)
	}
	if strings.Join(messages, ", ") != "debug, "+access {
		t.Errorf("the batch has %q", messages)
	}
}

// broken panics when it is to log the access record.
type broken struct{ slog.Handler }

func (b broken) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == access {
		panic("broken")
	}
	return b.Handler.Handle(ctx, r)
}

func TestHandler_endsTheScopeWhateverTheLoggerDoes(t *testing.T) {
	scopes := fingerscrossed.New(memory.New(nil), nil)
	h := httplog.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		slog.New(scopes).InfoContext(r.Context(), "info")
	}), &httplog.Options{Logger: slog.New(broken{scopes}), Scopes: scopes})
	if p := call(h, newBare()); p != "broken" {
		t.Errorf("it panics with %v", p)
	}
	if s := scopes.Stats(); s.Held != 0 || s.Written != 1 {
		t.Errorf("%+v", s)
	}
}
