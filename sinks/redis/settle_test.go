package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

// What a handler asks for again is not dropped, whatever else went wrong.
func TestConsume_dropsOnlyWhatNobodyWantsAgain(t *testing.T) {
	answers := func(at string, answer func() error) *handlertest.Recorder {
		return &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
			if slices.ContainsFunc(b.Items, func(i slogworks.Item) bool { return at == "" || i.Record.Message == at }) {
				return answer()
			}
			return nil
		}}
	}
	panics := func() error { panic("bug") }
	down := func() error { return &slogworks.DeliveryError{After: time.Hour, Err: errors.New("down")} }
	refuses := func() error { return &slogworks.DeliveryError{Permanent: true, Err: errors.New("refused")} }
	fails := func() error { return errors.New("failed") }
	for _, test := range []struct {
		name             string
		handler          slog.Handler
		settled, dropped int
	}{
		{"a panic", answers("1", panics), 3, 1},
		{"a panic at one record", answers("1", panics).Plain(), 3, 1},
		{"a panic at one record, behind another stage", fanout.AtLeast(answers("1", panics).Plain(), slog.LevelDebug), 3, 1},
		{"an error at one record", answers("1", fails).Plain(), 1, 0},
		{"a refusal of one record", answers("1", refuses).Plain(), 3, 1},
		{"a refusal of all", answers("1", refuses), 3, 3},
		{"a sink that is down", answers("", down), 0, 0},
		{"a panic, and a sink that is down", fanout.Failover(answers("", panics), answers("", down)), 0, 0},
		{"a panic at one record, and a sink that is down", fanout.Failover(answers("1", panics).Plain(), answers("", down)), 1, 0},
		{"a panic at each of several", fanout.Failover(answers("1", panics), answers("1", panics)), 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &redis.Reader{Handler: test.handler}
			settled, err := redis.Settle(t.Context(), r, peertest.Batch(1, "0", "1", "2"))
			st := r.Stats()
			got := fmt.Sprint(settled, st.Dropped, st.Written, err == nil)
			want := fmt.Sprint(test.settled, test.dropped, test.settled-test.dropped, test.settled == 3)
			if got != want {
				t.Errorf("settled, dropped, written, all: %s, want %s (%v)", got, want, err)
			}
		})
	}
}
