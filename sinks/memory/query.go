package memory

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/slogworks/slogworks"
)

// Query is a choice of a Handler's records, made by its filters. It is a value
// that can be kept, narrowed down further, and used by several goroutines: each
// time it is asked it looks at the records that are there, oldest first.
//
// Make one with a method of [Handler]; the zero Query is of no use.
type Query struct {
	core    *core
	filters []filter
}

type filter struct {
	call   string // as it reads in the test, for failures
	accept slogworks.Predicate
	meant  *filter // what was probably meant, if that can be told
}

// Level chooses records of exactly that level.
func (h *Handler) Level(level slog.Level) Query { return h.all().Level(level) }

// Message chooses records with exactly that message.
func (h *Handler) Message(msg string) Query { return h.all().Message(msg) }

// Match chooses records in whose message re finds a match.
func (h *Handler) Match(re *regexp.Regexp) Query { return h.all().Match(re) }

// Attr chooses records that have a value at a path, as [slogworks.AttrIs] does:
// Attr("order", 7), or Attr("request", "status", 500) for an attribute in a
// group. It panics if there is no path or if it is not made of strings.
func (h *Handler) Attr(pathAndValue ...any) Query { return h.all().Attr(pathAndValue...) }

// Where chooses records that p accepts, given the values of the context that
// they were logged with. It is called on the goroutine that asks; it may log.
func (h *Handler) Where(p slogworks.Predicate) Query { return h.all().Where(p) }

// Records yields the records that are there when the loop begins, oldest first.
func (h *Handler) Records() iter.Seq[slogworks.View] { return h.all().Records() }

// All yields the records that are there when the loop begins, oldest first, each
// with the values of the context it was logged with.
func (h *Handler) All() iter.Seq2[context.Context, slogworks.View] { return h.all().All() }

// Len returns how many records are there.
func (h *Handler) Len() int { return h.all().Len() }

// One returns the only record that is there, and fails the test if there are
// none or more; see [Query.One].
func (h *Handler) One(tb TB) slogworks.View {
	tb.Helper()
	return h.all().One(tb)
}

// None fails the test if a record is there; see [Query.None].
func (h *Handler) None(tb TB) {
	tb.Helper()
	h.all().None(tb)
}

// HasError reports whether a record of exactly that message is there at Error
// or above.
func (h *Handler) HasError(msg string) bool {
	for v := range h.Message(msg).Records() {
		if v.Level() >= slog.LevelError {
			return true
		}
	}
	return false
}

// InOrder reports whether records with these messages are there in this order;
// others may stand between them. A message that is given twice must have been
// logged twice. Without messages it is true.
func (h *Handler) InOrder(msgs ...string) bool {
	for v := range h.Records() {
		if len(msgs) == 0 {
			break
		}
		if v.Message() == msgs[0] {
			msgs = msgs[1:]
		}
	}
	return len(msgs) == 0
}

func (h *Handler) all() Query { return Query{core: h.core} }

// Level narrows the choice to records of exactly that level.
func (q Query) Level(level slog.Level) Query {
	return q.and(filter{call: fmt.Sprintf("Level(%v)", level), accept: func(_ context.Context, v slogworks.View) bool {
		return v.Level() == level
	}})
}

// Message narrows the choice to records with exactly that message.
func (q Query) Message(msg string) Query {
	return q.and(filter{call: fmt.Sprintf("Message(%q)", msg), accept: func(_ context.Context, v slogworks.View) bool {
		return v.Message() == msg
	}})
}

// Match narrows the choice to records in whose message re finds a match.
func (q Query) Match(re *regexp.Regexp) Query {
	return q.and(filter{call: fmt.Sprintf("Match(%q)", re), accept: func(_ context.Context, v slogworks.View) bool {
		return re.MatchString(v.Message())
	}})
}

// Attr narrows the choice to records that have a value at a path; see
// [Handler.Attr].
func (q Query) Attr(pathAndValue ...any) Query {
	f := attrFilter(pathAndValue)
	if len(pathAndValue) == 2 {
		if key, _ := pathAndValue[0].(string); strings.Contains(key, ".") {
			var path []any
			for name := range strings.SplitSeq(key, ".") {
				path = append(path, name)
			}
			meant := attrFilter(append(path, pathAndValue[1]))
			f.meant = &meant
		}
	}
	return q.and(f)
}

func attrFilter(pathAndValue []any) filter {
	accept := slogworks.AttrIs(pathAndValue...)
	args := make([]string, len(pathAndValue))
	for i, arg := range pathAndValue {
		args[i] = fmt.Sprint(arg)
		if s, ok := arg.(string); ok {
			args[i] = fmt.Sprintf("%q", s)
		}
	}
	return filter{call: "Attr(" + strings.Join(args, ", ") + ")", accept: accept}
}

// Where narrows the choice to records that p accepts; see [Handler.Where].
func (q Query) Where(p slogworks.Predicate) Query {
	return q.and(filter{call: "Where(…)", accept: p})
}

func (q Query) and(f filter) Query {
	q.filters = append(slices.Clip(q.filters), f)
	return q
}

// Records yields the chosen records that are there when the loop begins, oldest
// first. A second loop looks again.
func (q Query) Records() iter.Seq[slogworks.View] {
	return func(yield func(slogworks.View) bool) {
		for _, v := range q.All() {
			if !yield(v) {
				return
			}
		}
	}
}

// All yields the chosen records that are there when the loop begins, oldest
// first, each with the values of the context it was logged with. A second loop
// looks again.
func (q Query) All() iter.Seq2[context.Context, slogworks.View] {
	return func(yield func(context.Context, slogworks.View) bool) {
		for _, e := range q.core.snapshot().entries {
			if q.accepts(e) && !yield(e.ctx, e.view) {
				return
			}
		}
	}
}

// Len returns how many records are chosen.
func (q Query) Len() int {
	n := 0
	for range q.All() {
		n++
	}
	return n
}

// One returns the record if exactly one is chosen. If not, it ends the test by
// tb.Fatalf, which is for the goroutine of the test, and says what there was.
func (q Query) One(tb TB) slogworks.View {
	tb.Helper()
	there := q.core.snapshot()
	chosen := q.chosen(there)
	switch len(chosen) {
	case 1:
		return chosen[0].view
	case 0:
		tb.Fatalf("memory: no record%s%s; %s", q.suffix(), q.hint(there), there.inventory(maxListed))
	default:
		tb.Fatalf("memory: %d records%s, want one:%s", len(chosen), q.suffix(), lines(chosen, maxListed))
	}
	return slogworks.View{}
}

// None fails the test by tb.Errorf if a record is chosen, and says what there
// was. It also fails if records were dropped to make room, since nobody can say
// whether one of them would have been chosen.
func (q Query) None(tb TB) {
	tb.Helper()
	there := q.core.snapshot()
	if chosen := q.chosen(there); len(chosen) > 0 {
		tb.Errorf("memory: %s%s, want none:%s", records(len(chosen)), q.suffix(), lines(chosen, maxListed))
		return
	}
	if there.dropped > 0 {
		tb.Errorf("memory: %s dropped before None%s could look: raise MaxRecords", records(there.dropped), q.suffix())
	}
}

func (q Query) chosen(there kept) []*entry {
	var chosen []*entry
	for _, e := range there.entries {
		if q.accepts(e) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// hint says what would have chosen a record. A failure lists the attributes of
// groups as slog.TextHandler does, with dots, and that is not how Attr names
// them.
func (q Query) hint(there kept) string {
	for i, f := range q.filters {
		if f.meant == nil {
			continue
		}
		instead := Query{core: q.core, filters: slices.Clone(q.filters)}
		instead.filters[i] = *f.meant
		if len(instead.chosen(there)) > 0 {
			return fmt.Sprintf(" (an attribute in a group is %s)", f.meant.call)
		}
	}
	return ""
}

func (q Query) accepts(e *entry) bool {
	for _, f := range q.filters {
		if !f.accept(e.ctx, e.view) {
			return false
		}
	}
	return true
}

// suffix says what is chosen, in the words of the test, after "record".
func (q Query) suffix() string {
	if len(q.filters) == 0 {
		return ""
	}
	calls := make([]string, len(q.filters))
	for i, f := range q.filters {
		calls[i] = f.call
	}
	return " for " + strings.Join(calls, ".")
}
