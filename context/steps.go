package slogctx

import (
	"context"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks/internal/stage"
)

// group returns the group that the first step opens, with all that the other
// steps and r have to stand in it.
func group(s stage.Steps, r *slog.Record) slog.Attr {
	name, inner := s[0].Group, s[1:]
	members := make([]slog.Attr, 0, size(inner, r))
	for i, step := range inner {
		if step.Group != "" {
			members = append(members, group(inner[i:], r))
			return slog.Attr{Key: name, Value: slog.GroupValue(members...)}
		}
		members = append(members, step.Attrs...)
	}
	r.Attrs(func(a slog.Attr) bool {
		members = append(members, a)
		return true
	})
	return slog.Attr{Key: name, Value: slog.GroupValue(members...)}
}

// size is how many attributes stand directly in the group that the step before
// opens.
func size(s stage.Steps, r *slog.Record) int {
	n := 0
	for _, step := range s {
		if step.Group != "" {
			return n + 1
		}
		n += len(step.Attrs)
	}
	return n + r.NumAttrs()
}

// derive returns h derived by the steps. If h panics at that, when nobody
// expects it any more, it fails every record instead.
func derive(s stage.Steps, h slog.Handler) slog.Handler {
	derived, err := apply(s, h)
	if err != nil {
		return &broken{h, err}
	}
	return derived
}

func apply(s stage.Steps, h slog.Handler) (derived slog.Handler, err error) {
	defer stage.Rescue(&err)
	for _, step := range s {
		if step.Group != "" {
			h = h.WithGroup(step.Group)
		} else {
			h = h.WithAttrs(slices.Clone(step.Attrs))
		}
	}
	return h, nil
}

// broken is a handler that panicked in WithAttrs or WithGroup.
type broken struct {
	next slog.Handler
	err  error
}

func (b *broken) Enabled(ctx context.Context, level slog.Level) bool {
	return b.next.Enabled(ctx, level)
}
func (b *broken) Handle(context.Context, slog.Record) error { return b.err }
func (b *broken) WithAttrs([]slog.Attr) slog.Handler        { return b }
func (b *broken) WithGroup(string) slog.Handler             { return b }
