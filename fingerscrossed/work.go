package fingerscrossed

import (
	"errors"
	"log/slog"
)

// release writes all that is held now; the lock is held, and not on return.
func (b *buffer) release() error {
	b.asked = !b.following
	if b.state.Load() == armed {
		b.state.Store(busy)
		b.mu.Unlock()
		return b.work()
	}
	b.await(b.pushed)
	b.mu.Unlock()
	return nil
}

// step is what there is to be done with records.
type step int

const (
	nothing  step = iota
	evict         // write those that there is no room for
	escalate      // write them as one
	follow        // write what came during a release
	settle        // write those of Level and above and drop the others
)

// work writes what is to be written until nothing is. The caller has set the
// state to busy, so that there is one at a time, and keeps the scope alive. If
// the next handler ends the goroutine by runtime.Goexit, as testing.T.FailNow
// does, this goes on all the same: nobody else would.
func (b *buffer) work() (err error) {
	var next step
	var out records
	var level slog.Level
	writing := false
	defer func() {
		if writing {
			defer b.work()
			defer b.lose(&out)
			_ = b.write(next, &out, level)
		}
	}()
	for {
		level = b.core.Level.Level()
		b.mu.Lock()
		next, out = b.decide(level)
		ends := next == nothing && b.endAsked
		b.mu.Unlock()
		if next == nothing {
			if ends {
				b.end(nil, false)
			}
			return err
		}
		writing = true
		if next == escalate {
			err = join(err, b.parent.trigger())
		}
		err = join(err, b.write(next, &out, level))
		writing = false
	}
}

// lose counts records that nobody can write.
func (b *buffer) lose(out *records) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(Stats{Failed: uint64(out.len)})
	out.clear()
}

// join is errors.Join for when there are no errors.
func join(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}

// decide takes from what is held what is to be written next, or ends the work.
// The lock is held.
func (b *buffer) decide(level slog.Level) (next step, out records) {
	v := b.contexts.Value()
	b.put = b.pushed - uint64(b.held.len)
	b.rounds++
	switch {
	case b.following && b.held.len > 0:
		next, out = follow, b.take(v, b.held.len)
	case b.following:
		b.rest(passing)
	case b.asked || b.held.triggers > 0:
		b.following = b.core.after(b) != Rearm
		n := b.held.throughTrigger()
		b.asked = b.asked && !b.following && n < b.held.len
		next, out = escalate, b.take(v, n)
		if n > 0 {
			out.lost, b.lost = b.lost, nil
			b.stats.Escalations++
		}
	default:
		for !b.trim(v, level) {
			e := b.held.front()
			out.push(e.with, &e.record, 0, false)
			out.contexts = append(out.contexts, v.take(1)...)
			b.held.pop()
		}
		if next = evict; out.len == 0 {
			next = nothing
			b.rest(armed)
		}
	}
	b.tell()
	return next, out
}

// rest ends the work. The lock is held.
func (b *buffer) rest(state int32) {
	if b.held.len == 0 {
		b.giveBack()
	}
	b.rounds = 0
	b.state.Store(state)
}

// take removes the oldest n records. The lock is held.
func (b *buffer) take(v *contexts, n int) records {
	return records{list: b.held.take(n), contexts: v.take(n)}
}
