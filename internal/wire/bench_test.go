package wire_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

// scalarRecord has five scalar attributes and no source.
func scalarRecord() slog.Record {
	r := slog.NewRecord(noon, slog.LevelWarn, "request served", 0)
	r.AddAttrs(
		slog.String("method", "GET"),
		slog.Int("status", 200),
		slog.Duration("took", 1500*time.Microsecond),
		slog.Bool("cached", false),
		slog.Float64("load", 0.75))
	return r
}

func BenchmarkAppendRecord(b *testing.B) {
	r := scalarRecord()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = wire.AppendRecord(line[:0], r, wire.Origin{}, 0)
	}
}

func BenchmarkDecode(b *testing.B) {
	line := wire.AppendRecord(nil, scalarRecord(), wire.Origin{}, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := wire.Decode(line); err != nil {
			b.Fatal(err)
		}
	}
}
