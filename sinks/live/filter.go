package live

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/level"
)

// chip is a level as people select it: with all that are above it and below the
// next, and for the lowest also what is below.
type chip struct {
	name string
	from slog.Level
}

var chips = [...]chip{
	{"debug", slog.LevelDebug},
	{"info", slog.LevelInfo},
	{"warn", slog.LevelWarn},
	{"error", slog.LevelError},
	{"critical", slog.LevelError + 4},
}

// chipOf returns the index of the level's chip.
func chipOf(level slog.Level) int {
	for i := len(chips) - 1; i > 0; i-- {
		if level >= chips[i].from {
			return i
		}
	}
	return 0
}

func parseLevel(s string) (slog.Level, error) {
	l, ok := level.Parse(s)
	if !ok {
		return 0, fmt.Errorf("unknown level %q: want debug, info, warn, error or critical, a name with an offset such as error+2, or an integer", s)
	}
	return l, nil
}

// filter says which records a client wants. The zero filter takes all.
type filter struct {
	hasMin    bool
	min       slog.Level
	hasSet    bool
	set       [len(chips)]bool
	loggers   []loggerRule
	only      bool // some logger is included, so that the others are not
	hosts     []string
	processes []string
	from, to  time.Time
	query     query
}

type loggerRule struct {
	name    string
	exclude bool
}

// maxValues is how often a parameter may be repeated. A filter runs for every
// record, so it must not be of any size.
const maxValues = 100

func parseFilter(params url.Values) (*filter, error) {
	f := new(filter)
	for name, values := range params {
		if len(values) > maxValues {
			return nil, fmt.Errorf("%s: given %d times, at most %d", name, len(values), maxValues)
		}
	}
	if s := params.Get("level"); s != "" {
		if err := f.parseLevels(s); err != nil {
			return nil, fmt.Errorf("level: %w", err)
		}
	}
	for _, name := range params["logger"] {
		name, exclude := strings.CutPrefix(name, "!")
		if name == "" {
			continue
		}
		f.loggers = append(f.loggers, loggerRule{name, exclude})
		f.only = f.only || !exclude
	}
	f.hosts = withoutEmpty(params["host"])
	f.processes = withoutEmpty(params["process"])
	for _, bound := range []struct {
		name string
		at   *time.Time
	}{{"from", &f.from}, {"to", &f.to}} {
		s := params.Get(bound.name)
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no time: want RFC 3339, such as 2026-11-21T03:00:00Z", bound.name, s)
		}
		*bound.at = t
	}
	var err error
	if f.query, err = parseQuery(params.Get("q")); err != nil {
		return nil, fmt.Errorf("q: %w", err)
	}
	return f, nil
}

// parseLevels reads a lowest level, or a set if there is a comma.
func (f *filter) parseLevels(s string) error {
	if !strings.Contains(s, ",") {
		level, err := parseLevel(s)
		f.hasMin, f.min = true, level
		return err
	}
	f.hasSet = true
	for name := range strings.SplitSeq(s, ",") {
		if name == "" {
			continue // "error," is a set of one
		}
		level, err := parseLevel(name)
		if err != nil {
			return err
		}
		f.set[chipOf(level)] = true
	}
	return nil
}

func withoutEmpty(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
}

// takes reports whether the client wants the record. The query is last, because
// it has to read the line.
func (f *filter) takes(e *entry) bool {
	switch {
	case f.hasMin && e.level < f.min,
		f.hasSet && !f.set[chipOf(e.level)],
		!f.takesLogger(e.logger),
		len(f.hosts) > 0 && !slices.Contains(f.hosts, e.from.Host),
		len(f.processes) > 0 && !slices.Contains(f.processes, e.from.Process),
		!f.from.IsZero() && e.at.Before(f.from),
		!f.to.IsZero() && e.at.After(f.to):
		return false
	}
	return f.query.takes(e)
}

// takesLogger goes by the longest of the rules that cover the name; of two
// alike, the one that excludes.
func (f *filter) takesLogger(name string) bool {
	longest, takes := -1, !f.only
	for _, rule := range f.loggers {
		if covers(rule.name, name) && (len(rule.name) > longest || len(rule.name) == longest && rule.exclude) {
			longest, takes = len(rule.name), !rule.exclude
		}
	}
	return takes
}

// covers reports whether the name is that of the rule or below it.
func covers(rule, name string) bool {
	return strings.HasPrefix(name, rule) && (len(name) == len(rule) || name[len(rule)] == '.')
}
