package httpsink_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// The aids of peertest by the names they have here.
var (
	newRecord = peertest.Record
	newBatch  = peertest.Batch
	handle    = peertest.Handle
	failure   = peertest.DeliveryError
)

// request is what a collector was asked.
type request struct {
	header http.Header
	path   string
	raw    []byte // as it came
	body   []byte // uncompressed
}

// lines returns the records of the body, each as its JSON.
func (r request) lines(t testing.TB) []string {
	t.Helper()
	if r.header.Get("Content-Type") != "application/json" {
		return strings.Split(strings.TrimSuffix(string(r.body), "\n"), "\n")
	}
	var array []json.RawMessage
	if err := json.Unmarshal(r.body, &array); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	var lines []string
	for _, line := range array {
		lines = append(lines, string(line))
	}
	return lines
}

// collector answers as it is told.
type collector struct {
	*httptest.Server

	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r request, n int) // n counts the requests from 0
	requests []request
	taken    []string // the lines that were answered with 2xx
}

// newCollector starts a collector. A nil answer is 204 to everything.
func newCollector(t testing.TB, answer func(w http.ResponseWriter, r request, n int)) *collector {
	c := newUnstarted(t, answer)
	c.Start()
	return c
}

func newUnstarted(t testing.TB, answer func(w http.ResponseWriter, r request, n int)) *collector {
	t.Helper()
	c := &collector{answer: answer}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender has given up
		}
		in := request{r.Header, r.URL.Path, raw, raw}
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Errorf("the body: %v", err)
				return
			}
			if in.body, err = io.ReadAll(z); err != nil {
				t.Errorf("the body: %v", err)
			}
		}
		c.mu.Lock()
		n := len(c.requests)
		c.requests = append(c.requests, in)
		answer := c.answer
		c.mu.Unlock()
		seen := &status{ResponseWriter: w, code: 200}
		if answer == nil {
			seen.WriteHeader(http.StatusNoContent)
		} else {
			answer(seen, in, n)
		}
		if seen.code/100 == 2 {
			c.mu.Lock()
			c.taken = append(c.taken, in.lines(t)...)
			c.mu.Unlock()
		}
	}))
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (c *collector) all() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]request(nil), c.requests...)
}

// messages returns the msg of each record that was taken.
func (c *collector) messages(t testing.TB) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var messages []string
	for _, line := range c.taken {
		var r struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		messages = append(messages, r.Msg)
	}
	return messages
}

// newHandler returns a handler that is closed at the end of the test, and whose
// failures do not keep it waiting.
func newHandler(t testing.TB, to string, opts httpsink.Options) *httpsink.Handler {
	t.Helper()
	if opts.Host == "" {
		opts.Host, opts.Process = "web1", "shop"
	}
	if opts.Backoff.Min == 0 {
		opts.Backoff.Min, opts.Backoff.Max = time.Nanosecond, time.Nanosecond
	}
	h := httpsink.New(to, &opts)
	peertest.ShutdownAtEnd(t, h)
	return h
}
