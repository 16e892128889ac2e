// Package chain keeps what a derived handler was derived with: the attributes
// and groups that With and WithGroup gave it, as an immutable linked chain.
//
// A handler that delays its records stores one pointer per record and works
// out the derived downstream handler when it first needs one; a handler that
// looks at records sees the same chain through [Node.View]. The package also
// freezes values, so that a record which is kept past Handle says later what
// it would have said at once: see [Freeze].
package chain

import (
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/slogworks/slogworks"
)

// A Node is one link of a With chain: a group that was opened, or attributes
// that were added. The nil *Node is the empty chain, and every method works on
// it. Nodes are immutable and safe for concurrent use; siblings share their
// parent and nothing that grows.
type Node struct {
	parent *Node
	step   slogworks.GroupOrAttrs

	steps   atomic.Pointer[[]slogworks.GroupOrAttrs]
	derived atomic.Pointer[derived]
}

// A Target is where the handlers of a chain lead. Nodes remember what they
// derived by the identity of the Target, never by comparing handlers, which
// may be of a type that cannot be compared. To replace a downstream handler,
// make a new Target.
type Target struct{ Handler slog.Handler }

type derived struct {
	target  *Target
	handler slog.Handler
}

// WithAttrs returns the chain with attrs added, frozen. It keeps and changes
// no part of the slice. Without attributes it returns n.
func (n *Node) WithAttrs(attrs []slog.Attr) *Node {
	if len(attrs) == 0 {
		return n
	}
	return &Node{parent: n, step: slogworks.GroupOrAttrs{Attrs: FreezeAttrs(attrs)}}
}

// WithGroup returns the chain with a group opened. Without a name it returns n.
func (n *Node) WithGroup(name string) *Node {
	if name == "" {
		return n
	}
	return &Node{parent: n, step: slogworks.GroupOrAttrs{Group: name}}
}

// Handler returns t.Handler derived as the chain says. The last answer is
// remembered, so that a chain used with one Target derives once. Each derived
// handler gets a clone of the attributes, which it may keep and change.
func (n *Node) Handler(t *Target) slog.Handler {
	if n == nil {
		return t.Handler
	}
	if d := n.derived.Load(); d != nil && d.target == t {
		return d.handler
	}
	h := n.parent.Handler(t)
	if n.step.Group != "" {
		h = h.WithGroup(n.step.Group)
	} else {
		h = h.WithAttrs(slices.Clone(n.step.Attrs))
	}
	n.derived.Store(&derived{target: t, handler: h})
	return h
}

// Steps returns the chain as a list, oldest first. The list is shared and must
// not be changed.
func (n *Node) Steps() []slogworks.GroupOrAttrs {
	if n == nil {
		return nil
	}
	if s := n.steps.Load(); s != nil {
		return *s
	}
	// The lists of the parents are not asked for: each would remember its own,
	// and a long chain the square of its length.
	var s []slogworks.GroupOrAttrs
	for link := n; link != nil; link = link.parent {
		s = append(s, link.step)
	}
	slices.Reverse(s)
	n.steps.Store(&s)
	return s
}

// View returns r as seen with the chain. It does not allocate once the list of
// steps is built.
func (n *Node) View(r slog.Record) slogworks.View {
	return slogworks.NewView(r, n.Steps()...)
}

// Flatten returns r with the chain folded into its attributes, so that it
// stands by itself: handled by a handler that was never derived, it reads as r
// does when handled by one derived with the chain. Without a chain it returns
// r itself.
func (n *Node) Flatten(r slog.Record) slog.Record {
	if n == nil {
		return r
	}
	flat := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	for a := range n.View(r).Attrs() {
		flat.AddAttrs(a)
	}
	return flat
}
