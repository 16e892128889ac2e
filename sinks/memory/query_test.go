package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/memory"
)

func TestQuery_filters(t *testing.T) {
	logs := memory.New(nil)
	logger := slog.New(logs)
	logger.Info("a", "n", 1, "user", "ann")
	logger.Error("b", "n", 2, "err", fmt.Errorf("read: %w", io.EOF))
	logger.With("n", 3).WithGroup("http").Warn("ab", "status", 500, "sizes", []int{1, 2})
	logger.Log(t.Context(), slog.LevelError+1, "b", "n", uint8(1))

	all := func(context.Context, slogworks.View) bool { return true }
	for _, c := range []struct {
		name  string
		query memory.Query
		want  string // the n of what is chosen
	}{
		{"Level is exact", logs.Level(slog.LevelError), "2"},
		{"Message is exact", logs.Message("a"), "1"},
		{"Match searches the message", logs.Match(regexp.MustCompile("b")), "2 3 1"},
		{"Attr by number, whatever its Go type", logs.Attr("n", 1), "1 1"},
		{"Attr of another type", logs.Attr("n", "1"), ""},
		{"Attr by error", logs.Attr("err", io.EOF), "2"},
		{"Attr in a group", logs.Attr("http", "status", 500), "3"},
		{"Attr that was frozen", logs.Attr("http", "sizes", []int{1, 2}), "3"},
		{"Attr of With", logs.Attr("n", 3), "3"},
		{"Where", logs.Where(slogworks.MessageContains("a")), "1 3"},
		{"filters add up", logs.Where(all).Message("b").Attr("n", 1).Match(regexp.MustCompile("^b$")).Level(slog.LevelError + 1), "1"},
		{"no record is in two minds", logs.Message("a").Message("b"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for v := range c.query.Records() {
				n, _ := v.Attr("n")
				got = append(got, n.String())
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("chose n = %s, want %s", got, c.want)
			}
			if c.query.Len() != len(got) {
				t.Errorf("Len is %d, want %d", c.query.Len(), len(got))
			}
		})
	}
}

func TestQuery_isAValue(t *testing.T) {
	logs := memory.New(nil)
	logger := slog.New(logs)
	logger.Info("m", "k", 1, "side", "left")
	logger.Info("m", "k", 1, "side", "right")
	// Three filters leave room in the slice that siblings would share.
	base := logs.Level(slog.LevelInfo).Message("m").Attr("k", 1)
	left, right := base.Attr("side", "left"), base.Attr("side", "right")
	for want, q := range map[string]memory.Query{"left": left, "right": right} {
		if got, _ := q.One(t).Attr("side"); got.String() != want {
			t.Errorf("the %s query chose %v", want, got)
		}
	}
	if base.Len() != 2 {
		t.Errorf("the base query chose %d records, want 2", base.Len())
	}
}

func TestQuery_looksAtASnapshot(t *testing.T) {
	logs := memory.New(nil)
	logger := slog.New(logs)
	logger.Info("first")
	echo := logs.Where(func(ctx context.Context, v slogworks.View) bool {
		logger.Debug("seen") // from inside a query, so no lock may be held
		return v.Level() == slog.LevelInfo
	})
	n := 0
	for v := range echo.Records() {
		logger.Info("echo of " + v.Message())
		n++
	}
	if n != 1 {
		t.Errorf("the loop saw %d records, want the 1 that was there when it began", n)
	}
	for range logs.Records() {
		break
	}
	if got, want := messages(logs), []string{"first", "seen", "echo of first"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

func TestQuery_looksAtASnapshotOfAFullHandler(t *testing.T) {
	logs := memory.New(&memory.Options{MaxRecords: 4})
	logger := slog.New(logs)
	var got []string
	for _, msg := range []string{"dropped", "a", "b", "c", "d"} {
		logger.Info(msg)
	}
	for v := range logs.Records() {
		got = append(got, v.Message())
		for range 3 {
			logger.Info("meanwhile")
		}
	}
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("the loop saw %q, want %q", got, want)
	}
}

func TestQuery_One(t *testing.T) {
	logs := memory.New(&memory.Options{MaxRecords: 3})
	logger := slog.New(logs)
	one := func(q interface {
		One(memory.TB) slogworks.View
	}) (slogworks.View, string) {
		var out bytes.Buffer
		fake := &fakeT{out: &out}
		v := q.One(fake)
		if fake.Failed() != (out.Len() > 0) {
			t.Errorf("failed is %v with the message %q", fake.Failed(), &out)
		}
		return v, out.String()
	}

	if _, got := one(logs); got != "memory: no record; there are no records\n" {
		t.Errorf("of nothing: %q", got)
	}
	logger.Info("a", "k", 1)
	if v, got := one(logs); got != "" || v.Message() != "a" {
		t.Errorf("of one: %q, record %q", got, v.Message())
	}
	if v, got := one(logs.Message("a").Level(slog.LevelWarn).Match(regexp.MustCompile("a+")).Attr("g", "k", 2)); v.Message() != "" ||
		got != "memory: no record for Message(\"a\").Level(WARN).Match(\"a+\").Attr(\"g\", \"k\", 2); there is 1 record:\n\tlevel=INFO msg=a k=1\n" {
		t.Errorf("of none: %q", got)
	}
	logger.Info("b")
	logger.Info("a")
	if _, got := one(logs.Message("a")); got != "memory: 2 records for Message(\"a\"), want one:\n\tlevel=INFO msg=a k=1\n\tlevel=INFO msg=a\n" {
		t.Errorf("of two: %q", got)
	}
	logger.Info("two\nlines")
	if _, got := one(logs.Where(slogworks.LoggerIs("x"))); got != "memory: no record for Where(…); there are 3 records (1 older dropped: raise MaxRecords):\n"+
		"\tlevel=INFO msg=b\n\tlevel=INFO msg=a\n\tlevel=INFO msg=\"two\\nlines\"\n" {
		t.Errorf("after an overflow: %q", got)
	}
}

// What a failure prints with dots is not what Attr takes; it has to say so.
func TestQuery_One_saysHowToNameAnAttributeInAGroup(t *testing.T) {
	logs := memory.New(nil)
	slog.New(logs).WithGroup("g").WithGroup("h").Info("m", "c", 3)
	slog.New(logs).Info("dots", "a.b", 1)
	const hint = `(an attribute in a group is Attr("g", "h", "c", 3))`
	for _, c := range []struct {
		name  string
		query memory.Query
		want  bool
	}{
		{"it is there", logs.Attr("g.h.c", 3), true},
		{"it is there among other filters", logs.Level(slog.LevelInfo).Attr("g.h.c", 3).Message("m"), true},
		{"it has another value", logs.Attr("g.h.c", 4), false},
		{"it is on another record", logs.Message("dots").Attr("g.h.c", 3), false},
		{"the path has two elements", logs.Attr("g.h", "c", 3), false},
		{"there is no dot", logs.Attr("c", 3), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			c.query.One(&fakeT{out: &out})
			if !strings.HasPrefix(out.String(), "memory: no record for ") || strings.Contains(out.String(), hint+"; there are 2 records:") != c.want ||
				!c.want && strings.Contains(out.String(), "an attribute in a group") {
				t.Errorf("it says %s", &out)
			}
		})
	}
	if v := logs.Attr("a.b", 1).One(t); v.Message() != "dots" {
		t.Errorf("a key with a dot chose %q", v.Message())
	}
}

func TestQuery_None(t *testing.T) {
	logs := memory.New(&memory.Options{MaxRecords: 2})
	logger := slog.New(logs)
	none := func(q interface{ None(memory.TB) }) string {
		var out bytes.Buffer
		fake := &fakeT{out: &out}
		q.None(fake)
		if fake.Failed() != (out.Len() > 0) {
			t.Errorf("failed is %v with the message %q", fake.Failed(), &out)
		}
		return out.String()
	}

	if got := none(logs); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	logger.Info("a", "k", 1)
	if got := none(logs.Message("b")); got != "" {
		t.Errorf("of another: %q", got)
	}
	if got := none(logs.Message("a")); got != "memory: 1 record for Message(\"a\"), want none:\n\tlevel=INFO msg=a k=1\n" {
		t.Errorf("of one: %q", got)
	}
	logger.Info("b")
	if got := none(logs); got != "memory: 2 records, want none:\n\tlevel=INFO msg=a k=1\n\tlevel=INFO msg=b\n" {
		t.Errorf("of two: %q", got)
	}
	logger.Info("c")
	if got := none(logs.Message("a")); got != "memory: 1 record dropped before None for Message(\"a\") could look: raise MaxRecords\n" {
		t.Errorf("after an overflow: %q", got)
	}
	logs.Reset()
	if got := none(logs); got != "" {
		t.Errorf("after Reset: %q", got)
	}
}

func TestQuery_One_listsTheNewest(t *testing.T) {
	logs := memory.New(nil)
	for i := range 150 {
		slog.New(logs).Info("m", "i", i)
	}
	var out bytes.Buffer
	logs.Message("x").One(&fakeT{out: &out})
	got := strings.Split(out.String(), "\n")
	if len(got) != 53 || got[1] != "\t(100 earlier left out)" || got[2] != "\tlevel=INFO msg=m i=100" || got[51] != "\tlevel=INFO msg=m i=149" {
		t.Errorf("got %d lines:\n%s", len(got), &out)
	}
}

func TestHandler_HasError(t *testing.T) {
	logs := memory.New(nil)
	logger := slog.New(logs)
	logger.Warn("slow")
	logger.Error("down")
	logger.Warn("fatal")
	logger.Log(t.Context(), slog.LevelError+4, "fatal")
	for msg, want := range map[string]bool{"slow": false, "down": true, "dow": false, "fatal": true, "": false} {
		if got := logs.HasError(msg); got != want {
			t.Errorf("HasError(%q) = %v", msg, got)
		}
	}
}

func TestHandler_InOrder(t *testing.T) {
	logs := memory.New(nil)
	for _, msg := range []string{"a", "b", "a", "c"} {
		slog.New(logs).Info(msg)
	}
	for _, c := range []struct {
		msgs string
		want bool
	}{
		{"", true}, {"a", true}, {"c", true}, {"a b a c", true}, {"a c", true}, {"b c", true}, {"a a", true},
		{"c a", false}, {"a a a", false}, {"b b", false}, {"x", false}, {"a x", false}, {"c c", false},
	} {
		if got := logs.InOrder(strings.Fields(c.msgs)...); got != c.want {
			t.Errorf("InOrder(%s) = %v", c.msgs, got)
		}
	}
}
