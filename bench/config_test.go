package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/config"
)

const configDocument = `
version: 1
handlers: {out: {kind: bench}}
root: {level: warn, to: []}
loggers: {shop.orders: {level: info, to: [out]}}
`

// parseConfig returns a document whose only handler is out.
func parseConfig(tb testing.TB, out slog.Handler) *config.Document {
	tb.Helper()
	r := config.NewRegistry()
	config.Register(r, "bench", func(context.Context, struct{}, *config.Env) (slog.Handler, error) { return out, nil })
	d, err := config.Parse([]byte(configDocument), &config.Options{Registry: r})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// configSubject is a handler that leads to another one as it is.
type configSubject struct {
	name string
	new  func(tb testing.TB, out slog.Handler) slog.Handler
}

var configSubjects = []configSubject{
	{"direct", func(_ testing.TB, out slog.Handler) slog.Handler { return out }},
	{"pipeline", func(tb testing.TB, out slog.Handler) slog.Handler {
		p, err := parseConfig(tb, out).Build(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		return p
	}},
	{"manager", func(tb testing.TB, out slog.Handler) slog.Handler {
		m, err := config.New(tb.Context(), parseConfig(tb, out), nil)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { m.Close() })
		return m.Handler()
	}},
}

func BenchmarkConfig(b *testing.B) {
	for _, s := range configSubjects {
		b.Run(s.name, func(b *testing.B) {
			runHandler(b, context.Background(), slog.LevelInfo, withLogger(s.new(b, slog.NewJSONHandler(io.Discard, nil))))
		})
	}
}

// BenchmarkConfigOff logs what the level of the logger refuses.
func BenchmarkConfigOff(b *testing.B) {
	for _, s := range configSubjects {
		b.Run(s.name, func(b *testing.B) {
			runHandler(b, context.Background(), slog.LevelDebug, withLogger(s.new(b, slog.NewJSONHandler(io.Discard, nil))))
		})
	}
}

// BenchmarkConfigParallel logs on all cores at once, to what has no lock: that
// would be all there is to measure.
func BenchmarkConfigParallel(b *testing.B) {
	for _, s := range configSubjects {
		b.Run(s.name, func(b *testing.B) {
			logger := slog.New(withLogger(s.new(b, nop{})))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
				}
			})
		})
	}
}

func TestConfig_writeTheSameLines(t *testing.T) {
	for _, s := range configSubjects {
		t.Run(s.name, func(t *testing.T) {
			var got, want bytes.Buffer
			logOne(t, t.Context(), withLogger(slog.NewJSONHandler(&want, nil)), slog.LevelInfo)
			h := withLogger(s.new(t, slog.NewJSONHandler(&got, nil)))
			logOne(t, t.Context(), h, slog.LevelInfo)
			if got.String() != want.String() {
				t.Errorf("wrote %q, want %q", got.String(), want.String())
			}
			if h.Enabled(t.Context(), slog.LevelDebug) {
				t.Error("enabled for debug")
			}
		})
	}
}
