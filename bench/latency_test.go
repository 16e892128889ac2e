package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	phuslu "github.com/phuslu/log"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
	"github.com/slogworks/slogworks/queue"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// fileSubject is a logger that writes JSON into a file.
type fileSubject struct {
	name string
	// open returns what logs the record, and what has buffered lines written.
	open func(tb testing.TB, path string) (log, flush func())
}

// slogCall returns the call of a handler.
func slogCall(h slog.Handler) func() {
	logger := slog.New(h)
	ctx := context.Background()
	return func() { logger.LogAttrs(ctx, slog.LevelInfo, message, attrs...) }
}

func none() {}

var fileSubjects = []fileSubject{
	{"sync", func(tb testing.TB, path string) (log, flush func()) {
		return slogCall(slog.NewJSONHandler(openLog(tb, path), nil)), none
	}},
	{"queue", func(tb testing.TB, path string) (log, flush func()) {
		h := slog.NewJSONHandler(openLog(tb, path), nil)
		return slogCall(newQueue(tb, h, &queue.Options{Capacity: queueCapacity})), none
	}},
	{"channel", func(tb testing.TB, path string) (log, flush func()) {
		h := slog.NewJSONHandler(openLog(tb, path), nil)
		return slogCall(newChannel(tb, h, queueCapacity, false)), none
	}},
	{"phuslu", openPhuslu},
	{"zerolog", openZerologDiode},
	{"zap", openZap},
}

// openPhuslu uses phuslu's own file, for which it has a way to write many lines
// at once.
func openPhuslu(tb testing.TB, path string) (log, flush func()) {
	// The path becomes a link, made in the background with this call at the end.
	linked := make(chan struct{})
	file := &phuslu.FileWriter{Filename: path, Cleaner: func(string, int, []fs.FileInfo) { close(linked) }}
	if err := file.Rotate(); err != nil {
		tb.Fatal(err)
	}
	<-linked
	writer := &phuslu.AsyncWriter{ChannelSize: queueCapacity, Writer: file}
	tb.Cleanup(func() {
		if err := writer.Close(); err != nil {
			tb.Error(err)
		}
	})
	logger := phuslu.Logger{Level: phuslu.InfoLevel, Writer: writer}
	return func() {
		logger.Info().
			Str("tenant", "acme").
			Int("status", 200).
			Int64("took", int64(1500*time.Microsecond)). // Dur writes milliseconds
			Bool("cached", false).
			Uint64("bytes", 4096).
			Msg(message)
	}, none
}

// zerolog has settings for the process alone. These give what slog gives.
func init() {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.DurationFieldFormat = zerolog.DurationFormatInt
	zerolog.DurationFieldUnit = time.Nanosecond
}

// openZerologDiode polls as the README of zerolog does.
func openZerologDiode(tb testing.TB, path string) (log, flush func()) {
	missed := func(n int) { tb.Errorf("the diode missed %d lines", n) }
	writer := diode.NewWriter(openLog(tb, path), queueCapacity, 10*time.Millisecond, missed)
	tb.Cleanup(func() { writer.Close() })
	return zerologCall(zerolog.New(writer).With().Timestamp().Logger(), zerolog.InfoLevel), none
}

func zerologCall(logger zerolog.Logger, level zerolog.Level) func() {
	return func() {
		logger.WithLevel(level).
			Str("tenant", "acme").
			Int("status", 200).
			Dur("took", 1500*time.Microsecond).
			Bool("cached", false).
			Uint64("bytes", 4096).
			Msg(message)
	}
}

func openZap(tb testing.TB, path string) (log, flush func()) {
	config := zap.NewProductionEncoderConfig()
	config.TimeKey = "time"
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncodeDuration = zapcore.NanosDurationEncoder
	// Without the file's Sync, which would wait for the disk.
	file := struct{ io.Writer }{openLog(tb, path)}
	writer := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(file)}
	tb.Cleanup(func() {
		if err := writer.Stop(); err != nil {
			tb.Error(err)
		}
	})
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(config), writer, zap.InfoLevel))
	fields := []zap.Field{
		zap.String("tenant", "acme"),
		zap.Int("status", 200),
		zap.Duration("took", 1500*time.Microsecond),
		zap.Bool("cached", false),
		zap.Uint64("bytes", 4096),
	}
	return func() { logger.Info(message, fields...) }, func() {
		if err := writer.Sync(); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkQueueLatency logs in bursts, after each of which it waits until all
// lines are in the file, and reports how long the calls took.
func BenchmarkQueueLatency(b *testing.B) {
	for _, goroutines := range []int{1, 4, 16} {
		for _, s := range fileSubjects {
			b.Run(strconv.Itoa(goroutines)+"/"+s.name, func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "app.log")
				log, flush := s.open(b, path)
				lines := follow(b, path)
				calls := make([]histogram, goroutines)
				once := func() {
					burst(log, calls)
					flush()
					lines.wait(b, burstSize)
					lines.clear(b)
				}
				// The first burst is not measured: it grows what later ones use.
				once()
				clear(calls)
				for b.Loop() {
					once()
				}
				for i := range calls[1:] {
					calls[0].merge(&calls[1+i])
				}
				b.ReportMetric(calls[0].quantile(0.5), "p50-ns")
				b.ReportMetric(calls[0].quantile(0.99), "p99-ns")
				b.ReportMetric(calls[0].quantile(0.999), "p99.9-ns")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// burst has a goroutine for each of the histograms log its part of the burst.
func burst(log func(), calls []histogram) {
	start := make(chan struct{})
	began := time.Now()
	var callers sync.WaitGroup
	for i := range calls {
		h := &calls[i]
		callers.Go(func() {
			<-start
			for range burstSize / len(calls) {
				// Since takes half the time of Now.
				before := time.Since(began)
				log()
				h.add(time.Since(began) - before)
			}
		})
	}
	close(start)
	callers.Wait()
}

// Loggers differ in the order of keys, in the name of that of the message, in
// the case of the level and in the digits of the time. All else is the same.
func TestQueueLatency_writesTheSameKeysAndValues(t *testing.T) {
	for _, s := range fileSubjects {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.log")
			log, flush := s.open(t, path)
			log()
			flush()
			follow(t, path).wait(t, 1)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkLine(t, text, "info")
		})
	}
}

// checkLine shows that the line of JSON has the level, the message, a time that
// is now, the attributes, and nothing else.
func checkLine(t *testing.T, text []byte, level string) {
	t.Helper()
	line := map[string]any{}
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	logged, err := time.Parse(time.RFC3339Nano, line["time"].(string))
	if err != nil || time.Since(logged).Abs() > time.Hour {
		t.Errorf("the time is %v, want a text of the time it is", line["time"])
	}
	if !strings.EqualFold(line["level"].(string), level) {
		t.Errorf("the level is %v, want %s", line["level"], level)
	}
	if line["msg"] == nil {
		line["msg"] = line["message"]
	}
	for _, key := range []string{"time", "level", "message"} {
		delete(line, key)
	}
	want := map[string]any{
		"msg": message, "tenant": "acme", "status": 200.0, "took": 1.5e6, "cached": false, "bytes": 4096.0,
	}
	if !maps.Equal(line, want) {
		t.Errorf("the line has %v, want %v", line, want)
	}
}

func TestBurst_logsAllOfIt(t *testing.T) {
	for _, goroutines := range []int{1, 4, 16} {
		calls := make([]histogram, goroutines)
		var lines bytes.Buffer
		burst(slogCall(slog.NewJSONHandler(&lines, nil)), calls)
		if n := bytes.Count(lines.Bytes(), []byte("\n")); n != burstSize {
			t.Errorf("%d goroutines: %d lines, want %d", goroutines, n, burstSize)
		}
		for i := range calls {
			n := 0
			for _, m := range calls[i] {
				n += int(m)
			}
			if n != burstSize/goroutines {
				t.Errorf("%d goroutines: %d calls counted for one of them, want %d", goroutines, n, burstSize/goroutines)
			}
		}
	}
}
