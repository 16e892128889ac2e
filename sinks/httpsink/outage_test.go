package httpsink_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

func TestHandler_doesNotWaitForABearerFuncThatHangs(t *testing.T) {
	c := newCollector(t, nil)
	asked, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	hangs := func(context.Context) (string, error) {
		asked <- struct{}{}
		<-never
		return "", nil
	}
	t.Run("longer than the Timeout", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{BearerFunc: hangs, Timeout: 10 * time.Millisecond})
		go func() { <-asked }()
		if e := failure(t, h.Handle(t.Context(), newRecord("m"))); !errors.Is(e, context.DeadlineExceeded) || e.Permanent || e.Uncertain {
			t.Errorf("the error is %+v", e)
		}
	})
	t.Run("when it is shut down", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{BearerFunc: hangs, Timeout: time.Hour})
		sent := make(chan error, 1)
		go func() { sent <- h.Handle(context.Background(), newRecord("m")) }()
		<-asked
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown returned %v", err)
		}
		failure(t, <-sent)
	})
	t.Run("that ends its goroutine", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{Timeout: time.Hour, BearerFunc: func(context.Context) (string, error) {
			runtime.Goexit()
			return "", nil
		}})
		if e := failure(t, h.Handle(t.Context(), newRecord("m"))); !strings.Contains(e.Error(), "BearerFunc has ended its goroutine") {
			t.Errorf("the error is %+v", e)
		}
	})
	if n := len(c.all()); n != 0 {
		t.Errorf("%d requests are made", n)
	}
}

type panicking struct{}

func (panicking) RoundTrip(req *http.Request) (*http.Response, error) {
	_ = req.Body.Close()
	panic("secret token")
}

func TestHandler_aTransportThatPanicsIsAnError(t *testing.T) {
	h := newHandler(t, "http://127.0.0.1:1/", httpsink.Options{Bearer: "secret token", Client: &http.Client{Transport: panicking{}}})
	for range 2 { // nothing stays locked
		if e := failure(t, h.Handle(t.Context(), newRecord("m"))); !strings.Contains(e.Error(), "panic: ***") || e.Permanent {
			t.Errorf("the error is %+v", e)
		}
	}
}

// That a caller gives up is not held against the collector, from which others
// would then be kept.
func TestHandler_aCancelledRequestIsNoOutage(t *testing.T) {
	began, over := make(chan struct{}), make(chan struct{})
	c := newCollector(t, func(_ http.ResponseWriter, _ request, n int) {
		if n == 0 {
			began <- struct{}{}
			<-over
		}
	})
	h := newHandler(t, c.URL, httpsink.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- h.HandleBatch(ctx, newBatch(1, "first")) }()
	<-began
	cancel()
	if e := failure(t, <-sent); !errors.Is(e, context.Canceled) || e.After != 0 || !e.Uncertain {
		t.Errorf("the error is %+v", e)
	}
	over <- struct{}{}
	handle(t, h, newRecord("second"))
}

// Requests that fail side by side are one failure, or the wait would grow with
// their number; and the longest Retry-After holds, in whatever order they fail.
func TestHandler_requestsThatFailTogetherAreOneOutage(t *testing.T) {
	const n = 8
	var arrived sync.WaitGroup
	arrived.Add(n)
	long := make(chan struct{})
	c := newCollector(t, func(w http.ResponseWriter, r request, i int) {
		if i < n {
			arrived.Done()
			arrived.Wait()
		}
		if strings.Contains(string(r.body), "long") {
			w.Header().Set("Retry-After", "7200")
		} else {
			<-long
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	h := newHandler(t, c.URL, httpsink.Options{Backoff: slogworks.Backoff{Min: time.Minute, Max: time.Hour}})
	var all sync.WaitGroup
	for range n - 1 {
		all.Go(func() {
			if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "short"))); e.After > time.Minute {
				t.Errorf("the error is %+v", e)
			}
		})
	}
	if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "long"))); e.After != 2*time.Hour {
		t.Errorf("the error is %+v", e)
	}
	close(long)
	all.Wait()
	if e := failure(t, h.Handle(t.Context(), newRecord("m"))); e.After < 110*time.Minute {
		t.Errorf("the error is %+v", e)
	}
	// The next failure is the second.
	if e := failure(t, h.HandleBatch(t.Context(), newBatch(2, "short"))); e.After < 90*time.Second || e.After > 2*time.Minute {
		t.Errorf("the error is %+v", e)
	}
}

func TestHandler_anIDIsNoWayIntoTheHeader(t *testing.T) {
	c := newCollector(t, nil)
	h := newHandler(t, c.URL, httpsink.Options{})
	b := newBatch(1, "m")
	b.ID = "a\r\nX-Forged: b"
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	header := c.all()[0].header
	if got := header.Get("Idempotency-Key"); got != "a%0D%0AX-Forged%3A+b-1-0" || header.Get("X-Forged") != "" {
		t.Errorf("the header is %v", header)
	}
}

func TestHandler_anArrayKeepsToMaxBytesToTheByte(t *testing.T) {
	c := newCollector(t, nil)
	body := func(most int) (sizes []int) {
		t.Helper()
		h := newHandler(t, c.URL, httpsink.Options{Format: httpsink.Array, MaxBytes: most})
		before := len(c.all())
		if err := h.HandleBatch(t.Context(), newBatch(1, "a", "b", "c")); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.all()[before:] {
			sizes = append(sizes, len(r.body))
		}
		return sizes
	}
	whole := body(1 << 20)
	if got := body(whole[0]); !slices.Equal(got, whole) {
		t.Errorf("with room for %d, the bodies have %d", whole, got)
	}
	if got := body(whole[0] - 1); len(got) != 2 {
		t.Errorf("with room for %d less one, the bodies have %d", whole, got)
	}
}

// Records that cannot be written are that, whether or not the collector is down.
func TestHandler_whatCannotBeWrittenDoesNotWaitForTheCollector(t *testing.T) {
	h := newHandler(t, "http://127.0.0.1:1/", httpsink.Options{NewHandler: pretty, Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
	failure(t, h.Handle(t.Context(), newRecord("m")))
	if err := h.HandleBatch(t.Context(), newBatch(0, "fails", "panics")); err != nil {
		t.Errorf("the error is %v", err)
	}
	if a := h.Account(); a.Dropped["not encoded"] != 2 || a.Dropped["failed"] != 1 {
		t.Errorf("the account is %+v", a)
	}
}
