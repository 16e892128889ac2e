package fingerscrossed

import (
	"context"
	"reflect"
	"runtime"
	"time"
)

// Scope is a request, a job, whatever succeeds or fails as a whole. It is
// safe for concurrent use. All methods do nothing on a nil *Scope.
//
// A record that is logged with the scope's context after End, by a goroutine
// that outlives the request, goes by the rules outside of the scope: those of
// the scope around it, if there is one that has not ended, and else it is
// written if it is of Level or above. A scope that is never ended is ended when
// it is garbage, and counted as Abandoned; then its records are written without
// the values of their contexts.
type Scope struct {
	buffer   *buffer
	contexts *contexts // under the buffer's lock; nil until the scope is in use
}

// Begin begins a scope and returns the context that its records are logged
// with. A scope begun in the context of another is nested in it: its trigger
// releases the outer one first, and what it still holds when it ends is held by
// the outer one from then on, if that one still holds. The trigger of the outer
// one does not release it. A nil ctx is taken for context.Background(). Begin does
// not block.
//
//	ctx, scope := h.Begin(ctx)
//	defer scope.End(&err)
func (h *Handler) Begin(ctx context.Context) (context.Context, *Scope) {
	if ctx == nil {
		ctx = context.Background()
	}
	c := h.core
	c.check(ctx)
	outer := h.Scope(ctx).live()
	if outer == nil {
		outer = c.process.live()
	}
	inside := &scopeContext{ctx, Scope{buffer: newBuffer(c, outer)}}
	s := &inside.scope
	if c.Slow > 0 {
		s.buffer.began = time.Now()
	}
	c.scopes.Add(1)
	return inside, s
}

// scopeContext is what context.WithValue would make for a scope, and the scope:
// each request needs both.
type scopeContext struct {
	context.Context
	scope Scope
}

// Value returns the scope for the handler's key.
func (c *scopeContext) Value(key any) any {
	if key == any(c.scope.buffer.core) {
		return &c.scope
	}
	return c.Context.Value(key)
}

// Do calls f in a scope of its own and returns what f returns. An error of f
// releases what the scope holds, and so does a panic, which goes on.
func (h *Handler) Do(ctx context.Context, f func(context.Context) error) (err error) {
	ctx, s := h.Begin(ctx)
	defer s.End(&err)
	return f(ctx)
}

// Scope returns the scope of this handler that ctx is in, or nil. It may have
// ended.
func (h *Handler) Scope(ctx context.Context) *Scope {
	if h.bound != nil || ctx == nil {
		return h.bound
	}
	s, _ := ctx.Value(h.core).(*Scope)
	return s
}

// Process returns the buffer of the whole process as a scope, nil unless
// Options.Process is set. Its End writes or drops what is held and holds again.
func (h *Handler) Process() *Scope { return h.core.process }

// End ends the scope. It has to be deferred itself, not called by a deferred
// function, to see a panic. What is held is released if *errp is not nil, on a
// panic, and if the scope took longer than Options.Slow; otherwise the records
// of Level and above are written and the others are dropped. Leaving by
// runtime.Goexit or with http.ErrAbortHandler is no failure. A panic goes on. A
// nil errp stands for no error. End returns when all is written; errors of
// writing go to Options.OnError. It may be called again, and does nothing then.
func (s *Scope) End(errp *error) {
	p := recover()
	if s != nil {
		s.buffer.end(s, p != nil && !isAbort(p) || errp != nil && *errp != nil || s.buffer.isSlow())
	}
	if p != nil {
		panic(p)
	}
}

// isAbort reports whether p is http.ErrAbortHandler. It goes by the text, since
// net/http would double the size of a program that does not use it.
func isAbort(p any) bool {
	return reflect.TypeOf(p) == reflect.TypeOf(ErrClosed) && p.(error).Error() == "net/http: abort Handler"
}

// Trigger releases what the scope holds, as a record of the level Trigger
// would, and what the scopes around it hold. It returns the errors of writing
// when all is written.
func (s *Scope) Trigger() error { return wrap(s.trigger()) }

func (s *Scope) trigger() error {
	if s == nil {
		return nil
	}
	defer runtime.KeepAlive(s) // its contexts are needed until the end
	b := s.buffer
	b.mu.Lock()
	if b.state.Load() >= passing {
		b.mu.Unlock()
		return nil
	}
	return b.release()
}

// Discard drops what the scope holds, of whatever level, and counts it as
// Discarded. The scope goes on holding; one that was released has nothing to
// drop.
func (s *Scope) Discard() {
	if s == nil {
		return
	}
	b := s.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.awaitIdle() || b.state.Load() != armed {
		return
	}
	b.stats.Discarded += uint64(b.held.len)
	b.held.clear()
	s.contexts.clear()
	b.lost = nil
	b.giveBack()
}

// Stats returns the counts of the scope, without those of scopes nested in it
// that have not ended.
func (s *Scope) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	s.buffer.mu.Lock()
	defer s.buffer.mu.Unlock()
	return s.buffer.snapshot()
}

// live returns the scope, or the innermost around it that has not ended, or
// nil.
func (s *Scope) live() *Scope {
	for s != nil && s.buffer.state.Load() >= ending {
		s = s.buffer.parent
	}
	return s
}
