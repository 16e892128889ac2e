// Unit-test is a program whose test looks at what it logs: see main_test.go.
//
//	go test ./examples/unit-test
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := charge(logger, 7, 100); err != nil {
		fmt.Fprintln(os.Stderr, "unit-test:", err)
		os.Exit(1)
	}
}

var errRefused = errors.New("card refused")

// charge takes the logger it writes to, as whatever is to be tested should.
func charge(logger *slog.Logger, order, amount int) error {
	logger = logger.With("order", order)
	if amount > 500 {
		logger.Error("payment failed", "amount", amount, "err", errRefused)
		return fmt.Errorf("order %d: %w", order, errRefused)
	}
	logger.Info("paid", "amount", amount)
	return nil
}
