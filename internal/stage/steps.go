package stage

import (
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
)

// Steps are what a handler was derived with, oldest first, for the views of its
// records.
//
// LogValuers are resolved, as slog's handlers do in WithAttrs. Other values stay
// as they are, and are not frozen: what a pointer leads to could be copied only
// by marshalling it, at each With and for predicates that hardly ever look at
// it; and a handler behind, or its ReplaceAttr, that knows a value by its type,
// say to keep it secret, must meet that type.
type Steps []slogworks.GroupOrAttrs

// WithAttrs returns the steps and one more. It does not change s, nor keep attrs.
func (s Steps) WithAttrs(attrs []slog.Attr) Steps {
	return append(slices.Clip(s), slogworks.GroupOrAttrs{Attrs: Resolve(attrs)})
}

// WithGroup returns the steps and one more. It does not change s.
func (s Steps) WithGroup(name string) Steps {
	return append(slices.Clip(s), slogworks.GroupOrAttrs{Group: name})
}

// View returns the view of a record of a handler with these steps.
func (s Steps) View(r slog.Record) slogworks.View { return slogworks.NewView(r, s...) }
