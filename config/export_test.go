package config

import (
	"context"
	"log/slog"
)

// NewSwap gives tests the handler that follows replacements.
func NewSwap(next slog.Handler) *swap { return newSwap(next) }

// Enter looks for the current handler and returns what then enters it, or reports
// false.
func (s *swap) Enter() (enter func() bool) {
	g := s.to.Load()
	return func() bool { return s.counts(g, &g.inFlight[0].calls) }
}

// Replace returns what waits until no call is in the former handler.
func (s *swap) Replace(next slog.Handler) (drain func(context.Context) int) {
	return s.replace(next).drain
}
