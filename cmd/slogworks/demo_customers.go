package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// visits is what a customer does, again and again. An empty path of a GET is
// that of the last order.
var visits = []struct{ method, path, body string }{
	{"GET", "/", ""},
	{"POST", "/orders", `{"item":"tea","quantity":2}`},
	{"GET", "", ""},
	{"GET", "/orders/999999", ""},
	{"POST", "/orders", `{"item":"coffee","quantity":1}`},
	{"GET", "/broken", ""},
	{"GET", "", ""},
	{"GET", "/slow", ""},
	{"POST", "/orders", `{"item":"unicorn","quantity":1}`},
	{"POST", "/orders", `{"item":"cake","quantity":3}`},
	{"GET", "", ""},
}

// sendCustomers visits the shop a few times a second until ctx is done. It then
// stays until the last visit is answered.
func sendCustomers(ctx context.Context, shop string, logger *slog.Logger) {
	// The default transport might go through a proxy.
	client := &http.Client{Transport: &http.Transport{}, Timeout: grace}

	order := "/orders/1"
	for i := 0; ctx.Err() == nil; i++ {
		v := visits[i%len(visits)]
		if v.path == "" {
			v.path = order
		}
		placed, err := visit(context.WithoutCancel(ctx), client, v.method, strings.TrimSuffix(shop, "/")+v.path, v.body)
		if err != nil {
			logger.ErrorContext(ctx, "visit failed", "err", err)
		} else if placed != "" {
			order = placed
		}
		pause(ctx, 150*time.Millisecond+rand.N(200*time.Millisecond))
	}
}

// visit returns the path of the order that the visit has placed, if any.
func visit(ctx context.Context, client *http.Client, method, url, body string) (placed string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("User-Agent", "customer")
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil { // so that the connection is used again
		return "", err
	}
	return response.Header.Get("Location"), nil
}
