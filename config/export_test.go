package config

import (
	"context"
	"log/slog"
)

// NewSwap gives tests the handler that follows replacements.
func NewSwap(next slog.Handler) *swap { return newSwap(next) }

// Replace returns what waits until no call is in the former handler.
func (s *swap) Replace(next slog.Handler) (drain func(context.Context) int) {
	return s.replace(next).drain
}
