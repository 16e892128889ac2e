package levels_test

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/levels"
)

func TestTable_revertsByItself(t *testing.T) {
	for name, test := range map[string]struct {
		set   func(table *levels.Table)
		until time.Duration // from the start, when the level changes from before to after
		from  slog.Level
		to    slog.Level
	}{
		"to no rule": {
			func(table *levels.Table) { table.Set("a", slog.LevelDebug, time.Minute) },
			time.Minute, slog.LevelDebug, slog.LevelInfo,
		},
		"to the rule without a ttl": {
			func(table *levels.Table) {
				table.Set("a", slog.LevelError, 0)
				table.Set("a", slog.LevelDebug, time.Minute)
			},
			time.Minute, slog.LevelDebug, slog.LevelError,
		},
		"to the rule without a ttl, after one that was replaced": {
			func(table *levels.Table) {
				table.Set("a", slog.LevelError, 0)
				table.Set("a", slog.LevelWarn, time.Second)
				table.Set("a", slog.LevelDebug, time.Minute)
			},
			time.Minute, slog.LevelDebug, slog.LevelError,
		},
		"later, when the ttl was renewed": {
			func(table *levels.Table) {
				table.Set("a", slog.LevelDebug, time.Minute)
				time.Sleep(30 * time.Second)
				table.Set("a", slog.LevelDebug, time.Minute)
			},
			90 * time.Second, slog.LevelDebug, slog.LevelInfo,
		},
		"sooner, when the ttl was shortened": {
			func(table *levels.Table) {
				table.Set("a", slog.LevelDebug, time.Hour)
				table.Set("a", slog.LevelDebug, time.Second)
			},
			time.Second, slog.LevelDebug, slog.LevelInfo,
		},
		"to what covers the name": {
			func(table *levels.Table) {
				table.Set("", slog.LevelWarn, 0)
				table.Set("a", slog.LevelDebug, time.Minute)
			},
			time.Minute, slog.LevelDebug, slog.LevelWarn,
		},
		"for all loggers": {
			func(table *levels.Table) { table.Set("", slog.LevelDebug, time.Minute) },
			time.Minute, slog.LevelDebug, slog.LevelInfo,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				h := levels.New(new(handlertest.Recorder), nil)
				logger := h.WithAttrs([]slog.Attr{named("a.b")})
				at := func(want slog.Level) {
					t.Helper()
					if got := h.Table().Level("a.b"); got != want || !logger.Enabled(t.Context(), want) || logger.Enabled(t.Context(), want-1) {
						t.Errorf("after %v the logger is at %v, want %v", time.Since(start), got, want)
					}
				}
				test.set(h.Table())
				at(test.from)
				time.Sleep(time.Until(start.Add(test.until)) - 1)
				synctest.Wait()
				at(test.from)
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				at(test.to)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				at(test.to)
			})
		})
	}
}

func TestTable_staysWhereNoTTLIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := new(levels.Table)
		table.Set("set", slog.LevelDebug, time.Minute)
		table.Set("set", slog.LevelWarn, 0)
		table.Set("negative", slog.LevelDebug, time.Minute)
		table.Set("negative", slog.LevelWarn, -1)
		table.Set("reset", slog.LevelError, 0)
		table.Set("reset", slog.LevelDebug, time.Minute)
		table.Reset("reset")
		table.Reset("never set")
		want := []levels.Rule{{Logger: "negative", Level: slog.LevelWarn}, {Logger: "set", Level: slog.LevelWarn}}
		for range 2 {
			if got := table.Rules(); !reflect.DeepEqual(got, want) {
				t.Errorf("the rules are %v, want %v", got, want)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
	})
}

func TestTable_listsItsRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := new(levels.Table)
		if rules := table.Rules(); len(rules) != 0 {
			t.Errorf("a zero Table has the rules %v", rules)
		}
		table.Set("b", slog.LevelWarn, time.Minute)
		table.Set("", slog.LevelError, 0)
		table.Set("a.b", slog.LevelDebug, 0)
		want := []levels.Rule{{Logger: "", Level: slog.LevelError}, {Logger: "a.b", Level: slog.LevelDebug}, {Logger: "b", Level: slog.LevelWarn, Until: time.Now().Add(time.Minute)}}
		if got := table.Rules(); !reflect.DeepEqual(got, want) {
			t.Errorf("the rules are %v, want %v", got, want)
		}
	})
}

func TestTable_startsNoGoroutine(t *testing.T) {
	table := new(levels.Table)
	table.Set("a", slog.LevelDebug, 0)
	table.Set("b", slog.LevelDebug, time.Hour) // holds a timer, which is none
	if stacks := peertest.Stacks(); strings.Contains(stacks, "levels.(*Table)") {
		t.Errorf("a goroutine is in Table:\n%s", stacks)
	}
	table.Reset("b")
}

func TestNewTable_isAtInfoWithoutALevel(t *testing.T) {
	for name, table := range map[string]*levels.Table{"NewTable(nil)": levels.NewTable(nil), "the zero Table": {}} {
		if got := table.Level("a"); got != slog.LevelInfo {
			t.Errorf("%s is at %v", name, got)
		}
	}
}

func TestNewTable_refusesANilPointer(t *testing.T) {
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "levels: nil *slog.LevelVar") {
			t.Errorf("NewTable panicked with %q", p)
		}
	}()
	levels.NewTable((*slog.LevelVar)(nil))
}

func TestParse_readsEveryNameOfALevel(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "Info": slog.LevelInfo, "WARN": slog.LevelWarn, "error": slog.LevelError,
		"warning": slog.LevelWarn, "critical": slog.LevelError + 4, "FATAL": slog.LevelError + 4, "trace": slog.LevelDebug - 4,
		"error+4": 12, "DEBUG-4": -8, "info+1": 1, "0": 0, "-4": -4, "+8": 8, " warn\n": slog.LevelWarn,
	} {
		if got, err := levels.Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "verbose", "info+", "info+x", "warning+1", "1.5", "dpanic", "infodebug"} {
		got, err := levels.Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %v without an error", text, got)
			continue
		}
		for _, accepted := range []string{"levels: ", "debug", "info", "warn", "error", "error+4", "number", "trace", "warning", "critical", "fatal"} {
			if !strings.Contains(err.Error(), accepted) {
				t.Errorf("Parse(%q): the error %q does not name %s", text, err, accepted)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"debug", "error+4", "-4", "warning", "99999999999999999999", "info+-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		level, err := levels.Parse(text)
		if err != nil {
			return
		}
		if again, err := levels.Parse(level.String()); err != nil || again != level {
			t.Errorf("Parse(%q) is %v, and Parse of that %v, %v", text, level, again, err)
		}
	})
}
