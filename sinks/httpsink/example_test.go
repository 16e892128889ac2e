package httpsink_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// withoutTime leaves out what is different every day.
func withoutTime(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

// A program logs to a collector, here one that prints what it gets, through a
// queue. NewHandler says what the lines look like.
func Example() {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer k3f9" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(string(body))
	}))
	defer collector.Close()

	sink := httpsink.New(collector.URL+"/in", &httpsink.Options{Bearer: "k3f9", NewHandler: withoutTime})
	q := queue.New(sink, &queue.Options{MaxBatch: 500})
	logger := slogworks.Named(slog.New(q), "shop.db")
	logger.Warn("slow query", "took", 1500*time.Millisecond)
	logger.Error("no answer", slog.Group("peer", "host", "db1"))

	// Waits until all is delivered.
	if err := slogworks.Shutdown(context.Background(), q); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"level":"WARN","msg":"slow query","logger":"shop.db","took":1500000000}
	// {"level":"ERROR","msg":"no answer","logger":"shop.db","peer":{"host":"db1"}}
}

func ExampleCheck() {
	fmt.Println(httpsink.Check("logs.example.com", nil))
	fmt.Println(httpsink.Check("https://logs.example.com/in", &httpsink.Options{Bearer: "k3f9\n"}))
	// Output:
	// httpsink: the URL must be http://HOST/PATH or https://HOST/PATH
	// httpsink: Bearer has a character that no header can have, perhaps a line feed at its end
}
