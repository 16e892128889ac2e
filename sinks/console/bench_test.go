package console_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/lmittmann/tint"
	"github.com/slogworks/slogworks/sinks/console"
)

func BenchmarkHandler_Handle(b *testing.B) {
	handlers := []struct {
		name string
		h    slog.Handler
	}{
		{"plain", console.New(io.Discard, &console.Options{Color: console.ColorNever})},
		{"color", console.New(io.Discard, &console.Options{Color: console.ColorAlways})},
		{"tint-plain", tint.NewTextHandler(io.Discard, &tint.Options{NoColor: true})},
		{"tint-color", tint.NewTextHandler(io.Discard, nil)},
	}
	records := []struct {
		name  string
		attrs []slog.Attr
	}{
		{"scalars", fiveScalars()},
		{"error", []slog.Attr{slog.Any("err", errors.New("connection refused"))}},
	}
	for _, record := range records {
		r := slog.NewRecord(noon, slog.LevelInfo, "request served", 0)
		r.AddAttrs(record.attrs...)
		for _, handler := range handlers {
			b.Run(record.name+"/"+handler.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = handler.h.Handle(context.Background(), r)
				}
			})
		}
	}
}
