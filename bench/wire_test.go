package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

// wireRecord is the record that all benchmarks log, as a handler gets it.
func wireRecord(withSource bool) slog.Record {
	var pcs [1]uintptr
	if withSource {
		runtime.Callers(1, pcs[:])
	}
	r := slog.NewRecord(noon, slog.LevelInfo, message, pcs[0])
	r.AddAttrs(attrs...)
	return r
}

// jsonLine is a line of package wire as encoding/json sees it.
type jsonLine struct {
	T   time.Time `json:"t"`
	L   int       `json:"l"`
	M   string    `json:"m"`
	Src *struct {
		Fn string `json:"fn"`
		F  string `json:"f"`
		L  int    `json:"l"`
	} `json:"src"`
	A []struct {
		K string          `json:"k"`
		T string          `json:"t"`
		V json.RawMessage `json:"v"`
	} `json:"a"`
}

func decodeWithJSON(line []byte) (slog.Record, error) {
	var in jsonLine
	if err := json.Unmarshal(line, &in); err != nil {
		return slog.Record{}, err
	}
	r := slog.NewRecord(in.T, slog.Level(in.L), in.M, 0)
	for _, a := range in.A {
		value, err := decodeValue(a.T, a.V)
		if err != nil {
			return slog.Record{}, err
		}
		r.AddAttrs(slog.Attr{Key: a.K, Value: value})
	}
	if in.Src != nil {
		r.AddAttrs(slog.Any(slog.SourceKey, &slog.Source{Function: in.Src.Fn, File: in.Src.F, Line: in.Src.L}))
	}
	return r, nil
}

// decodeValue knows the kinds that the record has.
func decodeValue(kind string, v json.RawMessage) (value slog.Value, err error) {
	switch kind {
	case "s":
		var s string
		err = json.Unmarshal(v, &s)
		value = slog.StringValue(s)
	case "i":
		var n int64
		err = json.Unmarshal(v, &n)
		value = slog.Int64Value(n)
	case "u":
		var n uint64
		err = json.Unmarshal(v, &n)
		value = slog.Uint64Value(n)
	case "d":
		var d time.Duration
		err = json.Unmarshal(v, &d)
		value = slog.DurationValue(d)
	case "b":
		var b bool
		err = json.Unmarshal(v, &b)
		value = slog.BoolValue(b)
	default:
		err = fmt.Errorf("kind %q", kind)
	}
	return value, err
}

func BenchmarkWire(b *testing.B) {
	ctx := context.Background()
	for _, withSource := range []bool{false, true} {
		name := "scalars"
		if withSource {
			name = "source"
		}
		r := wireRecord(withSource)
		b.Run("encode/"+name+"/slog", func(b *testing.B) {
			h := slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{AddSource: withSource})
			b.ReportAllocs()
			for b.Loop() {
				h.Handle(ctx, r)
			}
		})
		b.Run("encode/"+name+"/wire", func(b *testing.B) {
			var line []byte
			b.ReportAllocs()
			for b.Loop() {
				line = wire.AppendRecord(line[:0], r, wire.Origin{}, 0)
				io.Discard.Write(line)
			}
		})

		line := wire.AppendRecord(nil, r, wire.Origin{}, 0)
		b.Run("decode/"+name+"/json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decodeWithJSON(line)
			}
		})
		b.Run("decode/"+name+"/wire", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wire.Decode(line)
			}
		})
	}
}

func TestWire_decodesTheSame(t *testing.T) {
	for _, withSource := range []bool{false, true} {
		r := wireRecord(withSource)
		line := wire.AppendRecord(nil, r, wire.Origin{}, 0)
		ours, _, err := wire.Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := decodeWithJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		if source := r.Source(); source != nil {
			r.AddAttrs(slog.Any(slog.SourceKey, source))
		}
		var want, got, peer bytes.Buffer
		slog.NewJSONHandler(&want, nil).Handle(t.Context(), r)
		slog.NewJSONHandler(&got, nil).Handle(t.Context(), ours)
		slog.NewJSONHandler(&peer, nil).Handle(t.Context(), theirs)
		if got.String() != want.String() || peer.String() != want.String() {
			t.Errorf("decoded to\n%s, by encoding/json to\n%s, want\n%s", &got, &peer, &want)
		}
	}
}
