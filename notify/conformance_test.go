package notify_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/notify"
)

// lines is a Sender that writes the records of messages as JSON.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Send(_ context.Context, m *notify.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range m.Records {
		if err := slog.NewJSONHandler(&l.b, nil).Handle(context.Background(), r); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

func TestHandler_conforms(t *testing.T) {
	for name, window := range map[string]time.Duration{"with a long window": time.Hour, "with a short window": time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				var sent lines
				h, err := notify.New(&sent, &notify.Options{Level: slog.LevelInfo, Window: window, MaxWindow: window, MaxRecords: 1000})
				if err != nil {
					t.Fatal(err)
				}
				return h, handlertest.JSON(t, &sent)
			})
		})
	}
}

func TestDirectHandler_conforms(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		var sent lines
		return notify.Direct(&sent), handlertest.JSON(t, &sent)
	})
}
