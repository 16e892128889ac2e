package slogctx

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Stack is a handler whose destinations change while the program runs. Each
// record goes to the handlers that [Bind] put into its context, the newest
// first, then to those of [Stack.Push], the newest first, then to the base
// handler. The first that wants the record is the last that gets it, unless it
// was bound with Bubble. Processors of the context run once, before any When,
// and only if a handler is enabled for the record.
//
// A Stack is safe for concurrent use if its handlers are. Those derived from it
// share what is pushed. The base handler is derived together with the Stack,
// the others when there is a first record, so that what a pointer given to
// Logger.With leads to is read only then.
//
// If one handler has got the record, its error is returned as it is; the errors
// of several are joined. If a handler bound with Bubble panics, the others get
// the record all the same, and the panic comes back as a
// [*slogworks.PanicError]; a panic in the last one is the caller's, as it is
// without a Stack.
type Stack struct {
	core    *core
	base    destination
	with    stage.Steps
	derived atomic.Pointer[derivedList]
}

// core is what derived Stacks share.
type core struct {
	pushing sync.Mutex // held by Push and pop
	pushed  atomic.Pointer[pushedList]
}

// pushedList is the handlers of Push, newest first. It never changes.
type pushedList []destination

// derivedList is the handlers of Push, derived as one Stack is.
type derivedList struct {
	from         *pushedList
	destinations pushedList
}

var _ slogworks.BatchHandler = (*Stack)(nil)

// NewStack returns a Stack over base. It panics if base is nil or is slog's own
// default handler.
func NewStack(base slog.Handler) *Stack {
	b := newBinding(base, nil)
	s := &Stack{core: new(core), base: destination{b, base}}
	s.core.pushed.Store(new(pushedList))
	return s
}

// Push puts h on top of the Stack, for all records whatever their context: of
// this Stack, of those derived from it, and of the one it was derived from. nil
// opts are as zero ones. pop takes h off again, wherever it is by then; it may
// be called in any order and more than once. A record that is on its way when
// pop is called may still reach h. Neither of them flushes h or shuts it down.
//
// h must not lead back to the Stack, as in [Bind]. Push panics if h is nil or is
// slog's own default handler.
func (s *Stack) Push(h slog.Handler, opts *Binding) (pop func()) {
	b := newBinding(h, opts)
	s.core.change(func(list pushedList) pushedList {
		return slices.Insert(list, 0, destination{b, h})
	})
	return func() {
		s.core.change(func(list pushedList) pushedList {
			return slices.DeleteFunc(list, func(d destination) bool { return d.binding == b })
		})
	}
}

func (c *core) change(f func(copied pushedList) pushedList) {
	c.pushing.Lock()
	defer c.pushing.Unlock()
	list := f(slices.Clone(*c.pushed.Load()))
	c.pushed.Store(&list)
}

// pushed returns the handlers of Push, derived as s is.
func (s *Stack) pushed() pushedList {
	list := s.core.pushed.Load()
	if len(*list) == 0 || len(s.with) == 0 {
		return *list
	}
	if d := s.derived.Load(); d != nil && d.from == list {
		return d.destinations
	}
	destinations := slices.Clone(*list)
	for i := range destinations {
		destinations[i].handler = derive(s.with, destinations[i].handler)
	}
	s.derived.Store(&derivedList{list, destinations})
	return destinations
}

// WithAttrs returns a Stack whose handlers have the attributes added.
func (s *Stack) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return s
	}
	base := s.base.handler.WithAttrs(slices.Clone(attrs))
	return &Stack{core: s.core, base: destination{s.base.binding, base}, with: s.with.WithAttrs(attrs)}
}

// WithGroup returns a Stack whose handlers have the group opened.
func (s *Stack) WithGroup(name string) slog.Handler {
	if name == "" {
		return s
	}
	base := s.base.handler.WithGroup(name)
	return &Stack{core: s.core, base: destination{s.base.binding, base}, with: s.with.WithGroup(name)}
}

// Unwrap returns the base handler and those that are pushed now. It cannot
// return those of [Bind], which only their contexts know: flush and shut them
// down where they are bound.
func (s *Stack) Unwrap() []slog.Handler {
	handlers := []slog.Handler{s.base.handler}
	for _, d := range *s.core.pushed.Load() {
		handlers = append(handlers, d.handler)
	}
	return handlers
}
