package httplog_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/sinks/memory"
)

var errOh = errors.New("oh no")

func explode() { panic(errOh) }

func TestHandler_answersForAHandlerThatPanics(t *testing.T) {
	logger, logs := newLogs()
	mux := http.NewServeMux()
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		for _, header := range []string{"Content-Encoding", "Cache-Control", "Etag", "Last-Modified", "X-Own"} {
			w.Header().Set(header, "own")
		}
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusEarlyHints)
		explode()
	})
	mux.HandleFunc("/fine", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "fine") })
	var complaints syncBuffer
	server := httptest.NewUnstartedServer(httplog.New(mux, &httplog.Options{Logger: logger}))
	server.Config.ErrorLog = log.New(&complaints, "", 0)
	server.Start()
	defer server.Close()

	resp, err := server.Client().Get(server.URL + "/panic")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 500 || string(body) != "Internal Server Error\n" || err != nil {
		t.Errorf("the client got %s, %q, %v", resp.Status, body, err)
	}
	for header, want := range map[string]string{"Content-Encoding": "", "Cache-Control": "", "Etag": "", "Last-Modified": "", "X-Own": "own"} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("the answer has %s %q, want %q", header, got, want)
		}
	}
	wantAttrs(t, wait(t, logs, access), map[string]string{"status": "500", "bytes": "22", "route": "/panic", "aborted": ""})
	if v := logs.Message(access).One(t); v.Level() != slog.LevelError {
		t.Errorf("the access record has the level %v", v.Level())
	}
	v := logs.Message(panicked).One(t)
	wantAttrs(t, v, map[string]string{"panic": "oh no", "path": "/panic", "request_id": resp.Header.Get("X-Request-Id")})
	if v.Level() != slog.LevelError {
		t.Errorf("the panic has the level %v", v.Level())
	}
	if stack := text(v, "stack"); !strings.Contains(stack, "httplog_test.explode") {
		t.Errorf("the stack is %s", stack)
	}
	if source := v.Source(); source == nil || !strings.HasSuffix(source.Function, "httplog_test.explode") {
		t.Errorf("the source of the panic is %v", source)
	}
	if complaints.String() != "" {
		t.Errorf("the server complains: %s", &complaints)
	}
}

// The next request comes by the same connection.
func TestHandler_keepsTheConnectionOfAPanicThatItAnswered(t *testing.T) {
	logger, _ := newLogs()
	remotes := map[string]bool{}
	server := newServer(t, httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		explode()
	}), &httplog.Options{Logger: logger}))
	for range 3 {
		resp, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections", len(remotes))
	}
}

// explodes is a source of a body that fails badly after some bytes.
type explodes struct{ io.Reader }

func (e explodes) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		explode()
	}
	return n, err
}

func TestHandler_cutsAnAnswerThatAPanicInterrupts(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"after the body was begun": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half of ")
			_ = http.NewResponseController(w).Flush()
			explode()
		},
		"after the header": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			explode()
		},
		"after a flush": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			explode()
		},
		"while the body is copied": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, explodes{strings.NewReader(strings.Repeat("x", 4096))})
		},
	}
	for name, next := range tests {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", name, http2), func(t *testing.T) {
				logger, logs := newLogs()
				var complaints syncBuffer
				server := httptest.NewUnstartedServer(httplog.New(next, &httplog.Options{Logger: logger}))
				server.EnableHTTP2 = http2
				server.Config.ErrorLog = log.New(&complaints, "", 0)
				server.StartTLS()
				defer server.Close()
				resp, err := server.Client().Get(server.URL)
				if err == nil {
					if resp.StatusCode != 200 {
						t.Errorf("the client got %s", resp.Status)
					}
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					t.Error("the client takes the answer for complete")
				}
				v := wait(t, logs, access)
				wantAttrs(t, v, map[string]string{"status": "200", "aborted": ""})
				if v.Level() != slog.LevelError || logs.Message(panicked).Len() != 1 {
					t.Errorf("level %v, %d panics logged", v.Level(), logs.Message(panicked).Len())
				}
				if complaints.String() != "" {
					t.Errorf("the server complains: %s", &complaints)
				}
			})
		}
	}
}

// call returns what serving a request panics with.
func call(h http.Handler, w http.ResponseWriter) (p any) {
	defer func() { p = recover() }()
	h.ServeHTTP(w, get("/"))
	return nil
}

func TestHandler_leavesAHijackedConnectionAloneInAPanic(t *testing.T) {
	logger, logs := newLogs()
	b := newBare()
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
			t.Error(err)
		}
		explode()
	}), &httplog.Options{Logger: logger})
	p := call(h, struct {
		bare
		hijacks
	}{b, hijacks{b}})
	if p != http.ErrAbortHandler {
		t.Errorf("it panics with %v", p)
	}
	if !slices.Equal(*b.calls, []string{"Hijack"}) {
		t.Errorf("the server's writer was asked for %q", *b.calls)
	}
	v := logs.Message(access).One(t)
	wantAttrs(t, v, map[string]string{"status": "101", "bytes": "0", "aborted": ""})
	if v.Level() != slog.LevelError || logs.Message(panicked).Len() != 1 {
		t.Errorf("level %v, %d panics logged", v.Level(), logs.Message(panicked).Len())
	}
}

func TestHandler_passesAbortionsOn(t *testing.T) {
	tests := map[string]struct {
		next   http.HandlerFunc
		status string
		level  slog.Level
	}{
		"without an answer":  {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "0", slog.LevelInfo},
		"of an answer":       {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "abc"); panic(http.ErrAbortHandler) }, "200", slog.LevelInfo},
		"of a failed answer": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502); panic(http.ErrAbortHandler) }, "502", slog.LevelError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			logger, logs := newLogs()
			b := newBare()
			if p := call(httplog.New(tt.next, &httplog.Options{Logger: logger}), b); p != http.ErrAbortHandler {
				t.Errorf("it panics with %v", p)
			}
			v := logs.Message(access).One(t)
			wantAttrs(t, v, map[string]string{"status": tt.status, "aborted": "true"})
			if v.Level() != tt.level || logs.Message(panicked).Len() != 0 {
				t.Errorf("level %v, %d panics logged", v.Level(), logs.Message(panicked).Len())
			}
			if tt.status == "0" && len(*b.calls) != 0 {
				t.Errorf("something was answered: %q", *b.calls)
			}
		})
	}
}

func TestHandler_passesOnlyTheAbortionItselfOn(t *testing.T) {
	logger, logs := newLogs()
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		panic(fmt.Errorf("wrapped: %w", http.ErrAbortHandler)) // net/http does not take it for that
	}), &httplog.Options{Logger: logger})
	if p := call(h, newBare()); p != nil {
		t.Errorf("it panics with %v", p)
	}
	logs.Message(panicked).One(t)
}

func TestHandler_logsAHandlerThatExits(t *testing.T) {
	logger, logs := newLogs()
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() }), &httplog.Options{Logger: logger})
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(newBare(), get("/"))
		t.Error("the goroutine lives on")
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the goroutine hangs")
	}
	wantAttrs(t, logs.Message(access).One(t), map[string]string{"status": "0", "aborted": "true"})
}

// textless is an error that panics when it is printed.
type textless struct{}

func (textless) Error() string { panic("no text") }

func TestHandler_survivesAnyPanic(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, r *http.Request){
		"nil":                   func(http.ResponseWriter, *http.Request) { panic(nil) },
		"uncomparable":          func(http.ResponseWriter, *http.Request) { panic([]int{1}) },
		"without a text":        func(http.ResponseWriter, *http.Request) { panic(textless{}) },
		"of the runtime":        func(_ http.ResponseWriter, r *http.Request) { _ = r.Header["A"][0] },
		"of a nil pointer":      func(http.ResponseWriter, *http.Request) { var l *slog.Logger; l.Info("a") },
		"of an impossible code": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) },
		"while panicking": func(w http.ResponseWriter, _ *http.Request) {
			defer func() { panic(fmt.Sprint(recover(), " again")) }()
			explode()
		},
	}
	for name, next := range tests {
		t.Run(name, func(t *testing.T) {
			w, logs := serve(httplog.Options{}, next, get("/"))
			if w.Code != 500 {
				t.Errorf("the client got %d", w.Code)
			}
			v := logs.Message(panicked).One(t)
			if source := v.Source(); source == nil || strings.HasPrefix(source.Function, "runtime.") {
				t.Errorf("the source is %v", source)
			}
			if text(v, "panic") == "" || text(v, "stack") == "" {
				t.Errorf("panic %q", text(v, "panic"))
			}
		})
	}
}

func TestHandler_logsPanicsOfItsOptions(t *testing.T) {
	for name, opts := range map[string]httplog.Options{
		"Attrs": {Attrs: func(*http.Request) []slog.Attr { panic(errOh) }},
		"Debug": {Debug: func(*http.Request) bool { panic(errOh) }},
	} {
		t.Run(name, func(t *testing.T) {
			w, logs := serve(opts, func(http.ResponseWriter, *http.Request) { t.Error("served") }, get("/"))
			logs.Message(panicked).One(t)
			if w.Code != 500 {
				t.Errorf("the client got %d", w.Code)
			}
		})
	}
}

// A mail shows only the beginning of a stack.
func TestHandler_beginsTheStackWhereThePanicHappened(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"explicit":       func(http.ResponseWriter, *http.Request) { explode() },
		"nil map":        func(http.ResponseWriter, *http.Request) { writeNilMap(nil) },
		"unhashable key": func(http.ResponseWriter, *http.Request) { _ = map[any]int{}[[]int{}] },
		"nil pointer":    func(http.ResponseWriter, *http.Request) { var r *http.Request; _ = r.Method },
		"out of range":   func(_ http.ResponseWriter, r *http.Request) { _ = r.Header["A"][0] },
		"in a deferred call": func(http.ResponseWriter, *http.Request) {
			defer func() { writeNilMap(nil) }()
			explode()
		},
	}
	check := func(t *testing.T) {
		for name, next := range tests {
			t.Run(name, func(t *testing.T) {
				_, logs := serve(httplog.Options{}, next, get("/"))
				v := logs.Message(panicked).One(t)
				lines := strings.Split(text(v, "stack"), "\n")
				if len(lines) < 5 || !strings.HasPrefix(lines[0], "goroutine ") || !strings.HasSuffix(lines[0], "[running]:") {
					t.Fatalf("the stack is %q", lines)
				}
				source := v.Source()
				if !strings.Contains(lines[1], "httplog_test.") || source == nil || !strings.HasPrefix(lines[1], source.Function) ||
					!strings.Contains(lines[2]+" ", fmt.Sprintf("panic_test.go:%d ", source.Line)) {
					t.Errorf("the stack begins with %q, and the source is %v", lines[1:3], source)
				}
			})
		}
	}
	check(t)
	t.Run("with the frames of the runtime", func(t *testing.T) {
		debug.SetTraceback("system")
		defer debug.SetTraceback("single")
		check(t)
	})
}

func writeNilMap(m map[string]int) { m["a"] = 1 }

func TestHandler_keepsTheAccessRecordOfARequestThatItsOptionsPanicOn(t *testing.T) {
	for name, opts := range map[string]httplog.Options{
		"Failed":      {Failed: func(*http.Request, int) bool { panic(errOh) }},
		"StatusLevel": {StatusLevel: func(*http.Request, int) slog.Level { panic(errOh) }},
		"Skip":        {Skip: func(*http.Request) bool { panic(errOh) }},
	} {
		t.Run(name, func(t *testing.T) {
			w, logs := serve(opts, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abc") }, get("/"))
			wantAttrs(t, logs.Message(panicked).One(t), map[string]string{"panic": "oh no"})
			v := logs.Message(access).One(t)
			wantAttrs(t, v, map[string]string{"status": "200", "bytes": "3", "aborted": ""})
			if v.Level() != slog.LevelError || w.Body.String() != "abc" {
				t.Errorf("level %v, and the client got %q", v.Level(), w.Body)
			}
		})
	}
}

// http.TimeoutHandler runs its handler on a goroutine of its own and passes the
// panic on.
func TestHandler_worksInsideAndOutsideOfTimeouts(t *testing.T) {
	t.Run("inside", func(t *testing.T) {
		logger, logs := newLogs()
		h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abc") }), &httplog.Options{Logger: logger})
		w := httptest.NewRecorder()
		http.TimeoutHandler(h, patience, "late").ServeHTTP(w, get("/"))
		wantAttrs(t, logs.Message(access).One(t), map[string]string{"status": "200", "bytes": "3"})
		if w.Body.String() != "abc" {
			t.Errorf("the client got %q", w.Body)
		}
	})
	t.Run("outside", func(t *testing.T) {
		logger, logs := newLogs()
		release := make(chan struct{})
		defer close(release)
		h := http.TimeoutHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), time.Millisecond, "late")
		httplog.New(h, &httplog.Options{Logger: logger}).ServeHTTP(httptest.NewRecorder(), get("/"))
		wantAttrs(t, logs.Message(access).One(t), map[string]string{"status": "503", "bytes": "4"})
	})
}

// http.MaxBytesReader closes the connection only if it gets the server's own
// writer.
func TestWriter_unwrapsToTheServersForMaxBytesReader(t *testing.T) {
	logger := slog.New(slogctx.New(memory.New(nil), nil))
	server := newServer(t, httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
		if _, err := io.ReadAll(http.MaxBytesReader(own, r.Body, 3)); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}), &httplog.Options{Logger: logger}))
	resp, err := server.Client().Post(server.URL, "text/plain", bufio.NewReader(strings.NewReader("abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("the client got %s, and the connection is closed: %v", resp.Status, resp.Close)
	}
}
