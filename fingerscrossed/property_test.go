package fingerscrossed_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

// program is a random use of a handler. Two runs with the same seed log the
// same, whatever the handler.
type program struct {
	*rand.Rand
	logger *slog.Logger
	steps  int
	names  int // of scopes

	// In a run without scopes all of these do nothing.
	begin func(context.Context) (context.Context, *fingerscrossed.Scope)
	flush func()
}

// run logs in the scope of that name and in scopes within.
func (p *program) run(ctx context.Context, s *fingerscrossed.Scope, name string, depth int) {
	for p.steps > 0 {
		p.steps--
		switch n := p.IntN(100); {
		case n < 70:
			p.log(ctx, name)
		case n < 72: // a burst fills a buffer
			for range p.IntN(50) {
				p.log(ctx, name)
			}
		case n < 78 && depth < 4:
			p.nested(ctx, depth)
		case n < 80:
			_ = s.Trigger()
		case n < 81:
			p.flush()
		case n < 82:
			s.End(nil) // what follows is late
		case n < 88 && depth > 0:
			return
		case n < 89 && depth > 0:
			panic("oops")
		}
	}
}

func (p *program) log(ctx context.Context, name string) {
	logger := p.logger.With("scope", name)
	if p.IntN(2) == 0 {
		logger = p.logger
	}
	levels := []slog.Level{slog.LevelDebug - 1, slog.LevelDebug, slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelInfo, slog.LevelWarn, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelDebug, slog.LevelDebug, slog.LevelError}
	level := levels[p.IntN(len(levels))]
	logger.Log(ctx, level, fmt.Sprintf("%s %d", name, p.steps), "n", p.Uint64(), "text", strings.Repeat("x", p.IntN(200)))
}

// nested runs in a new scope, which ends in one of the ways in which scopes do.
func (p *program) nested(ctx context.Context, depth int) {
	p.names++
	name := fmt.Sprintf("scope-%d", p.names)
	ctx, s := p.begin(ctx)
	switch p.IntN(10) {
	case 0: // never ended
		defer func() { _ = recover() }()
	case 1:
		defer func() { _ = recover() }()
		failed := errFailed
		defer s.End(&failed)
	default:
		defer func() { _ = recover() }()
		defer s.End(nil)
	}
	p.run(ctx, s, name, depth+1)
}

// linesOf returns the records of Info and above, and those of each scope in
// their order.
func linesOf(rec *handlertest.Recorder) (all []string, byScope map[string][]string) {
	byScope = map[string][]string{}
	for _, item := range rec.Items() {
		if item.Record.Level < slog.LevelInfo || strings.HasPrefix(item.Record.Message, "slogworks:") {
			continue
		}
		line := item.Record.Message
		item.Record.Attrs(func(a slog.Attr) bool {
			line += " " + a.String()
			return true
		})
		all = append(all, line)
		name, _, _ := strings.Cut(line, " ")
		byScope[name] = append(byScope[name], line)
	}
	slices.Sort(all)
	return all, byScope
}

// The principle of the package: whatever happens but Discard, everything that a
// gate at Info would have let through is written, once and in the order of its
// scope.
func TestNew_neverWritesLessThanAGate(t *testing.T) {
	for name, opts := range map[string]*fingerscrossed.Options{
		"nil":              nil,
		"small":            {MaxRecords: 3},
		"few bytes":        {MaxBytes: 2000},
		"small in all":     {TotalBytes: 16 << 10, MaxRecords: 1 << 20},
		"no room":          {TotalBytes: 1},
		"Live":             {Live: true, MaxRecords: 10},
		"PassLevel":        {After: fingerscrossed.PassLevel, MaxRecords: 10},
		"Rearm":            {After: fingerscrossed.Rearm, MaxRecords: 10},
		"Process":          {Process: true, MaxRecords: 10},
		"Process, PassAll": {Process: true, After: fingerscrossed.PassAll},
		"Trigger at Warn":  {Trigger: slog.LevelWarn, After: fingerscrossed.Rearm},
		"Hold at Warn":     {Hold: slog.LevelWarn, MaxRecords: 5},
	} {
		for _, takesBatches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in batches: %t", name, takesBatches), func(t *testing.T) {
				seeds := uint64(60)
				if raceEnabled || testing.Short() {
					seeds = 10
				}
				for seed := range seeds {
					gated := new(handlertest.Recorder)
					gate := &program{
						Rand:   rand.New(rand.NewPCG(seed, 2)),
						logger: slog.New(fanout.AtLeast(gated, slog.LevelInfo)),
						steps:  300,
						begin:  func(ctx context.Context) (context.Context, *fingerscrossed.Scope) { return ctx, nil },
						flush:  func() {},
					}
					gate.run(t.Context(), nil, "outside", 0)
					want, wantByScope := linesOf(gated)

					rec := new(handlertest.Recorder)
					next := slog.Handler(rec)
					if !takesBatches {
						next = rec.Plain()
					}
					h := fingerscrossed.New(next, opts)
					p := &program{
						Rand:   rand.New(rand.NewPCG(seed, 2)),
						logger: slog.New(h),
						steps:  300,
						begin:  h.Begin,
						flush: func() {
							if err := h.Flush(t.Context()); err != nil {
								t.Error(err)
							}
						},
					}
					p.run(t.Context(), nil, "outside", 0)
					wantBalanced(t, h)
					shutDown(t, h)
					got, gotByScope := linesOf(rec)
					if !slices.Equal(got, want) {
						t.Fatalf("seed %d: of %d records at Info and above, %d were written", seed, len(want), len(got))
					}
					for name, lines := range wantByScope {
						if !slices.Equal(gotByScope[name], lines) {
							t.Fatalf("seed %d: the records of %s came as\n%s\nand were logged as\n%s", seed, name,
								strings.Join(gotByScope[name], "\n"), strings.Join(lines, "\n"))
						}
					}
					if unique := messagesOf(rec); len(slices.Compact(unique)) != len(unique) {
						t.Fatalf("seed %d: a record was written twice", seed)
					}
				}
			})
		}
	}
}

func messagesOf(rec *handlertest.Recorder) []string {
	var all []string
	for _, item := range rec.Items() {
		s := item.Record.Message
		item.Record.Attrs(func(a slog.Attr) bool {
			s += " " + a.String()
			return true
		})
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}
