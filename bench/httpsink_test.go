package bench_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// posting is a way to post records.
type posting struct {
	name string
	size int // records at a time
	opts httpsink.Options
}

var postings = []posting{
	{"lines/1", 1, httpsink.Options{}},
	{"lines/64", 64, httpsink.Options{}},
	{"lines/500", 500, httpsink.Options{}},
	{"array/500", 500, httpsink.Options{Format: httpsink.Array}},
	{"wire/500", 500, httpsink.Options{Format: httpsink.Wire}},
	{"gzip/500", 500, httpsink.Options{Gzip: true}},
	{"gzip signed/500", 500, httpsink.Options{Gzip: true, HMACKey: []byte("the key")}},
}

// variedBatch returns records that differ as those of requests do, so that
// compressing them is work.
func variedBatch(n int) slogworks.Batch {
	random := rand.New(rand.NewPCG(1, 2))
	b := slogworks.Batch{}
	for i := range n {
		r := slog.NewRecord(noon.Add(time.Duration(i)*time.Millisecond+time.Duration(random.IntN(1000))), slog.LevelInfo, message, 0)
		r.AddAttrs(
			slog.String("request", strconv.FormatUint(random.Uint64(), 16)),
			slog.Int("status", 200),
			slog.Duration("took", time.Duration(random.IntN(1_000_000_000))),
			slog.Bool("cached", random.IntN(2) == 0),
			slog.Uint64("bytes", random.Uint64N(1<<20)),
		)
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	return b
}

// newPosting returns a handler whose collector calls read with each body.
func newPosting(tb testing.TB, opts httpsink.Options, read func(body io.Reader)) *httpsink.Handler {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read(r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	h := httpsink.New(collector.URL, &opts)
	tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
		collector.Close()
	})
	return h
}

// A measurement ends with the answer to the last request.
func BenchmarkHTTPSink(b *testing.B) {
	for _, p := range postings {
		b.Run(p.name, func(b *testing.B) {
			h := newPosting(b, p.opts, func(body io.Reader) { _, _ = io.Copy(io.Discard, body) })
			batch := variedBatch(p.size)
			sent := 0
			began := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if err := h.HandleBatch(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				sent += p.size
			}
			b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "records/s")
		})
	}
}

// Every record arrives, in whatever form.
func TestHTTPSink_workIsDone(t *testing.T) {
	for _, p := range postings {
		t.Run(p.name, func(t *testing.T) {
			var n atomic.Int64
			h := newPosting(t, p.opts, func(body io.Reader) {
				if p.opts.Gzip {
					z, err := gzip.NewReader(body)
					if err != nil {
						t.Error(err)
						return
					}
					body = z
				}
				all, err := io.ReadAll(body)
				if err != nil {
					t.Error(err)
				}
				n.Add(int64(bytes.Count(all, []byte(strconv.Quote(message)))))
			})
			if err := h.HandleBatch(t.Context(), variedBatch(p.size)); err != nil {
				t.Fatal(err)
			}
			if n.Load() != int64(p.size) {
				t.Errorf("%d of %d records arrived", n.Load(), p.size)
			}
		})
	}
}
