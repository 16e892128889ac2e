package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
)

var prices = map[string]int{"cake": 380, "coffee": 520, "sandwich": 690, "tea": 450}

type order struct {
	ID       int    `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
}

// LogValue makes an order a group of attributes.
func (o order) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("id", o.ID),
		slog.String("item", o.Item),
		slog.Int("quantity", o.Quantity),
		slog.Int("cents", o.Cents))
}

// orders stands for a database, and takes its time like one. It remembers the
// last thousand.
type orders struct {
	mu   sync.Mutex
	byID map[int]order
	last int
}

func (o *orders) insert(ctx context.Context, logger *slog.Logger, new order) (order, error) {
	err := o.query(ctx, logger, "insert", 2*time.Millisecond)
	if err != nil {
		return order{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	new.ID = o.last
	o.byID[new.ID] = new
	delete(o.byID, new.ID-1000)
	return new, nil
}

func (o *orders) find(ctx context.Context, logger *slog.Logger, id int) (found order, ok bool, err error) {
	err = o.query(ctx, logger, "select", time.Millisecond)
	if err != nil {
		return order{}, false, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok = o.byID[id]
	return found, ok, nil
}

// query takes about as long as it is told to.
func (o *orders) query(ctx context.Context, logger *slog.Logger, statement string, about time.Duration) error {
	began := time.Now()
	err := pause(ctx, about+rand.N(about))
	took := time.Since(began).Round(time.Microsecond)

	db := slogworks.Named(logger, "shop.db").WithGroup("db").With("table", "orders", "statement", statement)
	switch {
	case err != nil:
		db.ErrorContext(ctx, "query", "took", took, "err", err)
		return fmt.Errorf("%s orders: %w", statement, err)
	case took > slow:
		db.WarnContext(ctx, "slow query", "took", took)
	default:
		db.DebugContext(ctx, "query", "took", took)
	}
	return nil
}

// pause returns after d, or with an error when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *shop) home(*http.Request) (answer, error) {
	return answer{status: http.StatusOK, body: `A little shop, run by slogworks demo.

GET  /orders/1   an order
POST /orders     a new one, such as {"item":"tea","quantity":2};
                 there is cake, coffee, sandwich and tea
GET  /slow       takes its time
GET  /broken     fails
`}, nil
}

func (s *shop) showOrder(r *http.Request) (answer, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return answer{}, &failure{http.StatusBadRequest, fmt.Errorf("order number: %w", err)}
	}
	found, ok, err := s.orders.find(r.Context(), s.logger, id)
	if err != nil {
		return answer{}, err
	}
	if !ok {
		return answer{}, &failure{http.StatusNotFound, fmt.Errorf("no order %d", id)}
	}
	return answer{status: http.StatusOK, body: found}, nil
}

func (s *shop) placeOrder(r *http.Request) (answer, error) {
	var wanted order
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		return answer{}, &failure{http.StatusBadRequest, fmt.Errorf("read order: %w", err)}
	}
	price, ok := prices[wanted.Item]
	if !ok {
		return answer{}, &failure{http.StatusUnprocessableEntity, fmt.Errorf("no item %q", wanted.Item)}
	}
	if wanted.Quantity < 1 || wanted.Quantity > 100 {
		return answer{}, &failure{http.StatusUnprocessableEntity, fmt.Errorf("quantity %d is not 1 to 100", wanted.Quantity)}
	}
	wanted.Cents = wanted.Quantity * price
	placed, err := s.orders.insert(r.Context(), s.logger, wanted)
	if err != nil {
		return answer{}, err
	}
	slogworks.Named(s.logger, "shop.orders").InfoContext(r.Context(), "order placed", "order", placed)
	return answer{http.StatusCreated, fmt.Sprintf("/orders/%d", placed.ID), placed}, nil
}

func (s *shop) slow(r *http.Request) (answer, error) {
	slogworks.Named(s.logger, "shop.reports").DebugContext(r.Context(), "not in the cache", "report", "sales")
	if err := s.orders.query(r.Context(), s.logger, "select", 300*time.Millisecond); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: "that took a while\n"}, nil
}

var errRefused = errors.New("connection refused")

func (s *shop) broken(r *http.Request) (answer, error) {
	ctx := r.Context()
	if err := s.orders.query(ctx, s.logger, "select", time.Millisecond); err != nil {
		return answer{}, err
	}
	slogworks.Named(s.logger, "shop.payment").DebugContext(ctx, "charging card", "provider", "127.0.0.1:1", "attempt", 1)
	return answer{}, fmt.Errorf("charge card: payment provider: %w", errRefused)
}

func (s *shop) nothing(r *http.Request) (answer, error) {
	return answer{}, &failure{http.StatusNotFound, fmt.Errorf("no page %s %s", r.Method, r.URL.Path)}
}
