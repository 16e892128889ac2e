package fingerscrossed

import (
	"context"
	"log/slog"
)

// Logger returns a logger whose records are those of the scope, whichever
// context they are logged with: for code that calls Info and not InfoContext.
// The handler of the scope may stand behind others. A logger that has nothing
// to do with it is not changed by this.
func (s *Scope) Logger(l *slog.Logger) *slog.Logger {
	if s == nil {
		return l
	}
	switch h := l.Handler().(type) {
	case *Handler:
		if h.core == s.buffer.core {
			return slog.New(&Handler{core: h.core, with: h.with, bound: s})
		}
	case *inScope:
		if h.scope.buffer.core == s.buffer.core {
			return slog.New(newInScope(h.next, s))
		}
	}
	return slog.New(newInScope(l.Handler(), s))
}

// inScope stands in front of handlers that have a Handler somewhere behind
// them, which finds its scope in the context.
type inScope struct {
	next  slog.Handler
	scope *Scope
	alone context.Context // for those who log without a context
}

func newInScope(next slog.Handler, s *Scope) *inScope {
	return &inScope{next, s, context.WithValue(context.Background(), s.buffer.core, s)}
}

func (h *inScope) context(ctx context.Context) context.Context {
	core := h.scope.buffer.core
	switch {
	case ctx == nil, ctx == context.Background():
		return h.alone
	case ctx.Value(core) == any(h.scope):
		return ctx
	}
	return context.WithValue(ctx, core, h.scope)
}

func (h *inScope) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(h.context(ctx), level)
}

func (h *inScope) Handle(ctx context.Context, r slog.Record) error {
	return h.next.Handle(h.context(ctx), r)
}

func (h *inScope) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return newInScope(h.next.WithAttrs(attrs), h.scope)
}

func (h *inScope) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return newInScope(h.next.WithGroup(name), h.scope)
}

func (h *inScope) Unwrap() slog.Handler { return h.next }
