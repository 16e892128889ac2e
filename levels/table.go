package levels

import (
	"cmp"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// Table is the levels of loggers by their names. It is safe for concurrent use,
// and must not be copied. It is also an http.Handler, see [Table.ServeHTTP].
//
// A change leaves no record in the log, and neither does the end of a rule by
// its ttl, since a Table has no handler to write one: [Table.Rules] and a GET
// say what holds now, and until when.
//
// The zero Table has no rules and is at slog.LevelInfo.
type Table struct {
	base  slog.Leveler
	rules atomic.Pointer[ruleset] // nil if there are none

	mu         sync.Mutex
	byName     map[string]*rule
	generation uint64
}

// rule is immutable but for its timer.
type rule struct {
	level slog.Level
	until time.Time   // zero: it stays
	timer *time.Timer // nil: it stays
	after *rule       // what holds after until; nil: nothing
}

// ruleset is what handlers read: the rules of one moment.
type ruleset struct {
	generation uint64 // from 1; at most 48 bits in the life of a program
	levels     map[string]slog.Level
	lowest     slog.Level
}

// Rule is one rule of a [Table].
type Rule struct {
	Logger string // with the names below it; "" is every logger
	Level  slog.Level
	Until  time.Time // when the rule reverts; zero if it stays
}

// NewTable returns a table whose loggers are at the given level unless a rule
// says otherwise. The level is read for every record. A nil level is
// slog.LevelInfo.
func NewTable(level slog.Leveler) *Table {
	return &Table{base: stage.Level("levels", level, slog.LevelInfo)}
}

// Level returns the level that the logger of this name is at.
func (t *Table) Level(logger string) slog.Level { return t.level(t.rules.Load(), logger) }

func (t *Table) level(rules *ruleset, logger string) slog.Level {
	if rules != nil {
		if level, ok := rules.level(logger); ok {
			return level
		}
	}
	return t.baseLevel()
}

func (t *Table) baseLevel() slog.Level {
	if t.base == nil {
		return slog.LevelInfo
	}
	return t.base.Level()
}

// lowest returns the lowest level that any logger is at.
func (t *Table) lowest(rules *ruleset) slog.Level {
	if rules == nil {
		return t.baseLevel()
	}
	if _, ok := rules.levels[""]; ok {
		return rules.lowest
	}
	return min(rules.lowest, t.baseLevel())
}

// level returns the level by the longest rule that covers the name.
func (s *ruleset) level(name string) (level slog.Level, ok bool) {
	for {
		if level, ok = s.levels[name]; ok || name == "" {
			return level, ok
		}
		name = name[:max(0, strings.LastIndexByte(name, '.'))]
	}
}

// Set puts the logger of this name, and those below it that no longer rule
// covers, at a level; "" is every logger. With a ttl above 0 the rule ends by
// itself: the last one that was set without a ttl holds again, or none if there
// was none. With a ttl of 0 or below it stays. In either case it takes the
// place of a rule with a ttl.
func (t *Table) Set(logger string, level slog.Level, ttl time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &rule{level: level}
	if ttl > 0 {
		if r.after = t.byName[logger]; r.after != nil && r.after.timer != nil {
			r.after = r.after.after
		}
		r.until = time.Now().Add(ttl)
		r.timer = time.AfterFunc(ttl, func() { t.expire(logger, r) })
	}
	t.replace(logger, r)
}

// Reset removes the rule for this name, and what would hold after its ttl. It
// leaves the rules for names below it alone.
func (t *Table) Reset(logger string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replace(logger, nil)
}

// expire ends a rule unless another has taken its place.
func (t *Table) expire(logger string, r *rule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[logger] == r {
		t.replace(logger, r.after)
	}
}

// replace makes r, if not nil, the rule for this name, and shows the handlers
// what rules there are now. The lock is held.
func (t *Table) replace(logger string, r *rule) {
	if old := t.byName[logger]; old != nil && old.timer != nil {
		old.timer.Stop()
	}
	if t.byName == nil {
		t.byName = map[string]*rule{}
	}
	if t.byName[logger] = r; r == nil {
		delete(t.byName, logger)
	}
	if len(t.byName) == 0 {
		t.rules.Store(nil)
		return
	}
	t.generation++
	s := &ruleset{generation: t.generation, levels: make(map[string]slog.Level, len(t.byName)), lowest: math.MaxInt}
	for name, r := range t.byName {
		s.levels[name] = r.level
		s.lowest = min(s.lowest, r.level)
	}
	t.rules.Store(s)
}

// Rules returns the rules that hold, ordered by name.
func (t *Table) Rules() []Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rules []Rule
	for name, r := range t.byName {
		rules = append(rules, Rule{name, r.level, r.until})
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.Logger, b.Logger) })
	return rules
}
