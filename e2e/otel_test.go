package e2e_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	slogctx "github.com/slogworks/slogworks/context"
)

// traceIDs are the attributes by which records find their span.
func traceIDs(ctx context.Context) []slog.Attr {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return nil
	}
	return []slog.Attr{
		slog.String("trace_id", span.TraceID().String()),
		slog.String("span_id", span.SpanID().String()),
	}
}

func inSpan(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
		SpanID:  trace.SpanID{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
	}))
}

// The ids of OpenTelemetry's current span on every record that is logged in it.
func Example_openTelemetry() {
	withoutTime := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	logger := slog.New(slogctx.New(text, &slogctx.Options{
		Extract: []func(context.Context) []slog.Attr{traceIDs},
	}))

	logger.InfoContext(context.Background(), "started")
	logger.InfoContext(inSpan(context.Background()), "order placed", "order", 7)
	// Output:
	// level=INFO msg=started
	// level=INFO msg="order placed" trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 order=7
}

func TestExtract_addsTraceIDsAtTheRoot(t *testing.T) {
	var output strings.Builder
	h := slogctx.New(slog.NewJSONHandler(&output, nil), &slogctx.Options{
		Extract: []func(context.Context) []slog.Attr{traceIDs},
	})
	slog.New(h).WithGroup("http").With("method", "GET").InfoContext(inSpan(t.Context()), "request", "status", 200)

	var record map[string]any
	if err := json.Unmarshal([]byte(output.String()), &record); err != nil {
		t.Fatal(err)
	}
	if record["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" || record["span_id"] != "00f067aa0ba902b7" {
		t.Errorf("the ids are not at the root of %v", record)
	}
	if group, ok := record["http"].(map[string]any); !ok || len(group) != 2 {
		t.Errorf("the group is %v", record["http"])
	}
}
