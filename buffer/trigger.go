package buffer

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// Trigger says why the records that are held are worth a batch now: a few words,
// which become Outcome.Cause, or "" to keep collecting. It is asked when at least
// one record is held, by several goroutines at once, and must not log.
type Trigger func(State) (cause string)

// State is what is held and not yet part of a batch.
type State struct {
	Total    int   // records
	Distinct int   // of these, how many are not alike: see Options.Fingerprint
	Bytes    int64 // of their lines

	Oldest   time.Time // when the oldest record was logged; zero if there is none
	Newest   time.Time // when the newest was
	LastSent time.Time // when a batch was last delivered; zero if none was

	levels []levelCount
}

// levelCount is how many records there are of one level.
type levelCount struct {
	level slog.Level
	n     int
}

// CountAt returns how many of the records are at the level min or above. A nil
// min counts all.
func (s State) CountAt(min slog.Leveler) int {
	if min == nil {
		return s.Total
	}
	lowest, n := min.Level(), 0
	for _, count := range s.levels {
		if count.level >= lowest {
			n += count.n
		}
	}
	return n
}

// AtLeast fires when n records at the level min or above are held; an n below 1
// is 1. Others may be held with them, and go out with them. A nil min counts all.
// The level is read each time that the trigger is asked.
func AtLeast(n int, min slog.Leveler) Trigger {
	n = max(1, n)
	checkLevel(min)
	return func(s State) string {
		have := s.CountAt(min)
		switch {
		case have < n:
			return ""
		case min == nil:
			return fmt.Sprintf("%d records", have)
		}
		return fmt.Sprintf("%d records at %v or above", have, min.Level())
	}
}

// checkLevel panics on a pointer that would panic at every record.
func checkLevel(l slog.Leveler) { stage.Level("buffer", l, 0) }

// Immediately fires when a record at the level min or above is held.
func Immediately(min slog.Leveler) Trigger { return AtLeast(1, min) }

// OlderThan fires when the oldest record has been held for d, to within
// Options.Every.
func OlderThan(d time.Duration) Trigger {
	return func(s State) string {
		if s.Total == 0 || time.Since(s.Oldest) < d {
			return ""
		}
		return fmt.Sprintf("records older than %v", d)
	}
}

// Quiet fires when no record has come for d, to within Options.Every: the burst
// is over.
func Quiet(d time.Duration) Trigger {
	return func(s State) string {
		if s.Total == 0 || time.Since(s.Newest) < d {
			return ""
		}
		return fmt.Sprintf("nothing new for %v", d)
	}
}

// Any fires when one of ts does, which it asks in order until one fires. Without
// ts it never fires. It panics if one is nil.
func Any(ts ...Trigger) Trigger {
	ts = checkTriggers(ts)
	return func(s State) string {
		for _, t := range ts {
			if cause := t(s); cause != "" {
				return cause
			}
		}
		return ""
	}
}

// All fires when each of ts does, which it asks in order until one does not.
// Without ts it fires always. It panics if one is nil.
func All(ts ...Trigger) Trigger {
	ts = checkTriggers(ts)
	return func(s State) string {
		causes := make([]string, len(ts))
		for i, t := range ts {
			if causes[i] = t(s); causes[i] == "" {
				return ""
			}
		}
		if len(causes) == 0 {
			return "no condition"
		}
		return strings.Join(causes, ", ")
	}
}

func checkTriggers(ts []Trigger) []Trigger {
	for _, t := range ts {
		if t == nil {
			panic("buffer: nil Trigger")
		}
	}
	return slices.Clone(ts)
}
