package soak_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
)

// moody is a sink that works until it is told to do otherwise.
type moody struct {
	mu      sync.Mutex
	mood    func(ctx context.Context) error // nil: it works
	changed chan struct{}
	written int
}

func newMoody() *moody { return &moody{changed: make(chan struct{})} }

// become changes the mood and wakes whoever hangs.
func (m *moody) become(mood func(ctx context.Context) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = mood
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *moody) hangs(ctx context.Context) error {
	m.mu.Lock()
	changed := m.changed
	m.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return errors.New("hung for a while")
	}
}

func (m *moody) panics(context.Context) error { panic("in a bad mood") }

func (m *moody) refuses(context.Context) error {
	return &slogworks.DeliveryError{After: 20 * time.Millisecond, Err: errors.New("come back later")}
}

func (m *moody) take(ctx context.Context, records int) error {
	m.mu.Lock()
	mood := m.mood
	m.mu.Unlock()
	if mood != nil {
		if err := mood(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written += records
	return nil
}

func (m *moody) Enabled(context.Context, slog.Level) bool { return true }

func (m *moody) Handle(ctx context.Context, _ slog.Record) error { return m.take(ctx, 1) }

func (m *moody) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return m.take(ctx, len(b.Items))
}

func (m *moody) WithAttrs([]slog.Attr) slog.Handler { return m }

func (m *moody) WithGroup(string) slog.Handler { return m }
