package rotate_test

import (
	"path/filepath"
	"testing"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// nowhere is an engine whose writes take no time, so that what a File adds to
// the system call can be seen.
type nowhere struct{ engine.File }

func (e *nowhere) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkFile_Write(b *testing.B) {
	line := []byte(numbered(0))
	for _, bench := range []struct {
		name string
		opts *rotate.Options
	}{
		{"by default", nil},
		{"MaxBytes", &rotate.Options{MaxBytes: 1 << 40}},
		{"Schedule", &rotate.Options{Schedule: rotate.Daily(0, 0, nil)}},
		{"Buffer", &rotate.Options{Buffer: 64 << 10}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			f, err := with(filepath.Join(b.TempDir(), "app.log"), bench.opts, new(nowhere))
			opened(b, f, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Write(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHandler_HandleBatch(b *testing.B) {
	f, err := with(filepath.Join(b.TempDir(), "app.log"), nil, new(nowhere))
	opened(b, f, err)
	h := rotate.NewHandler(f, plain)
	batch := batchOf("0", "1", "2", "3", "4", "5", "6", "7")
	b.ReportAllocs()
	for b.Loop() {
		if err := h.HandleBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
