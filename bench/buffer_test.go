package bench_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

// taken takes batches and keeps nothing but how many records there were.
type taken struct {
	slog.Handler
	records int
}

func (*taken) Enabled(context.Context, slog.Level) bool { return true }

func (t *taken) HandleBatch(_ context.Context, b slogworks.Batch) error {
	t.records += len(b.Items)
	return nil
}

func openBuffer(tb testing.TB, next slogworks.BatchHandler, dir string, opts buffer.Options) *buffer.Handler {
	opts.Dir, opts.Level, opts.Limit.N = dir, slog.LevelInfo, -1
	h, err := buffer.Open(next, &opts)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// never is a trigger that the buffer asks and that does not fire.
func never(buffer.State) string { return "" }

// bufferLine returns the bytes that a buffer writes for the record that all
// benchmarks log.
func bufferLine(tb testing.TB) []byte {
	dir := tb.TempDir()
	h := openBuffer(tb, new(taken), dir, buffer.Options{Trigger: never})
	slog.New(h).LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
	mustClose(tb, h)
	journals, err := filepath.Glob(filepath.Join(dir, "journal-*"))
	if err != nil || len(journals) != 1 {
		tb.Fatalf("the journals are %q, %v", journals, err)
	}
	text, err := os.ReadFile(journals[0])
	if err != nil {
		tb.Fatal(err)
	}
	_, line, found := bytes.Cut(text, []byte("\n"))
	if !found || bytes.Count(line, []byte("\n")) != 1 {
		tb.Fatalf("the journal is %q, want a header and a line", text)
	}
	return line
}

func BenchmarkBuffer(b *testing.B) {
	b.Run("write", func(b *testing.B) {
		line := bufferLine(b)
		f := openLog(b, filepath.Join(b.TempDir(), "log"))
		defer mustClose(b, f)
		b.ReportAllocs()
		for b.Loop() {
			mustWrite(b, f, line)
		}
	})
	for name, trigger := range map[string]buffer.Trigger{"manual": nil, "trigger": never} {
		b.Run(name, func(b *testing.B) {
			h := openBuffer(b, new(taken), b.TempDir(), buffer.Options{Sync: buffer.SyncNone, Trigger: trigger, Manual: trigger == nil})
			defer mustClose(b, h)
			runHandler(b, context.Background(), slog.LevelInfo, h)
		})
	}
	b.Run("memory", func(b *testing.B) {
		h := openBuffer(b, new(taken), "", buffer.Options{Trigger: never})
		defer mustClose(b, h)
		runHandler(b, context.Background(), slog.LevelInfo, h)
	})
}

// BenchmarkBufferSync is what a record costs that has to be safe from a power
// failure: with a sync for each, and by goroutines that share them.
func BenchmarkBufferSync(b *testing.B) {
	b.Run("each", func(b *testing.B) {
		line := bufferLine(b)
		f := openLog(b, filepath.Join(b.TempDir(), "log"))
		defer mustClose(b, f)
		for b.Loop() {
			mustWrite(b, f, line)
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) {
		h := openBuffer(b, new(taken), b.TempDir(), buffer.Options{Sync: buffer.SyncAlways, Manual: true})
		defer mustClose(b, h)
		logger := slog.New(h)
		b.SetParallelism(64 / runtime.GOMAXPROCS(0))
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
			}
		})
	})
}

// largeSpool returns a spool of 100,000 records and the options that it needs.
func largeSpool(b *testing.B) (dir string, opts buffer.Options) {
	dir = b.TempDir()
	opts = buffer.Options{Manual: true, Trigger: never, MaxBytes: 64 << 20, Sync: buffer.SyncNone}
	h := openBuffer(b, new(taken), dir, opts)
	r := slog.NewRecord(noon, slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	batch := slogworks.Batch{}
	for range 1000 {
		batch.Items = append(batch.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	for range 100 {
		if err := h.HandleBatch(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, h)
	return dir, opts
}

// BenchmarkBufferLarge opens a spool of 100,000 records, and delivers it.
func BenchmarkBufferLarge(b *testing.B) {
	b.Run("open", func(b *testing.B) {
		dir, opts := largeSpool(b)
		n := 0
		for b.Loop() {
			h := openBuffer(b, new(taken), dir, opts)
			if held := h.Stats().Held; held != 100_000 {
				b.Fatalf("%d records are held", held)
			}
			mustClose(b, h)
			n++
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms")
	})
	b.Run("deliver", func(b *testing.B) {
		n := 0
		for b.Loop() {
			b.StopTimer()
			dir, opts := largeSpool(b)
			next := new(taken)
			h := openBuffer(b, next, dir, opts)
			b.StartTimer()
			for h.Deliver(context.Background()).Status == buffer.Sent {
			}
			if next.records != 100_000 {
				b.Fatalf("%d records were delivered", next.records)
			}
			mustClose(b, h)
			n++
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms")
	})
}
