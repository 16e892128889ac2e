package httpsink_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// BenchmarkHandleBatch includes the collector's side.
func BenchmarkHandleBatch(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	for _, size := range []int{1, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHandler(b, collector.URL, httpsink.Options{})
			var batch slogworks.Batch
			for range size {
				r := newRecord("request served", slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", 1500), slog.Bool("cached", false))
				batch.Items = append(batch.Items, slogworks.Item{Context: context.Background(), Record: r})
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := h.HandleBatch(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
