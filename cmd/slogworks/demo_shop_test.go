package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestShop_closeWaitsForRequestsUnderWay(t *testing.T) {
	leavesNoGoroutine(t)
	var log output
	shop := newShop(slog.New(slog.NewTextHandler(&log, nil)), nil)
	arrived, body := io.Pipe()
	request := func() int {
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequest("POST", "/orders", arrived))
		return w.Code
	}
	answered := make(chan int, 1)
	go func() { answered <- request() }()
	io.WriteString(body, `{"item":"tea",`) // returns when the shop has read it

	go io.WriteString(body, `"quantity":1}`)
	shop.close()
	if !strings.Contains(log.String(), "status=201") {
		t.Errorf("close returned before the request was over; the log is %q", log.String())
	}
	if status := <-answered; status != 201 {
		t.Errorf("status %d; want 201", status)
	}
	if status := request(); status != 503 {
		t.Errorf("status %d when closed; want 503", status)
	}
}

func TestOrders_rememberTheLastThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.DiscardHandler)
		orders := orders{byID: map[int]order{}}
		for range 1003 {
			if _, err := orders.insert(t.Context(), logger, order{Item: "tea"}); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[int]bool{3: false, 4: true, 1003: true, 1004: false} {
			if _, ok, err := orders.find(t.Context(), logger, id); ok != want || err != nil {
				t.Errorf("order %d is found: %v, %v; want %v", id, ok, err, want)
			}
		}
	})
}

func TestOrders_queryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("customer left")
	cancel(left)
	var orders orders
	if err := orders.query(ctx, slog.New(slog.DiscardHandler), "select", time.Hour); !errors.Is(err, left) {
		t.Errorf("got %v; want %v", err, left)
	}
}

// deaf is a listener that fails.
type deaf struct{ net.Listener }

var errDeaf = errors.New("too many open files")

func (deaf) Accept() (net.Conn, error) { return nil, errDeaf }

func TestServe_failsIfItsListenerDoes(t *testing.T) {
	leavesNoGoroutine(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // so that visits are refused at once
	url := "http://" + listener.Addr().String() + "/"
	if err := serve(t.Context(), deaf{listener}, url, slog.New(slog.DiscardHandler), nil); !errors.Is(err, errDeaf) {
		t.Errorf("got %v; want %v", err, errDeaf)
	}
}

func TestSendCustomers_finishTheLastVisit(t *testing.T) {
	leavesNoGoroutine(t)
	ctx, cancel := context.WithCancel(t.Context())
	visited := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visited++
		cancel()
		select { // long enough for a customer who leaves to be noticed
		case <-r.Context().Done():
		case <-time.After(100 * time.Millisecond):
			io.WriteString(w, "hello")
		}
	}))
	defer server.Close()
	var log output
	sendCustomers(ctx, server.URL+"/", slog.New(slog.NewTextHandler(&log, nil)))
	if visited != 1 {
		t.Errorf("%d visits; want 1", visited)
	}
	if got := log.String(); strings.Contains(got, "visit failed") {
		t.Errorf("the last visit was cut off: %s", got)
	}
}
