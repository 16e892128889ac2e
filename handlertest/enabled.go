package handlertest

import (
	"context"
	"log/slog"
	"reflect"
	"testing"

	"github.com/slogworks/slogworks"
)

var enabledRules = []rule{
	{"Enabled changes nothing", false, enabledIsPure},
	{"Enabled does not allocate", false, enabledDoesNotAllocate},
	{"Enabled is false where next is not enabled", true, enabledNarrows},
	{"Enabled is true where next is enabled", true, enabledFollows},
	{"Handle does not reach a next that is not enabled", true, handleAsksNext},
}

func enabledIsPure(c *check) {
	s := c.subject()
	ctx := context.Background()
	before := slogworks.Books(s.handler)
	c.call("Enabled", func() {
		for range 1000 {
			for level := slog.LevelDebug; level <= slog.LevelError; level += 4 {
				s.handler.Enabled(ctx, level)
			}
		}
	})
	if after := slogworks.Books(s.handler); !reflect.DeepEqual(before, after) {
		c.Errorf("calls of Enabled alone changed the account from %+v to %+v: count in Handle", before, after)
	}
	if !s.handler.Enabled(ctx, slog.LevelInfo) {
		c.Errorf("after many calls Enabled is false: it must not take tokens or the like, because it is called several times per record in a pipeline; decide in Handle")
	}
	c.handle(s.handler, ctx, record("after many calls of Enabled"))
	c.one(s.arrived(), "after many calls of Enabled")
}

func enabledDoesNotAllocate(c *check) {
	if raceEnabled {
		c.Skipf("the race detector allocates")
	}
	s := c.subject()
	ctx := context.Background()
	for _, v := range variants(s.handler) {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
			if n := testing.AllocsPerRun(100, func() { v.handler.Enabled(ctx, level) }); n > 0 {
				c.Errorf("Enabled of %s allocates %v times at %v: it runs for every record that nobody wants, so it must cost next to nothing", v.name, n, level)
			}
		}
	}
}

func enabledNarrows(c *check) {
	var level slog.LevelVar
	ctx := context.Background()
	level.Set(slog.LevelWarn)
	for _, v := range variants(c.wrap(c.next(&Recorder{Level: &level}))) {
		level.Set(slog.LevelWarn)
		if v.handler.Enabled(ctx, slog.LevelInfo) {
			c.Errorf("%s is enabled at Info and next is not: Enabled must be its own rule AND next.Enabled, or records are built for nothing", v.name)
		}
		level.Set(slog.LevelError + 1)
		if v.handler.Enabled(ctx, slog.LevelError) {
			c.Errorf("%s is enabled at Error, which next was before and is no more: ask next.Enabled each time, its level may change", v.name)
		}
	}
}

func enabledFollows(c *check) {
	var level slog.LevelVar
	ctx := context.Background()
	level.Set(slog.LevelError + 1)
	for _, v := range variants(c.wrap(c.next(&Recorder{Level: &level}))) {
		level.Set(slog.LevelError + 1)
		v.handler.Enabled(ctx, slog.LevelInfo)
		level.Set(slog.LevelInfo)
		for _, l := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError + 4} {
			if !v.handler.Enabled(ctx, l) {
				c.Errorf("%s is not enabled at %v and next is: ask next.Enabled each time and with the level that was asked for", v.name, l)
			}
		}
	}
}

func handleAsksNext(c *check) {
	rec := &Recorder{Level: slog.LevelError}
	h := c.wrap(c.next(rec))
	for _, v := range variants(h) {
		// The error does not matter: the record is refused one way or another.
		_ = c.handleError(v.handler, context.Background(), record("below the level of next"))
	}
	c.flush(h)
	c.shutdown(h)
	if n := len(rec.Items()); n > 0 {
		c.Errorf("%d records reached a next that is not enabled for them: slog promises handlers that Handle is only called where Enabled is true, so ask next.Enabled before next.Handle", n)
	}
}
