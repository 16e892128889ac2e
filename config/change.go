package config

import (
	"context"
	"errors"
	"fmt"

	"github.com/slogworks/slogworks/levels"
)

// RetireError says that a document runs, and that the pipeline it took the
// place of could not be ended in order.
type RetireError struct {
	Generation int // of the former pipeline
	InFlight   int // records that were still being handled in it at the end
	Err        error
}

func (e *RetireError) Error() string {
	text := fmt.Sprintf("config: generation %d was not ended in order", e.Generation)
	if e.InFlight > 0 {
		text += fmt.Sprintf(", records still in its hands: %d", e.InFlight)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause; nil if records being handled are all that is wrong.
func (e *RetireError) Unwrap() error { return e.Err }

// outcome is what a change came to.
type outcome struct {
	Generation int  `json:"generation"` // that runs now
	Changed    bool `json:"changed"`
}

// errAsBefore is for those who have no new document.
var errAsBefore = errors.New("config: as before")

// source gives the document to run when it is its turn.
type source func(now running) (*Document, error)

// change runs the document that next gives.
func (m *Manager) change(ctx context.Context, next source) (outcome, error) {
	done, err := m.takeTurn(ctx)
	if err != nil {
		return outcome{Generation: m.Generation()}, err
	}
	defer done()
	now := m.current()
	as := outcome{Generation: now.generation}
	to, err := m.prepare(ctx, now, next, false)
	switch {
	case errors.Is(err, errAsBefore):
		return as, nil
	case err != nil:
		m.refused(now.generation, err)
		return as, err
	}
	former, ok := m.replace(to)
	if !ok {
		m.discard(to, now)
		return as, ErrClosed
	}
	to.pipeline.takeOver()
	m.log.Info("configuration changed", "generation", to.generation)
	if err = m.retire(former, now, to); err != nil {
		m.log.Warn("former configuration not ended in order", "generation", to.generation, "error", err)
	}
	m.report(to.generation, err)
	return outcome{to.generation, true}, err
}

// rehearse says what change would come to. It tells nobody else.
func (m *Manager) rehearse(ctx context.Context, next source) (outcome, error) {
	done, err := m.takeTurn(ctx)
	if err != nil {
		return outcome{Generation: m.Generation()}, err
	}
	defer done()
	now := m.current()
	to, err := m.prepare(ctx, now, next, true)
	if errors.Is(err, errAsBefore) {
		return outcome{Generation: now.generation}, nil
	}
	if err == nil {
		m.discard(to, now)
	}
	return outcome{now.generation, err == nil}, err
}

// discard ends what was built and never had a record.
func (m *Manager) discard(to, now running) {
	ctx, cancel := m.limit()
	defer cancel()
	_ = to.pipeline.retire(ctx, now.pipeline) // there is nothing in it to lose
}

// takeTurn waits until nobody else changes the pipeline.
func (m *Manager) takeTurn(ctx context.Context) (done func(), err error) {
	select {
	case m.turn <- struct{}{}:
		done = func() { <-m.turn }
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-m.lifetime.Done():
		return nil, ErrClosed
	}
	if m.lifetime.Err() != nil {
		done()
		return nil, ErrClosed
	}
	return done, nil
}

// prepare builds what is to come after now. If it comes to nothing because the
// manager or ctx ended, the error says that alone.
func (m *Manager) prepare(ctx context.Context, now running, next source, rehearsal bool) (running, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.lifetime, func() { cancel(ErrClosed) })()
	d, err := next(now)
	if err != nil {
		return running{}, err
	}
	to, err := m.build(ctx, d, now, rehearsal)
	switch {
	case err != nil && ctx.Err() != nil:
		return running{}, context.Cause(ctx)
	case err != nil:
		return running{}, err
	case to.isLike(now):
		return running{}, errAsBefore // and nothing was opened
	}
	return to, nil
}

// isLike reports whether there is nothing new in r. Equal documents may lead to
// different pipelines: a file that one of them names may hold another secret.
func (r running) isLike(now running) bool {
	if r.document.fingerprint() != now.document.fingerprint() {
		return false
	}
	for _, c := range r.pipeline.core.components {
		if now.pipeline.core.byName[c.name] != c {
			return false
		}
	}
	return true
}

// replace makes to what runs, unless the manager was shut down.
func (m *Manager) replace(to running) (former *generation, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, false
	}
	carryOver(m.now.table, to.table)
	m.now = to
	return m.handler.replace(to.pipeline), true
}

// retire ends what ran before, once nothing is handled in it any more.
func (m *Manager) retire(former *generation, now, to running) error {
	ctx, cancel := m.limit()
	left := former.drain(ctx)
	cancel()
	forget(now.table)
	// A record that hangs must not cost what the queues hold: that has a time of
	// its own.
	ctx, cancel = m.limit()
	defer cancel()
	err := now.pipeline.retire(ctx, to.pipeline)
	if left == 0 && err == nil {
		return nil
	}
	return &RetireError{now.generation, left, err}
}

func (m *Manager) limit() (context.Context, context.CancelFunc) {
	if m.retireTimeout < 0 {
		return context.WithCancel(m.patience)
	}
	return context.WithTimeout(m.patience, m.retireTimeout)
}

// maxLogged is how many mistakes of a document are records.
const maxLogged = 10

// refused tells of a document that was refused. Whoever asks for what is not to
// be had at all, such as a change after Shutdown, is told by the error alone.
func (m *Manager) refused(generation int, err error) {
	if mistakes, ok := asMistakes(err); ok {
		for _, mistake := range mistakes[:min(len(mistakes), maxLogged)] {
			m.log.Warn("configuration refused", "generation", generation, "mistakes", len(mistakes),
				"file", mistake.File, "line", mistake.Line, "path", mistake.Path,
				"message", Mistake{Message: mistake.Message, Nearest: mistake.Nearest}.Error())
		}
		m.report(generation, err)
	}
}

func (m *Manager) report(generation int, err error) {
	if m.onReload != nil {
		m.onReload(generation, err)
	}
}

// build makes what comes after now. Levels have a table per generation, so that
// they change at the same moment as all else.
func (m *Manager) build(ctx context.Context, d *Document, now running, rehearsal bool) (running, error) {
	next := running{generation: now.generation + 1, document: d, table: new(levels.Table)}
	d.setLevels(next.table)
	var err error
	next.pipeline, err = d.build(ctx, next.table, m.Levels(), now.pipeline, rehearsal)
	return next, err
}
