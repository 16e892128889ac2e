package chain_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// witness is a handler that counts how often it was derived and scribbles over
// the attributes it is given, as it may.
type witness struct {
	derived *int
	trail   string
}

func (w *witness) Enabled(context.Context, slog.Level) bool  { return true }
func (w *witness) Handle(context.Context, slog.Record) error { return nil }

func (w *witness) WithAttrs(attrs []slog.Attr) slog.Handler {
	*w.derived++
	child := &witness{w.derived, w.trail + fmt.Sprint(attrs)}
	for i := range attrs {
		attrs[i] = slog.String("scribbled", "over")
	}
	_ = append(attrs, slog.String("scribbled", "behind"))
	return child
}

func (w *witness) WithGroup(name string) slog.Handler {
	*w.derived++
	return &witness{w.derived, w.trail + "{" + name}
}

// incomparable is a legal handler that == panics on.
type incomparable []int

func (incomparable) Enabled(context.Context, slog.Level) bool  { return true }
func (incomparable) Handle(context.Context, slog.Record) error { return nil }
func (h incomparable) WithAttrs([]slog.Attr) slog.Handler      { return h }
func (h incomparable) WithGroup(string) slog.Handler           { return h }

func newTarget() (t *chain.Target, derived *int) {
	derived = new(int)
	return &chain.Target{Handler: &witness{derived: derived}}, derived
}

func trail(h slog.Handler) string { return h.(*witness).trail }

func attrs(args ...any) []slog.Attr { return slog.Group("", args...).Value.Group() }

func TestNode_derivesAHandlerOncePerTarget(t *testing.T) {
	var root *chain.Node
	parent := root.WithAttrs(attrs("a", 1)).WithGroup("g")
	child := parent.WithAttrs(attrs("b", 2, "c", 3))

	first, derived := newTarget()
	h := child.Handler(first)
	if got, want := trail(h), "[a=1]{g[b=2 c=3]"; got != want {
		t.Errorf("derived as %s, want %s", got, want)
	}
	if child.Handler(first) != h || *derived != 3 {
		t.Errorf("derived %d times for 3 links", *derived)
	}
	if trail(parent.Handler(first)) != "[a=1]{g" || trail(parent.WithGroup("h").Handler(first)) != "[a=1]{g{h" || *derived != 4 {
		t.Errorf("derived %d times for 4 links", *derived)
	}

	t.Run("and again for another Target", func(t *testing.T) {
		second, again := newTarget()
		if other := child.Handler(second); other == h || trail(other) != trail(h) || *again != 3 {
			t.Errorf("derived as %s, %d times for 3 links", trail(other), *again)
		}
		if child.Handler(second); *again != 3 {
			t.Errorf("derived %d times for 3 links", *again)
		}
		if *derived != 4 {
			t.Error("the first Target was derived again")
		}
	})
	t.Run("and again for a Target of the same handler", func(t *testing.T) {
		target, derived := newTarget()
		child.Handler(target)
		if child.Handler(&chain.Target{Handler: target.Handler}); *derived != 6 {
			t.Errorf("derived %d times for 3 links and 2 Targets", *derived)
		}
	})
	t.Run("without comparing handlers", func(t *testing.T) {
		child.Handler(&chain.Target{Handler: incomparable{}})
		child.Handler(&chain.Target{Handler: incomparable{}})
	})
}

func TestNode_givesEachHandlerItsOwnAttributes(t *testing.T) {
	node := (*chain.Node)(nil).WithAttrs(attrs("a", 1, "b", 2)).WithAttrs(attrs("c", 3))
	for range 3 {
		target, _ := newTarget()
		if got, want := trail(node.Handler(target)), "[a=1 b=2][c=3]"; got != want {
			t.Errorf("derived as %s, want %s", got, want)
		}
	}
	if got := fmt.Sprint(node.Steps()); got != "[{ [a=1 b=2]} { [c=3]}]" {
		t.Errorf("steps %s", got)
	}
}

func TestNode_nilIsTheEmptyChain(t *testing.T) {
	var root *chain.Node
	target, derived := newTarget()
	if root.Handler(target) != target.Handler || *derived != 0 {
		t.Error("the handler is not the Target's own")
	}
	if root.Steps() != nil || root.WithAttrs(nil) != nil || root.WithGroup("") != nil {
		t.Error("not empty")
	}
	r := scalarRecord()
	if v := root.View(r); v.Message() != r.Message {
		t.Errorf("a view of %q", v.Message())
	}
	if flat := root.Flatten(r); flat.NumAttrs() != r.NumAttrs() || flat.Message != r.Message {
		t.Errorf("flattened to %v", flat)
	}
	node := root.WithGroup("g")
	if node.WithAttrs([]slog.Attr{}) != node || node.WithGroup("") != node {
		t.Error("nothing to add, and yet another node")
	}
}

func TestNode_siblingsShareNothingThatGrows(t *testing.T) {
	parent := (*chain.Node)(nil).WithAttrs(attrs("a", 1)).WithGroup("g").WithAttrs(attrs("b", 2))
	parent.Steps()
	var siblings []*chain.Node
	for i := range 3 {
		siblings = append(siblings, parent.WithAttrs(attrs("i", i)))
	}
	for _, s := range siblings {
		s.Steps()
	}
	target, _ := newTarget()
	for i, s := range siblings {
		if got, want := fmt.Sprint(s.Steps()), fmt.Sprintf("[{ [a=1]} {g []} { [b=2]} { [i=%d]}]", i); got != want {
			t.Errorf("steps %s, want %s", got, want)
		}
		if got, want := trail(s.Handler(target)), fmt.Sprintf("[a=1]{g[b=2][i=%d]", i); got != want {
			t.Errorf("derived as %s, want %s", got, want)
		}
	}
}

func TestNode_keepsAndChangesNothingOfTheCallersSlice(t *testing.T) {
	list := []int{1}
	given := make([]slog.Attr, 0, 4)
	given = append(given, slog.Any("valuer", valuer{1}), slog.Any("list", list))
	node := (*chain.Node)(nil).WithAttrs(given)
	if given[0].Value.Kind() != slog.KindLogValuer || given[1].Value.Any().([]int)[0] != 1 {
		t.Errorf("the caller's slice became %v", given)
	}
	given[0], list[0] = slog.Int("other", 2), 2
	if got := fmt.Sprint(node.Steps()); got != "[{ [valuer=1 list=[1]]}]" {
		t.Errorf("steps %s", got)
	}
	target, _ := newTarget()
	node.Handler(target)
	if more := given[:3]; !more[2].Equal(slog.Attr{}) {
		t.Errorf("written behind the caller's slice: %v", more[2])
	}
}

func TestNode_worksForSeveralGoroutines(t *testing.T) {
	node := (*chain.Node)(nil).WithAttrs(attrs("a", 1)).WithGroup("g").WithAttrs(attrs("b", 2))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				target := &chain.Target{Handler: slog.NewJSONHandler(io.Discard, nil)}
				child := node.WithAttrs(attrs("i", i))
				child.Handler(target).Handle(context.Background(), scalarRecord())
				node.Handler(target).Handle(context.Background(), child.Flatten(scalarRecord()))
				if value, _ := child.View(scalarRecord()).Attr("g", "i"); value.Int64() != int64(i) {
					t.Errorf("g.i = %v, want %d", value, i)
				}
			}
		})
	}
	wg.Wait()
}

func TestNode_doesNotAllocateOnceTheListIsBuilt(t *testing.T) {
	node := (*chain.Node)(nil).WithAttrs(attrs("a", 1)).WithGroup("g")
	target, _ := newTarget()
	node.Handler(target)
	r := scalarRecord()
	if n := testing.AllocsPerRun(100, func() {
		if value, _ := node.View(r).Attr("g", "status"); value.Int64() != 200 {
			t.Error("no g.status")
		}
	}); n != 0 {
		t.Errorf("View: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { node.Steps() }); n != 0 {
		t.Errorf("Steps: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { node.Handler(target) }); n != 0 {
		t.Errorf("Handler: %v allocations", n)
	}
}

func TestNode_listsALongChainWithoutAListPerLink(t *testing.T) {
	const links = 1000
	build := func() (n *chain.Node) {
		for range links {
			n = n.WithGroup("g")
		}
		return n
	}
	bare := testing.AllocsPerRun(5, func() { build() })
	if n := testing.AllocsPerRun(5, func() { build().Steps() }) - bare; n > links/10 {
		t.Errorf("%v allocations for the list of %d links", n, links)
	}
}

func TestNode_flattenLeavesTheRecordAlone(t *testing.T) {
	node := (*chain.Node)(nil).WithAttrs(attrs("a", 1))
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "message", 42)
	for i := range 7 {
		r.AddAttrs(slog.Int("i", i))
	}
	flat := node.Flatten(r)
	if flat.Time != r.Time || flat.Level != r.Level || flat.Message != r.Message || flat.PC != r.PC || flat.NumAttrs() != 8 {
		t.Errorf("%+v became %+v", r, flat)
	}
	if r.NumAttrs() != 7 {
		t.Errorf("the record has %d attributes now", r.NumAttrs())
	}
}

// TestNode_printsAsADerivedHandlerDoes derives slog's handlers at random, by a
// chain and directly, and changes all values that can change before the chain
// is used.
func TestNode_printsAsADerivedHandlerDoes(t *testing.T) {
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var lists [][]int
		var attr func(depth int) slog.Attr
		attr = func(depth int) slog.Attr {
			key := string(rune('a' + rng.IntN(4)))
			list := []int{rng.IntN(100)}
			lists = append(lists, list)
			switch kind := rng.IntN(9); {
			case kind < 3 && depth > 0:
				members := []slog.Attr{slog.Bool(key, true)}
				for range rng.IntN(3) {
					members = append(members, attr(depth-1))
				}
				if kind == 0 {
					return slog.Any(key, valuer{slog.GroupValue(members...)})
				}
				return slog.Attr{Key: key[:kind-1], Value: slog.GroupValue(members...)}
			case kind < 5:
				return slog.Any(key, list)
			case kind == 5:
				return slog.Any(key, valuer{list})
			case kind == 6:
				return slog.Any(key, map[string]any{key: list})
			case kind == 7:
				return slog.Any(key, io.EOF)
			}
			return slog.String(key, "a b")
		}
		several := func(n int) (list []slog.Attr) {
			for range n {
				list = append(list, attr(2))
			}
			return list
		}

		var want, derived, flat bytes.Buffer
		for _, newHandler := range []func(io.Writer) slog.Handler{
			func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
			func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		} {
			direct := newHandler(&want)
			var node *chain.Node
			for range rng.IntN(6) {
				if rng.IntN(2) == 0 {
					direct, node = direct.WithGroup("g"), node.WithGroup("g")
				} else {
					list := several(1 + rng.IntN(3))
					direct, node = direct.WithAttrs(slices.Clone(list)), node.WithAttrs(list)
				}
			}
			r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
			r.AddAttrs(several(rng.IntN(8))...)
			direct.Handle(t.Context(), r)
			kept := chain.FreezeRecord(r)
			for _, list := range lists {
				list[0] += 100
			}
			node.Handler(&chain.Target{Handler: newHandler(&derived)}).Handle(t.Context(), kept)
			newHandler(&flat).Handle(t.Context(), node.Flatten(kept))
			if derived.String() != want.String() || flat.String() != want.String() {
				t.Fatalf("seed %d\n  direct %s\n derived %s\nflattened %s", seed, &want, &derived, &flat)
			}
		}
	}
}

func TestNode_viewShowsTheChain(t *testing.T) {
	node := (*chain.Node)(nil).WithAttrs(attrs(slogworks.LoggerKey, "db", "list", []int{1})).WithGroup("g")
	v := node.View(scalarRecord())
	if v.Logger() != "db" {
		t.Errorf("Logger = %q", v.Logger())
	}
	if value, ok := v.Attr("g", "method"); !ok || value.String() != "GET" {
		t.Errorf("g.method = %v, %v", value, ok)
	}
	if !slogworks.AttrIs("list", []int{1})(t.Context(), v) {
		t.Error("AttrIs does not recognise the frozen list")
	}
}
