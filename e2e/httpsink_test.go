package e2e_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// httpCollector has a fault for each request, in turn, and recognises what it
// already has.
type httpCollector struct {
	*httptest.Server
	faults []httpFault
	over   chan struct{} // closed when nobody needs to hang any more

	mu       sync.Mutex
	n        int
	seen     map[string]bool // by Idempotency-Key
	again    int             // requests that were recognised
	messages []string
	answers  map[int]int // by status
}

type httpFault int

const (
	takes httpFault = iota
	isTooLarge
	asksForTime
	fails
	hangs
	closesEarly
	takesAndCloses // the answer gets lost
)

func startHTTPCollector(t *testing.T, faults ...httpFault) *httpCollector {
	c := &httpCollector{faults: faults, over: make(chan struct{}), seen: map[string]bool{}, answers: map[int]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := c.serve(w, r); code > 0 {
			c.mu.Lock()
			c.answers[code]++
			c.mu.Unlock()
			w.WriteHeader(code)
			_, _ = fmt.Fprintln(w, "the token was", r.Header.Get("Authorization"))
		}
	}))
	t.Cleanup(func() {
		close(c.over)
		c.Close()
	})
	return c
}

// serve returns the status of the answer.
func (c *httpCollector) serve(w http.ResponseWriter, r *http.Request) int {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return http.StatusUnsupportedMediaType
		}
		body = z
	}
	var messages []string
	isPoisoned := false
	for lines := bufio.NewScanner(body); lines.Scan(); {
		var record struct{ Msg string }
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return http.StatusBadRequest
		}
		messages = append(messages, record.Msg)
		isPoisoned = isPoisoned || strings.HasPrefix(record.Msg, "poison")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fault := c.faults[c.n%len(c.faults)]
	c.n++
	switch {
	case isPoisoned:
		return http.StatusUnprocessableEntity
	case fault == isTooLarge && len(messages) > 1:
		return http.StatusRequestEntityTooLarge
	case fault == asksForTime:
		w.Header().Set("Retry-After", "1")
		return http.StatusTooManyRequests
	case fault == fails:
		return http.StatusServiceUnavailable
	case fault == hangs:
		c.mu.Unlock()
		defer c.mu.Lock()
		select {
		case <-c.over:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case fault == closesEarly:
		panic(http.ErrAbortHandler)
	}
	key := r.Header.Get("Idempotency-Key")
	if c.seen[key] {
		c.again++
	} else {
		c.seen[key] = true
		c.messages = append(c.messages, messages...)
	}
	if fault == takesAndCloses {
		panic(http.ErrAbortHandler)
	}
	return http.StatusNoContent
}

// Whatever a collector does for a while, behind a queue it gets each record once.
func TestHTTPSink_losesNothing(t *testing.T) {
	for name, faults := range map[string][]httpFault{
		"413":                      {isTooLarge, takes, isTooLarge, isTooLarge},
		"429 with Retry-After":     {asksForTime, takes, takes, takes, takes, takes, takes, takes, takes, takes, takes},
		"5xx":                      {fails, takes},
		"hanging":                  {hangs, takes, takes, takes},
		"closing early":            {closesEarly, takes},
		"closing after it took it": {takesAndCloses, takes},
		"all of it":                {fails, takesAndCloses, takes, isTooLarge, hangs, closesEarly, isTooLarge, takes, takes, takesAndCloses, asksForTime, takes, takes, takes},
	} {
		t.Run(name, func(t *testing.T) {
			c := startHTTPCollector(t, faults...)
			sink := httpsink.New(c.URL, &httpsink.Options{Gzip: true, Bearer: "secret-token", Timeout: 200 * time.Millisecond, Backoff: slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}})
			q := queue.New(sink, &queue.Options{Capacity: 1000, MaxBatch: 50, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond}})
			var want []string
			began := time.Now()
			for i := range 500 {
				want = append(want, fmt.Sprint("message ", i))
				slog.New(q).Info(want[i])
			}
			if err := slogworks.Flush(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			if err := slogworks.Shutdown(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if !slices.Equal(c.messages, want) {
				t.Errorf("%d messages arrived, want %d: %q", len(c.messages), len(want), c.messages)
			}
			if slices.Contains(faults, takesAndCloses) && c.again == 0 {
				t.Error("nothing was sent again")
			}
			if slices.Contains(faults, asksForTime) && (c.answers[http.StatusTooManyRequests] == 0 || time.Since(began) < time.Second) {
				t.Errorf("Retry-After was not kept to: %v after %v", c.answers, time.Since(began))
			}
			for _, a := range slogworks.Books(q) {
				if a.Accepted != 500 || a.Delivered != 500 {
					t.Errorf("the account is %+v", a)
				}
			}
		})
	}
}

// What the collector refuses is not sent again, is counted, and goes to the
// fallback; the rest arrives.
func TestHTTPSink_permanentAnswers(t *testing.T) {
	c := startHTTPCollector(t, takes)
	var mu sync.Mutex
	var errs []string
	var fallback strings.Builder
	sink := httpsink.New(c.URL+"/path-secret?key=query-secret", &httpsink.Options{Bearer: "secret-token"})
	q := queue.New(sink, &queue.Options{
		MaxBatch: 1,
		Fallback: slog.NewTextHandler(&fallback, nil),
		OnError: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err.Error())
		},
	})
	for _, message := range []string{"first", "poison", "second"} {
		slog.New(q).Info(message)
	}
	if err := slogworks.Shutdown(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first", "second"}; !slices.Equal(c.messages, want) || c.n != 3 {
		t.Errorf("%q arrived in %d requests, want %q in 3", c.messages, c.n, want)
	}
	if !strings.Contains(fallback.String(), "msg=poison") || strings.Count(fallback.String(), "\n") != 1 {
		t.Errorf("the fallback has %q", &fallback)
	}
	if len(errs) != 1 || !strings.Contains(errs[0], "422") || strings.Contains(errs[0], "secret") {
		t.Errorf("the errors are %q", errs)
	}
	if a := sink.Account(); a.Delivered != 2 || a.Dropped["refused"] != 1 {
		t.Errorf("the account is %+v", a)
	}
}
