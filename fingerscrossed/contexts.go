package fingerscrossed

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// contexts are those of the records that a scope holds, in the same order. They
// lead back to the scope, and nothing but the scope leads to them: a handler
// that knew them by more than a weak pointer would keep every scope alive that
// nobody ends. When they are garbage, so is their scope.
type contexts struct {
	queue []context.Context
	first int // those before are gone

	self  weak.Pointer[contexts]
	owner *atomic.Pointer[buffer] // whose they are; nil if nobody's
}

// contextsPool is there because a weak pointer and a cleanup cost more than all
// else that a scope needs. Those of contexts stay when these are used again.
var contextsPool sync.Pool

// newContexts returns contexts for b.
func newContexts(b *buffer) *contexts {
	v, ok := contextsPool.Get().(*contexts)
	if !ok {
		v = &contexts{owner: new(atomic.Pointer[buffer])}
		v.self = weak.Make(v)
		runtime.AddCleanup(v, abandon, v.owner)
	}
	v.owner.Store(b)
	return v
}

// abandon ends the scope of contexts that are garbage.
func abandon(owner *atomic.Pointer[buffer]) {
	if b := owner.Load(); b != nil {
		go b.abandoned() // writes records, which other cleanups should not wait for
	}
}

// release gives them to somebody else, and so the room that the last ones took.
func (v *contexts) release(last []context.Context) {
	v.owner.Store(nil)
	clear(last)
	v.queue, v.first = last[:0], 0
	if cap(last) > maxPooled {
		v.queue = nil
	}
	contextsPool.Put(v)
}

// maxPooled is how much room for contexts is worth keeping.
const maxPooled = 1024

func (v *contexts) push(ctx context.Context) { v.queue = append(v.queue, ctx) }

// pop removes the oldest n. On nil, the contexts of a scope that is garbage, it
// and the other methods do nothing.
func (v *contexts) pop(n int) {
	if v == nil {
		return
	}
	clear(v.queue[v.first : v.first+n])
	v.first += n
	if v.first == len(v.queue) {
		v.queue, v.first = v.queue[:0], 0
	} else if v.first > 64 && v.first > len(v.queue)/2 {
		rest := copy(v.queue, v.queue[v.first:])
		clear(v.queue[rest:])
		v.queue, v.first = v.queue[:rest], 0
	}
}

// take removes the oldest n and returns them.
func (v *contexts) take(n int) []context.Context {
	if v == nil {
		return nil
	}
	if n == len(v.queue)-v.first {
		taken := v.queue[v.first:]
		v.queue, v.first = nil, 0
		return taken
	}
	taken := slices.Clone(v.queue[v.first : v.first+n])
	v.pop(n)
	return taken
}

func (v *contexts) clear() {
	if v != nil {
		v.pop(len(v.queue) - v.first)
	}
}

// records are records on their way, with their contexts.
type records struct {
	list
	contexts []context.Context // one for each; nil if they are lost
	popped   int
	lost     *loss // those that were dropped before; nil for none
}

// front returns the oldest record and its context.
func (r *records) front() (*entry, context.Context) {
	if r.contexts == nil {
		return r.list.front(), context.Background()
	}
	return r.list.front(), r.contexts[r.popped]
}

// last returns the newest record and its context.
func (r *records) last() (*entry, context.Context) {
	if r.contexts == nil {
		return r.list.last(), context.Background()
	}
	return r.list.last(), r.contexts[len(r.contexts)-1]
}

func (r *records) pop() {
	r.list.pop()
	r.popped++
}

// replay makes the contexts that records are written with after Handle has
// returned: they have the values of those the records were logged with, end
// when a Shutdown gives up, and are in no scope, so that what the next handler
// logs with them is not held behind what it is writing.
type replay struct {
	core *core
	from context.Context
	made context.Context
}

// context returns the context for a record that was logged with from. Mostly
// that is the same one as for the record before.
func (r *replay) context(from context.Context) context.Context {
	if r.made == nil || !same(r.from, from) {
		r.from = from
		r.made = &replayed{Context: r.core.life, values: context.WithoutCancel(from), core: r.core}
	}
	return r.made
}

// same reports whether two contexts are known to be the same. Others than
// pointers may be of a type that == panics on.
func same(a, b context.Context) bool {
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && t.Kind() == reflect.Pointer && a == b
}

type replayed struct {
	context.Context
	values context.Context
	core   *core
}

// Value returns the value that the record was logged with.
func (r *replayed) Value(key any) any {
	if key == any(r.core) {
		return (*Scope)(nil)
	}
	return r.values.Value(key)
}

// AfterFunc spares package context a goroutine for each context that is derived
// with a cancellation of its own.
func (r *replayed) AfterFunc(f func()) func() bool { return context.AfterFunc(r.Context, f) }
