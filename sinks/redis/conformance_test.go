package redis_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/sinks/redis"
)

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]redis.Options{
		"to a channel":  {},
		"to a stream":   {Stream: "log"},
		"to everything": {Stream: "log", List: "list", Channel: "channel"},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				s := startServer(t)
				opts.MaxRecordBytes = 8 << 20
				h := redis.New(s.url(), &opts)
				t.Cleanup(func() { _ = h.Close() })
				return h, func() []map[string]any {
					lines := s.records("log")
					if opts.Stream == "" {
						lines = s.messages(redis.DefaultChannel)
					}
					if opts.List != "" && (!slices.Equal(lines, s.list("list")) || !slices.Equal(lines, s.messages("channel"))) {
						t.Error("stream, list and channel got different records")
					}
					var written bytes.Buffer
					for _, line := range lines {
						r, err := intake.ReadJSON([]byte(strings.Clone(line)))
						if err != nil {
							t.Fatal(err)
						}
						if err := slog.NewJSONHandler(&written, nil).Handle(t.Context(), r.From("")); err != nil {
							t.Fatal(err)
						}
					}
					return handlertest.JSON(t, &written)()
				}
			})
		})
	}
}
