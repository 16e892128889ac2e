package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/memory"
)

// charge is what the examples test.
func charge(logger *slog.Logger, order int) {
	logger = logger.With("order", order)
	logger.Info("charging")
	logger.WithGroup("card").Error("payment failed", "err", errors.New("card expired"), "year", 2019)
}

// A test asks what was logged. In a test, One takes the *testing.T.
func Example() {
	t := stdoutT()
	logs := memory.New(nil)
	charge(slog.New(logs), 7)

	fmt.Println(logs.Len(), logs.HasError("payment failed"), logs.InOrder("charging", "payment failed"))

	failed := logs.Level(slog.LevelError).Message("payment failed").Attr("order", 7).One(t)
	year, _ := failed.Attr("card", "year")
	fmt.Println(year)
	// Output:
	// 2 true true
	// 2019
}

// Filters narrow down one after the other, and a query sees what is logged
// after it was made.
func ExampleQuery() {
	logs := memory.New(nil)
	expired := logs.Level(slog.LevelError).Attr("card", "year", 2019)
	fmt.Println(expired.Len())

	charge(slog.New(logs), 7)
	charge(slog.New(logs), 8)
	for v := range expired.Records() {
		order, _ := v.Attr("order")
		fmt.Println(v.Message(), order)
	}
	// Output:
	// 0
	// payment failed 7
	// payment failed 8
}

// A failure says what was asked for and what was there.
func ExampleQuery_One() {
	t := stdoutT()
	logs := memory.New(nil)
	charge(slog.New(logs), 7)

	logs.Level(slog.LevelWarn).Attr("order", 7).One(t)
	// Output:
	// memory: no record for Level(WARN).Attr("order", 7); there are 2 records:
	// 	level=INFO msg=charging order=7
	// 	level=ERROR msg="payment failed" order=7 card.err="card expired" card.year=2019
}

type tenantKey struct{}

// A record keeps the values of the context it was logged with.
func ExampleQuery_Where() {
	logs := memory.New(nil)
	ctx := context.WithValue(context.Background(), tenantKey{}, "acme")
	slog.New(logs).InfoContext(ctx, "signed in")

	ofAcme := func(ctx context.Context, _ slogworks.View) bool {
		return ctx.Value(tenantKey{}) == "acme"
	}
	fmt.Println(logs.Where(ofAcme).Len())
	// Output: 1
}

// WaitFor lets a test follow a goroutine by what it logs.
func ExampleHandler_WaitFor() {
	logs := memory.New(nil)
	logger := slog.New(logs)
	go func() { logger.Info("listening", "port", 8080) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	v, err := logs.WaitFor(ctx, "listening")
	port, _ := v.Attr("port")
	fmt.Println(port, err)
	// Output: 8080 <nil>
}

// A test that fails shows its log; one that logs an unexpected error fails.
// Dump comes first, so that it runs after FailOn had its say.
func ExampleHandler_Dump() {
	t := stdoutT()
	logs := memory.New(nil)
	logs.Dump(t)
	logs.FailOn(t, slog.LevelError, "cache unreachable")

	slog.New(logs).Error("cache unreachable")
	slog.New(logs).Error("database unreachable", "attempt", 3)

	t.end()
	// Output:
	// memory: 1 record at ERROR or above:
	// 	level=ERROR msg="database unreachable" attempt=3
	// memory: there are 2 records:
	// 	level=ERROR msg="cache unreachable"
	// 	level=ERROR msg="database unreachable" attempt=3
}

// stdoutT stands in for the *testing.T of a test; it prints.
func stdoutT() *fakeT { return &fakeT{out: os.Stdout} }
