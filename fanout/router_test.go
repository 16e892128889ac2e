package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

// wantAccount checks the one account of h.
func wantAccount(t *testing.T, h slog.Handler, want slogworks.Account) {
	t.Helper()
	accounts := slogworks.Books(h)
	if len(accounts) != 1 {
		t.Errorf("Books gives %d accounts", len(accounts))
		return
	}
	got := accounts[0]
	maps.DeleteFunc(got.Dropped, func(_ string, n uint64) bool { return n == 0 })
	if got.Stage != want.Stage || got.Accepted != want.Accepted || got.Delivered != want.Delivered || got.Held != 0 || !maps.Equal(got.Dropped, want.Dropped) {
		t.Errorf("the account is %+v, want %+v", got, want)
	}
}

func TestRouterHandler_levelsIncludeBothEnds(t *testing.T) {
	var lowest, highest slog.LevelVar
	lowest.Set(slog.LevelInfo)
	highest.Set(slog.LevelWarn)
	for _, test := range []struct {
		route    fanout.Route
		from, to slog.Level
	}{
		{fanout.Route{}, -100, 100},
		{fanout.Route{Min: slog.LevelInfo}, 0, 100},
		{fanout.Route{Max: slog.LevelInfo}, -100, 0},
		{fanout.Route{Min: slog.LevelInfo, Max: slog.LevelWarn}, 0, 4},
		{fanout.Route{Min: &lowest, Max: &highest}, 0, 4},
		{fanout.Route{Min: slog.LevelWarn, Max: slog.LevelWarn}, 4, 4},
		{fanout.Route{Min: slog.LevelError, Max: slog.LevelInfo}, 1, 0},
	} {
		for _, build := range []func(...fanout.Route) *fanout.RouterHandler{fanout.Router, fanout.First} {
			rec := new(handlertest.Recorder)
			test.route.To = rec
			h := build(test.route)
			want := []string{}
			for level := slog.Level(-100); level <= 100; level++ {
				within := test.from <= level && level <= test.to
				if got := h.Enabled(t.Context(), level); got != within {
					t.Errorf("Enabled(%v) = %v for levels from %d to %d", level, got, test.from, test.to)
				}
				if err := h.Handle(t.Context(), record(level, level.String())); err != nil {
					t.Error(err)
				}
				if within {
					want = append(want, level.String())
				}
			}
			wantMessages(t, rec, want...)
		}
	}
}

func TestRouterHandler_readsLevelsForEveryRecord(t *testing.T) {
	var lowest, highest slog.LevelVar
	rec := new(handlertest.Recorder)
	h := fanout.Router(fanout.Route{Min: &lowest, Max: &highest, To: rec}).WithGroup("g")
	for _, bounds := range [][2]slog.Level{{0, 8}, {4, 8}, {0, 0}} {
		lowest.Set(bounds[0])
		highest.Set(bounds[1])
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError} {
			if err := handle(h, record(level, fmt.Sprint(bounds, " ", level))); err != nil {
				t.Error(err)
			}
		}
	}
	wantMessages(t, rec, "[INFO ERROR] INFO", "[INFO ERROR] ERROR", "[WARN ERROR] ERROR", "[INFO INFO] INFO")
}

func TestRouterHandler_givesARecordToEveryRouteThatMatches(t *testing.T) {
	slow, acme, errs := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
	h := fanout.Router(
		fanout.Route{When: slogworks.MessageContains("slow"), To: slow},
		fanout.Route{When: slogworks.AttrIs("tenant", "acme"), To: acme},
		fanout.Route{Min: slog.LevelError, To: errs},
	)
	logger := slog.New(h)
	logger.Info("slow")
	logger.Info("ignored")
	logger.With("tenant", "acme").Info("with")
	logger.Error("slow error", "tenant", "acme")
	wantMessages(t, slow, "slow", "slow error")
	wantMessages(t, acme, "with", "slow error")
	wantMessages(t, errs, "slow error")
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Router", Accepted: 4, Delivered: 3, Dropped: map[string]uint64{"no route": 1}})
}

func TestRouterHandler_firstGivesARecordToOneRoute(t *testing.T) {
	first, second, rest := new(handlertest.Recorder), &handlertest.Recorder{Level: slog.LevelError}, new(handlertest.Recorder)
	h := fanout.First(
		fanout.Route{When: slogworks.MessageContains("a"), To: first},
		fanout.Route{When: slogworks.MessageContains("b"), To: second},
		fanout.Route{To: rest},
	)
	logger := slog.New(h)
	logger.Info("ab")
	logger.Error("b")
	logger.Info("b of a level that the second is not enabled for")
	logger.Info("c")
	wantMessages(t, first, "ab", "b of a level that the second is not enabled for")
	wantMessages(t, second, "b")
	wantMessages(t, rest, "c")
	wantAccount(t, h, slogworks.Account{Stage: "fanout.First", Accepted: 4, Delivered: 4})
}

func TestRouterHandler_firstGoesOnWhereTheHandlerIsDisabled(t *testing.T) {
	disabled, rest := &handlertest.Recorder{Level: slog.LevelError}, new(handlertest.Recorder)
	h := fanout.First(fanout.Route{When: slogworks.MessageContains("x"), To: disabled}, fanout.Route{To: rest})
	if err := h.Handle(t.Context(), record(slog.LevelInfo, "x")); err != nil {
		t.Error(err)
	}
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, grave)); err != nil {
		t.Error(err)
	}
	wantMessages(t, disabled)
	wantMessages(t, rest, "x", "0", "1")
}

// Between the two times that a handler is asked, its level may change.
func TestRouterHandler_countsNothingAsDeliveredThatNobodyGot(t *testing.T) {
	var level slog.LevelVar
	closing := func(context.Context, slogworks.View) bool { level.Set(slog.LevelError); return true }
	closed, rest := &handlertest.Recorder{Level: &level}, new(handlertest.Recorder)
	route := fanout.Route{When: closing, To: closed.Plain()}

	first := fanout.First(route, fanout.Route{To: rest})
	if err := first.Handle(t.Context(), record(info, "message")); err != nil {
		t.Error(err)
	}
	wantMessages(t, rest, "message")
	wantAccount(t, first, slogworks.Account{Stage: "fanout.First", Accepted: 1, Delivered: 1})

	router := fanout.Router(route)
	level.Set(info)
	if err := router.Handle(t.Context(), record(info, "message")); err != nil {
		t.Error(err)
	}
	level.Set(info)
	if err := router.HandleBatch(t.Context(), batchOf(slogworks.Stream, info)); err != nil {
		t.Error(err)
	}
	wantMessages(t, closed)
	wantAccount(t, router, slogworks.Account{Stage: "fanout.Router", Accepted: 2, Dropped: map[string]uint64{"no route": 2}})
}

func TestRouterHandler_firstIsNoFailover(t *testing.T) {
	rest := new(handlertest.Recorder)
	for name, broken := range map[string]slog.Handler{
		"fails":              failing(errBroken),
		"panics":             panicking(errBroken),
		"panics in Enabled":  &hooked{next: new(handlertest.Recorder), enabled: func() { panic(errBroken) }},
		"fails as one alone": failing(errBroken).Plain(),
	} {
		h := fanout.First(fanout.Route{To: broken}, fanout.Route{To: rest})
		if err := h.Handle(t.Context(), record(slog.LevelInfo, "message")); !errors.Is(err, errBroken) {
			t.Errorf("where the first route %s, Handle returned %v", name, err)
		}
		wantMessages(t, rest)
		wantAccount(t, h, slogworks.Account{Stage: "fanout.First", Accepted: 1, Dropped: map[string]uint64{"error": 1}})
	}
}

func TestRouterHandler_predicatesSeeWhatWithAdded(t *testing.T) {
	var seen []string
	rec := new(handlertest.Recorder)
	h := fanout.Router(fanout.Route{
		When: func(ctx context.Context, v slogworks.View) bool {
			text := fmt.Sprint(ctx.Value(itemKey{}), " ", v.Logger(), v.Message(), v.Level())
			for a := range v.Attrs() {
				text += " " + a.String()
			}
			seen = append(seen, text)
			_, in := v.Attr("g", "inner")
			return in
		},
		To: rec,
	})
	ctx := context.WithValue(t.Context(), itemKey{}, "ctx")
	logger := slogworks.Named(slog.New(h), "name.")
	parent := logger.With("a", 1)
	sibling := parent.With("b", 2)
	group := parent.WithGroup("g").With("inner", 3).WithGroup("empty")
	parent.WarnContext(ctx, "m", "own", 4)
	sibling.WarnContext(ctx, "m")
	group.WarnContext(ctx, "m")
	if want := []string{
		"ctx name.mWARN logger=name. a=1 own=4",
		"ctx name.mWARN logger=name. a=1 b=2",
		"ctx name.mWARN logger=name. a=1 g=[inner=3]",
	}; !slices.Equal(seen, want) {
		t.Errorf("the predicate saw %q, want %q", seen, want)
	}
	wantMessages(t, rec, "m")
}

func TestRouterHandler_showsPredicatesNothingOfSiblings(t *testing.T) {
	var seen []string
	h := slog.Handler(fanout.Router(fanout.Route{
		When: func(_ context.Context, v slogworks.View) bool {
			value, _ := v.Attr("sibling")
			_, inA := v.Attr("a", "k")
			_, inB := v.Attr("b", "k")
			seen = append(seen, fmt.Sprint(value, inA, inB))
			return false
		},
		To: new(handlertest.Recorder),
	}))
	// A slice that grows has room for one more at some lengths only.
	for range 9 {
		siblings := []slog.Handler{
			h.WithAttrs([]slog.Attr{slog.String("sibling", "a")}), h.WithAttrs([]slog.Attr{slog.String("sibling", "b")}),
			h.WithGroup("a"), h.WithGroup("b"),
		}
		seen = nil
		for _, sibling := range siblings {
			if err := sibling.Handle(t.Context(), record(info, "message", slog.Int("k", 1))); err != nil {
				t.Error(err)
			}
		}
		if want := []string{"a false false", "b false false", "<nil> true false", "<nil> false true"}; !slices.Equal(seen, want) {
			t.Fatalf("predicates saw %q, want %q", seen, want)
		}
		h = h.WithAttrs([]slog.Attr{slog.Int("deeper", 1)})
	}
}

// once is a LogValuer that may be asked once for each of its readers.
type once struct{ asked *int }

func (o once) LogValue() slog.Value { *o.asked++; return slog.IntValue(*o.asked) }

func TestRouterHandler_resolvesLogValuersOfWithAtOnce(t *testing.T) {
	asked := 0
	var seen []slog.Value
	h := fanout.Router(fanout.Route{
		When: func(_ context.Context, v slogworks.View) bool {
			for _, path := range [][]string{{"k"}, {"g", "k"}} {
				value, _ := v.Attr(path...)
				seen = append(seen, value)
			}
			return false
		},
		To: &batchSink{}, // looks at no value
	})
	group := slog.GroupAttrs("g", slog.Any("k", once{&asked}))
	derived := h.WithAttrs([]slog.Attr{slog.Any("k", once{&asked}), group})
	for range 2 {
		if err := derived.Handle(t.Context(), record(slog.LevelInfo, "message")); err != nil {
			t.Error(err)
		}
	}
	if asked != 2 || fmt.Sprint(seen) != "[1 2 1 2]" {
		t.Errorf("two LogValuers were asked %d times, and predicates saw %v", asked, seen)
	}
	if kind := group.Value.Group()[0].Value.Kind(); kind != slog.KindLogValuer {
		t.Errorf("the caller's group was changed, it holds a %v now", kind)
	}
}

// secret is a value that handlers know by its type.
type secret struct{ Text string }

func TestRouterHandler_leavesTheValuesOfWithAsTheyAre(t *testing.T) {
	value := &secret{"hidden"}
	for _, o := range over {
		var got any
		child := &hooked{next: new(handlertest.Recorder), withAttrs: func(attrs []slog.Attr) []slog.Attr {
			got = attrs[0].Value.Any()
			return attrs
		}}
		o.new(child).WithAttrs([]slog.Attr{slog.Any("k", value)})
		if got != value {
			t.Errorf("%s: a child that redacts by type was given a %T", o.name, got)
		}
	}
}

func TestRouterHandler_asksNoPredicateOutsideOfTheLevels(t *testing.T) {
	asked := 0
	when := func(context.Context, slogworks.View) bool { asked++; return true }
	open, narrow := new(handlertest.Recorder), &handlertest.Recorder{Level: slog.LevelError}
	for _, build := range []func(...fanout.Route) *fanout.RouterHandler{fanout.Router, fanout.First} {
		h := build(
			fanout.Route{Min: slog.LevelWarn, When: when, To: open},
			fanout.Route{Max: slog.LevelDebug, When: when, To: open},
			fanout.Route{When: when, To: narrow},
		)
		if h.Enabled(t.Context(), slog.LevelInfo) {
			t.Error("it is enabled for a level that no route takes")
		}
		if err := h.Handle(t.Context(), record(slog.LevelInfo, "message")); err != nil {
			t.Error(err)
		}
		if err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info)); err != nil {
			t.Error(err)
		}
		if h.Enabled(t.Context(), slog.LevelError); asked > 0 {
			t.Errorf("the predicates were asked %d times", asked)
		}
		wantAccount(t, fanout.New(h), slogworks.Account{Stage: h.Account().Stage, Accepted: 2, Dropped: map[string]uint64{"no route": 2}})
	}
}

func TestRouterHandler_namesTheRouteWhosePredicatePanics(t *testing.T) {
	throw := func(context.Context, slogworks.View) bool { panic(errBroken) }
	for name, build := range map[string]func(...fanout.Route) *fanout.RouterHandler{"Router": fanout.Router, "First": fanout.First} {
		first, never, last := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
		h := build(
			fanout.Route{When: slogworks.MessageContains("no such text"), To: first},
			fanout.Route{When: throw, To: never},
			fanout.Route{To: last},
		)
		for how, err := range map[string]error{
			"Handle":      h.Handle(t.Context(), record(slog.LevelInfo, "0")),
			"HandleBatch": h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info)),
		} {
			wantPanicError(t, err)
			if err == nil || !strings.Contains(err.Error(), "fanout: predicate of route 2: panic: broken") {
				t.Errorf("%s of %s returned %v", how, name, err)
			}
		}
		wantMessages(t, never)
		wantMessages(t, last, "0", "0")
		wantAccount(t, h, slogworks.Account{Stage: "fanout." + name, Accepted: 2, Delivered: 2})
	}

	// With nobody else to take it, the record is lost to the error.
	h := fanout.Router(fanout.Route{When: throw, To: new(handlertest.Recorder)})
	_ = h.Handle(t.Context(), record(slog.LevelInfo, "message"))
	_ = h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info, info))
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Router", Accepted: 3, Dropped: map[string]uint64{"error": 3}})
}

func TestRouterHandler_countsARecordThatOneRouteTookAsDelivered(t *testing.T) {
	h := fanout.Router(
		fanout.Route{Min: slog.LevelInfo, To: failing(errBroken)},
		fanout.Route{Min: slog.LevelWarn, To: new(handlertest.Recorder)},
		fanout.Route{Min: slog.LevelError, To: panicking(errBroken)},
	)
	for _, level := range []slog.Level{debug, info, warn, grave} {
		_ = h.Handle(t.Context(), record(level, "message"))
	}
	_ = h.HandleBatch(t.Context(), batchOf(slogworks.Digest, debug, info, warn, grave))
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Router", Accepted: 8, Delivered: 4, Dropped: map[string]uint64{"no route": 2, "error": 2}})
}

func TestRouterHandler_countsWhatAHandlerAcceptedOfABatch(t *testing.T) {
	accepts := func(n int) slog.Handler { return failing(&slogworks.DeliveryError{Accepted: n}) }
	plain := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "2" {
			return errBroken
		}
		return nil
	}}
	for _, test := range []struct {
		name      string
		to        slog.Handler
		delivered uint64
	}{
		{"a handler that accepts two", accepts(2), 2},
		{"a handler that accepts fewer than none", accepts(-1), 0},
		{"a handler that accepts more than there are", accepts(99), 4},
		{"a handler that says nothing", failing(errBroken), 0},
		{"a handler that says nothing by a DeliveryError", failing((*slogworks.DeliveryError)(nil)), 0},
		{"a handler that panics", panicking(errBroken), 0},
		{"a handler of single records that fails at one", plain.Plain(), 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			// A fifth record has no route.
			h := fanout.Router(fanout.Route{Min: info, To: test.to})
			if err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, debug, info, info, info)); err == nil {
				t.Error("there is no error")
			}
			want := slogworks.Account{Stage: "fanout.Router", Accepted: 5, Delivered: test.delivered, Dropped: map[string]uint64{"no route": 1}}
			if lost := 4 - test.delivered; lost > 0 {
				want.Dropped["error"] = lost
			}
			wantAccount(t, h, want)
		})
	}
}

func TestRouterHandler_sharesItsAccountWithDerivedHandlers(t *testing.T) {
	h := fanout.Router(fanout.Route{When: slogworks.AttrIs("k", 1), To: new(handlertest.Recorder)})
	derived := h.WithAttrs([]slog.Attr{slog.Int("k", 1)})
	for _, h := range []slog.Handler{h, derived, derived.WithGroup("g")} {
		if err := handle(h, record(slog.LevelInfo, "message")); err != nil {
			t.Error(err)
		}
	}
	want := slogworks.Account{Stage: "fanout.Router", Accepted: 3, Delivered: 2, Dropped: map[string]uint64{"no route": 1}}
	wantAccount(t, h, want)
	wantAccount(t, derived, want)
}

func TestRouterHandler_routesTheItemsOfABatch(t *testing.T) {
	routes := func(all, odd, errs slog.Handler) []fanout.Route {
		return []fanout.Route{
			{When: func(ctx context.Context, _ slogworks.View) bool { return ctx.Value(itemKey{}).(int)%2 == 1 }, To: odd},
			{Min: slog.LevelError, To: errs},
			{To: all},
		}
	}
	levels := []slog.Level{info, info, grave, info, info, grave}
	all, odd, errs := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
	router := fanout.Router(routes(all, odd, errs)...)
	if err := router.HandleBatch(t.Context(), batchOf(slogworks.Escalation, levels...)); err != nil {
		t.Error(err)
	}
	wantBatches(t, odd, "escalation 1 3 5;")
	wantBatches(t, errs, "escalation 2 5;")
	wantBatches(t, all, "escalation 0 1 2 3 4 5;")
	wantAccount(t, router, slogworks.Account{Stage: "fanout.Router", Accepted: 6, Delivered: 6})

	all, odd, errs = new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
	first := fanout.First(routes(all, odd, errs)...)
	if err := first.HandleBatch(t.Context(), batchOf(slogworks.Escalation, levels...)); err != nil {
		t.Error(err)
	}
	wantBatches(t, odd, "escalation 1 3 5;")
	wantBatches(t, errs, "stream 2;")
	wantBatches(t, all, "stream 0 4;")
	wantAccount(t, first, slogworks.Account{Stage: "fanout.First", Accepted: 6, Delivered: 6})
}
