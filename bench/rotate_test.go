package bench_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/DeRuina/timberjack"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	rotatelumberjack "github.com/slogworks/slogworks/rotate/lumberjack"
	"gopkg.in/natefinch/lumberjack.v2"
)

// line is a record of 200 bytes.
var line = []byte(strings.Repeat("x", 199) + "\n")

// writerSubject is something that writes lines to a file.
type writerSubject struct {
	name string
	open func(tb testing.TB, path string, megabytes int, compress bool) io.WriteCloser
}

func openRotate(opts rotate.Options) func(testing.TB, string, int, bool) io.WriteCloser {
	return func(tb testing.TB, path string, megabytes int, compress bool) io.WriteCloser {
		opts := opts
		opts.MaxBytes, opts.MaxBackups, opts.Compress = int64(megabytes)<<20, 1, compress
		file, err := rotate.Open(path, &opts)
		if err != nil {
			tb.Fatal(err)
		}
		return file
	}
}

func openLumberjack(_ testing.TB, path string, megabytes int, compress bool) io.WriteCloser {
	return &lumberjack.Logger{Filename: path, MaxSize: megabytes, MaxBackups: 1, Compress: compress}
}

var (
	osFile = writerSubject{"os", func(tb testing.TB, path string, _ int, _ bool) io.WriteCloser {
		return openLog(tb, path)
	}}
	rotators = []writerSubject{
		{"rotate", openRotate(rotate.Options{})},
		{"rotate/daily", openRotate(rotate.Options{Schedule: rotate.Daily(0, 0, nil)})},
		{"rotate/shared", openRotate(rotate.Options{Shared: true})},
		{"rotate/buffer", openRotate(rotate.Options{Buffer: 64 << 10})},
		{"rotate/lumberjack", func(tb testing.TB, path string, megabytes int, compress bool) io.WriteCloser {
			file, err := rotatelumberjack.Open(&lumberjack.Logger{Filename: path, MaxSize: megabytes, MaxBackups: 1, Compress: compress}, nil)
			if err != nil {
				tb.Fatal(err)
			}
			return file
		}},
		{"lumberjack", openLumberjack},
		{"timberjack", func(_ testing.TB, path string, megabytes int, compress bool) io.WriteCloser {
			compression := "none"
			if compress {
				compression = "gzip"
			}
			return &timberjack.Logger{Filename: path, MaxSize: megabytes, MaxBackups: 1, Compression: compression}
		}},
	}
)

// rotatorsNamed returns some of the rotators.
func rotatorsNamed(names ...string) []writerSubject {
	return slices.DeleteFunc(slices.Clone(rotators), func(s writerSubject) bool { return !slices.Contains(names, s.name) })
}

func mustWrite(tb testing.TB, w io.Writer, p []byte) {
	if _, err := w.Write(p); err != nil {
		tb.Fatal(err)
	}
}

func mustClose(tb testing.TB, c io.Closer) {
	if err := c.Close(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkRotate(b *testing.B) {
	for _, s := range slices.Insert(slices.Clone(rotators), 0, osFile) {
		b.Run(s.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "app.log")
			w := s.open(b, path, 1<<10, false)
			defer mustClose(b, w)
			b.ReportAllocs()
			lines := 0
			for b.Loop() {
				mustWrite(b, w, line)
				lines++
				if lines%50_000 == 0 {
					// The system slows down whoever writes more than the disk
					// takes, which is not what is measured.
					b.StopTimer()
					if err := os.Truncate(path, 0); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkRotateQueue is what one goroutine gets into a file in a row: by the
// handler of slog on the file, and through a queue that hands on batches.
func BenchmarkRotateQueue(b *testing.B) {
	for _, queued := range []bool{false, true} {
		name := "sync"
		if queued {
			name = "queue"
		}
		b.Run(name, func(b *testing.B) {
			file := openRotate(rotate.Options{})(b, filepath.Join(b.TempDir(), "app.log"), 64, false).(*rotate.File)
			defer mustClose(b, file)
			var h slog.Handler = slog.NewJSONHandler(file, nil)
			flush := none
			if queued {
				q := newQueue(b, rotate.NewHandler(file, nil), &queue.Options{BlockAll: true, MaxBlock: time.Minute})
				h, flush = q, func() { flushQueue(b, q) }
			}
			var took time.Duration
			rows := 0
			for b.Loop() {
				began := time.Now()
				logInARow(h, rowSize)
				flush()
				took += time.Since(began)
				rows++
			}
			b.ReportMetric(float64(rows)*rowSize/took.Seconds(), "records/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkRotateLarge reports the median of the writes that rotate a file of
// 100 MB, of which there are 20 in a row.
func BenchmarkRotateLarge(b *testing.B) {
	const megabytes = 100
	block := bytes.Repeat(line, (1<<20)/len(line))
	for _, s := range rotatorsNamed("rotate", "rotate/lumberjack", "lumberjack", "timberjack") {
		b.Run(s.name, func(b *testing.B) {
			dir := b.TempDir()
			w := s.open(b, filepath.Join(dir, "app.log"), megabytes, false)
			var took []time.Duration
			size := 0
			write := func(p []byte) time.Duration {
				began := time.Now()
				mustWrite(b, w, p)
				return time.Since(began)
			}
			for b.Loop() {
				for range 20 {
					for size+len(block) <= megabytes<<20 {
						write(block)
						size += len(block)
					}
					for size+len(line) <= megabytes<<20 {
						write(line)
						size += len(line)
					}
					took = append(took, write(line))
					size = len(line)
				}
			}
			mustClose(b, w)
			reportMedian(b, took)
		})
	}
	// What no rotation can do without.
	b.Run("create", func(b *testing.B) {
		dir := b.TempDir()
		var took []time.Duration
		for b.Loop() {
			if len(took) == 200 {
				continue // are enough
			}
			for range 20 {
				began := time.Now()
				file, err := os.Create(filepath.Join(dir, fmt.Sprint(len(took))))
				took = append(took, time.Since(began))
				if err != nil {
					b.Fatal(err)
				}
				mustClose(b, file)
			}
		}
		reportMedian(b, took)
	})
}

func reportMedian(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e6, "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds())/1e6, "slowest-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRotateGzip reports how long writes take while files of 10 MB are
// rotated and compressed in the background.
func BenchmarkRotateGzip(b *testing.B) {
	var text bytes.Buffer
	logInARow(slog.NewJSONHandler(&text, nil), 1)
	for _, s := range slices.Insert(rotatorsNamed("rotate", "lumberjack", "timberjack"), 0, osFile) {
		b.Run(s.name, func(b *testing.B) {
			w := s.open(b, filepath.Join(b.TempDir(), "app.log"), 10, true)
			var h histogram
			began := time.Now()
			for b.Loop() {
				for range 300_000 {
					before := time.Since(began)
					mustWrite(b, w, text.Bytes())
					h.add(time.Since(began) - before)
				}
			}
			mustClose(b, w)
			b.ReportMetric(h.quantile(0.5), "p50-ns")
			b.ReportMetric(h.quantile(0.99), "p99-ns")
			b.ReportMetric(h.quantile(0.9999), "p99.99-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// All write the same lines, keep a backup and, if told to, compress it.
func TestRotate_writesTheSame(t *testing.T) {
	for _, s := range rotators {
		for _, compress := range []bool{false, true} {
			if compress && s.name == "rotate/shared" {
				continue // leaves the newest backups as they are
			}
			t.Run(fmt.Sprint(s.name, " compress ", compress), func(t *testing.T) {
				dir := t.TempDir()
				w := s.open(t, filepath.Join(dir, "app.log"), 1, compress)
				fits := (1 << 20) / len(line)
				const more = 100
				for range fits + more {
					mustWrite(t, w, line)
				}
				mustClose(t, w)
				want := map[bool]int{true: fits, false: more} // by whether it is the backup
				for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
					got := countLines(t, dir, compress)
					if got[true] == want[true] && got[false] == want[false] {
						break
					}
					if time.Now().After(deadline) { // a peer does not wait for its compression in Close
						t.Fatalf("the backup and the file have %v lines, want %v", got, want)
					}
				}
			})
		}
	}
}

func countLines(t *testing.T, dir string, compressed bool) map[bool]int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[bool]int{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue // removed in this moment
		}
		backup := entry.Name() != "app.log"
		if backup && strings.HasSuffix(entry.Name(), ".gz") != compressed {
			continue
		}
		if backup && compressed {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				continue
			}
			if text, err = io.ReadAll(z); err != nil {
				continue
			}
		}
		counts[backup] += bytes.Count(text, line)
	}
	return counts
}
