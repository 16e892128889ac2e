package buffer_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// What comes out of a spool in another run prints as it would have at once, with
// what With and WithGroup added.
func TestHandler_replaysByteForByte(t *testing.T) {
	mutable := map[string][]int{"a": {1, 2}}
	attrs := []any{
		slog.String("string", "a \"b\"\n<c>\u2028"), slog.Int("int", -1), slog.Uint64("uint64", math.MaxUint64),
		slog.Float64("float", 1e21), slog.Float64("inf", math.Inf(-1)), slog.Bool("bool", true),
		slog.Duration("duration", 1500*time.Millisecond), slog.Time("time", time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))),
		slog.Any("error", errors.Join(errDown, io.EOF)), slog.Any("nil", nil), slog.Any("bytes", []byte("bytes")),
		slog.Any("map", mutable), slog.Any("struct", struct{ A, b int }{1, 2}), slog.Any("addr", netip.MustParseAddr("::1")),
		slog.Any("secret", secret("password")), slog.Group("group", "k", "v", slog.Group("inner", "n", 1)), slog.Group("", "inlined", true),
	}
	log := func(h slog.Handler) {
		for _, l := range []*slog.Logger{
			slog.New(h),
			slog.New(h).With("with", mutable),
			slog.New(h).With(slogworks.LoggerKey, "db.pool").WithGroup("g").With("in", "g").WithGroup("h"),
			slog.New(h).WithGroup("empty"),
		} {
			for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError + 1} {
				for _, args := range [][]any{nil, attrs} {
					r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), level, "message\twith <markup>", 0)
					r.Add(args...)
					if err := l.Handler().Handle(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for name, printer := range map[string]func(io.Writer) slog.Handler{
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var want, got bytes.Buffer
			log(printer(&want))
			dir := t.TempDir()
			h := open(t, newSink(), manual(dir))
			log(h)
			closed(t, h)
			s := newSink()
			h = open(t, s, manual(dir))
			wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
			for _, item := range s.Items() {
				if err := printer(&got).Handle(item.Context, item.Record); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("replayed as\n%s\nwant\n%s", &got, &want)
			}
		})
	}
}

func TestHandler_keepsTheSource(t *testing.T) {
	dir := t.TempDir()
	h := open(t, newSink(), manual(dir))
	slog.New(h).Info("here")
	closed(t, h)
	s := newSink()
	h = open(t, s, manual(dir))
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	source := slogworks.NewView(s.Items()[0].Record).Source()
	if source == nil || source.Line == 0 {
		t.Errorf("the source is %+v", source)
	}
}

func TestOptions_MaxRecordBytes(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.MaxRecordBytes = 2000
		h := open(t, s, opts)
		slog.New(h).Info("long", "value", string(bytes.Repeat([]byte("x"), 1<<16)))
		if n := h.Stats().Bytes; n > 2010 {
			t.Errorf("the line has %d bytes", n)
		}
		wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
		if _, ok := slogworks.NewView(s.Items()[0].Record).Attr("!truncated"); !ok {
			t.Error("the record does not say that it was cut")
		}
	})
}
