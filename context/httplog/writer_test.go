package httplog_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/context/httplog"
)

// bare is a server's writer that can do nothing but write, and calls are what it
// was asked for.
type bare struct {
	header http.Header
	calls  *[]string
}

func newBare() bare { return bare{http.Header{}, new([]string)} }

func (b bare) call(what string)            { *b.calls = append(*b.calls, what) }
func (b bare) Header() http.Header         { return b.header }
func (b bare) Write(p []byte) (int, error) { b.call("Write"); return len(p), nil }
func (b bare) WriteHeader(status int)      { b.call(fmt.Sprint("WriteHeader ", status)) }

// What a server's writer may be able to do besides.
type (
	flushes struct{ b bare }
	hijacks struct{ b bare }
	reads   struct{ b bare }
	pushes  struct{ b bare }
)

func (f flushes) Flush() { f.b.call("Flush") }
func (h hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.b.call("Hijack")
	return nil, nil, nil
}
func (p pushes) Push(string, *http.PushOptions) error { p.b.call("Push"); return nil }
func (r reads) ReadFrom(src io.Reader) (int64, error) {
	r.b.call("ReadFrom")
	return io.Copy(io.Discard, src)
}

// abilities returns which optional interfaces a writer has.
func abilities(w http.ResponseWriter) string {
	can := ""
	if _, ok := w.(http.Flusher); ok {
		can += "F"
	}
	if _, ok := w.(http.Hijacker); ok {
		can += "H"
	}
	if _, ok := w.(io.ReaderFrom); ok {
		can += "R"
	}
	if _, ok := w.(http.Pusher); ok {
		can += "P"
	}
	return can
}

func TestWriter_canExactlyWhatTheServersCan(t *testing.T) {
	b := newBare()
	f, h, r, p := flushes{b}, hijacks{b}, reads{b}, pushes{b}
	type (
		B = bare
		F = flushes
		H = hijacks
		R = reads
		P = pushes
	)
	writers := map[string]http.ResponseWriter{
		"": b,
		"F": struct {
			B
			F
		}{b, f},
		"H": struct {
			B
			H
		}{b, h},
		"R": struct {
			B
			R
		}{b, r},
		"P": struct {
			B
			P
		}{b, p},
		"FH": struct {
			B
			F
			H
		}{b, f, h},
		"FR": struct {
			B
			F
			R
		}{b, f, r},
		"FP": struct {
			B
			F
			P
		}{b, f, p},
		"HR": struct {
			B
			H
			R
		}{b, h, r},
		"HP": struct {
			B
			H
			P
		}{b, h, p},
		"RP": struct {
			B
			R
			P
		}{b, r, p},
		"FHR": struct {
			B
			F
			H
			R
		}{b, f, h, r},
		"FHP": struct {
			B
			F
			H
			P
		}{b, f, h, p},
		"FRP": struct {
			B
			F
			R
			P
		}{b, f, r, p},
		"HRP": struct {
			B
			H
			R
			P
		}{b, h, r, p},
		"FHRP": struct {
			B
			F
			H
			R
			P
		}{b, f, h, r, p},
	}
	for want, w := range writers {
		t.Run("as with "+want, func(t *testing.T) {
			if got := abilities(w); got != want {
				t.Fatalf("the test's own writer can %q", got)
			}
			logger, _ := newLogs()
			*b.calls = nil
			httplog.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if got := abilities(w); got != want {
					t.Errorf("it can %q", got)
				}
				var calls []string
				if f, ok := w.(http.Flusher); ok {
					f.Flush()
					calls = append(calls, "Flush")
				}
				if r, ok := w.(io.ReaderFrom); ok {
					if n, err := r.ReadFrom(strings.NewReader("abc")); n != 3 || err != nil {
						t.Errorf("ReadFrom: %d, %v", n, err)
					}
					calls = append(calls, "ReadFrom")
				}
				if p, ok := w.(http.Pusher); ok {
					if err := p.Push("/x", nil); err != nil {
						t.Error(err)
					}
					calls = append(calls, "Push")
				}
				if h, ok := w.(http.Hijacker); ok {
					if _, _, err := h.Hijack(); err != nil {
						t.Error(err)
					}
					calls = append(calls, "Hijack")
				}
				if !slices.Equal(*b.calls, calls) {
					t.Errorf("the server's writer was asked for %q, want %q", *b.calls, calls)
				}
				controller := http.NewResponseController(w)
				if err := controller.Flush(); (err == nil) != strings.Contains(want, "F") || err != nil && !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("ResponseController.Flush: %v", err)
				}
				if _, _, err := controller.Hijack(); (err == nil) != strings.Contains(want, "H") || err != nil && !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("ResponseController.Hijack: %v", err)
				}
				if err := controller.SetReadDeadline(time.Time{}); !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("ResponseController.SetReadDeadline: %v", err)
				}
			}), &httplog.Options{Logger: logger}).ServeHTTP(w, get("/"))
		})
	}
}

// wrapping is a writer of another middleware, which knows of nothing but Unwrap.
type wrapping struct {
	http.ResponseWriter
	next http.ResponseWriter
}

func (w wrapping) Unwrap() http.ResponseWriter { return w.next }

// A handler finds what is beneath such a writer by http.ResponseController only,
// and it is seen all the same.
func TestWriter_seesWhatIsDoneBeneath(t *testing.T) {
	b := newBare()
	inner := struct {
		bare
		flushes
		hijacks
	}{b, flushes{b}, hijacks{b}}
	tests := map[string]struct {
		next   http.HandlerFunc
		status string
	}{
		"a hijacked connection": {func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				t.Error(err)
			}
		}, "101"},
		"a header flushed": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			w.WriteHeader(500)
		}, "200"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			logger, logs := newLogs()
			h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := abilities(w); got != "" {
					t.Errorf("it can %q", got)
				}
				tt.next(w, r)
			}), &httplog.Options{Logger: logger})
			h.ServeHTTP(wrapping{b, inner}, get("/"))
			wantAttrs(t, logs.Message(access).One(t), map[string]string{"status": tt.status})
		})
	}
}

// failing is a writer whose errors must not get lost.
type failing struct{ bare }

var errBroken = errors.New("broken")

func (f failing) Write(p []byte) (int, error) { return len(p) / 2, errBroken }
func (f failing) Flush()                      {}
func (f failing) FlushError() error           { return errBroken }
func (f failing) ReadFrom(io.Reader) (int64, error) {
	return 7, errBroken
}
func (f failing) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errBroken }

func TestWriter_passesErrorsOn(t *testing.T) {
	logger, logs := newLogs()
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); err != errBroken {
			t.Errorf("Hijack: %v", err)
		}
		if err := http.NewResponseController(w).Flush(); err != errBroken {
			t.Errorf("Flush: %v", err)
		}
		if n, err := w.Write([]byte("abcd")); n != 2 || err != errBroken {
			t.Errorf("Write: %d, %v", n, err)
		}
		if n, err := io.WriteString(w, "abcd"); n != 2 || err != errBroken {
			t.Errorf("WriteString: %d, %v", n, err)
		}
		if n, err := io.Copy(w, reader("abcd")); n != 7 || err != errBroken {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
	}), &httplog.Options{Logger: logger})
	h.ServeHTTP(failing{newBare()}, get("/"))
	wantAttrs(t, logs.Message(access).One(t), map[string]string{"status": "200", "bytes": "11"})
}

func TestHandler_logsTheFinalStatus(t *testing.T) {
	tests := map[string]struct {
		method, status, bytes string
		next                  http.HandlerFunc
	}{
		"200 of a handler that does nothing": {"GET", "200", "0", func(http.ResponseWriter, *http.Request) {}},
		"200 of one that only writes":        {"GET", "200", "3", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abc") }},
		"200 of one that writes a string":    {"GET", "200", "3", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abc") }},
		"200 of one that writes nothing":     {"GET", "200", "0", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil); w.WriteHeader(500) }},
		"200 of one that copies":             {"GET", "200", "3", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, reader("abc")) }},
		"200 of one that flushes":            {"GET", "200", "0", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }},
		"what was written":                   {"GET", "201", "0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }},
		"what was written first": {"GET", "404", "3", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(500)
			fmt.Fprint(w, "abc")
		}},
		"no 103": {"GET", "404", "0", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(103)
			w.WriteHeader(404)
		}},
		"no 100":                       {"GET", "200", "0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(100) }},
		"101":                          {"GET", "101", "0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) }},
		"204, without a body":          {"GET", "204", "0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); fmt.Fprint(w, "abc") }},
		"HEAD, without a body":         {"HEAD", "200", "0", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "abc") }},
		"HEAD, without what is copied": {"HEAD", "200", "0", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, reader("abc")) }},
		"the one after copying nothing": {"GET", "404", "0", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, reader(""))
			w.WriteHeader(404)
		}},
		"the one before copying more of it": {"GET", "404", "6", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, "abc")
			_, _ = io.Copy(w, reader("def"))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			logger, logs := newLogs()
			server := newServer(t, httplog.New(tt.next, &httplog.Options{Logger: logger}))
			r, err := http.NewRequest(tt.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true // 101 leaves a connection that is good for nothing
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(resp.StatusCode); got != tt.status {
				t.Errorf("the client got %s", got)
			}
			if resp.StatusCode != 101 {
				if body, err := io.ReadAll(resp.Body); fmt.Sprint(len(body)) != tt.bytes || err != nil {
					t.Errorf("the client got %q, %v", body, err)
				}
			}
			resp.Body.Close()
			wantAttrs(t, wait(t, logs, access), map[string]string{"status": tt.status, "bytes": tt.bytes})
		})
	}
}

// reader returns a reader of which io.Copy knows nothing.
func reader(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
