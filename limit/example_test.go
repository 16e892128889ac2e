package limit_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/limit"
)

// printer writes text without times.
func printer() slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime {
				return slog.Attr{}
			}
			return a
		},
	})
}

func Example() {
	h := limit.New(printer(), &limit.Options{First: 2, Window: time.Minute})
	logger := slog.New(h).With("disk", 3)
	for i := range 60 {
		logger.Error("disk full", "attempt", i)
	}
	logger.Info("another kind")
	// In a program the summary comes when the minute is over.
	h.Close()
	fmt.Printf("%+v\n", h.Account())
	// Output:
	// level=ERROR msg="disk full" disk=3 attempt=0
	// level=ERROR msg="disk full" disk=3 attempt=1
	// level=INFO msg="another kind" disk=3
	// level=ERROR msg="disk full (58 more)" disk=3 limit.count=58
	// {Stage:limit Accepted:61 Delivered:3 Held:0 Dropped:map[closed:0 rate:0 sampled:0 suppressed:58]}
}

func ExampleOptions_kind() {
	// All messages about one customer are of one kind; others are not limited.
	h := limit.New(printer(), &limit.Options{
		First: 1,
		Kind: func(_ context.Context, v slogworks.View) string {
			customer, ok := v.Attr("customer")
			if !ok {
				return ""
			}
			return customer.String()
		},
	})
	defer h.Close()
	acme := slog.New(h).With("customer", "acme")
	acme.Info("order placed")
	acme.Warn("order refused")
	acme.Info("order placed")
	slog.New(h).Info("order of nobody")
	slog.New(h).Info("order of nobody")
	// Output:
	// level=INFO msg="order placed" customer=acme
	// level=INFO msg="order of nobody"
	// level=INFO msg="order of nobody"
	// level=WARN msg="order refused (2 more)" customer=acme limit.count=2
}

func ExampleOptions_rate() {
	h := limit.New(printer(), &limit.Options{Rate: slogworks.Rate{N: 2, Per: time.Hour}})
	defer h.Close()
	logger := slog.New(h)
	for _, item := range strings.Fields("tea milk sugar salt") {
		logger.Info("sold " + item)
	}
	// Output:
	// level=INFO msg="sold tea"
	// level=INFO msg="sold milk"
	// level=WARN msg="slogworks: records dropped" stage=limit dropped=2 by_level.INFO=2 reason=rate
}

func ExampleSample() {
	h := limit.New(slog.NewTextHandler(io.Discard, nil), &limit.Options{
		First:  -1,
		Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 10}},
	})
	logger := slog.New(h)
	for range 1000 {
		logger.Info("request served")
		logger.Warn("request slow")
	}
	fmt.Println(h.Stats().Passed, "passed,", h.Stats().Sampled, "dropped")
	h.Close()
	// Output:
	// 1100 passed, 900 dropped
}
