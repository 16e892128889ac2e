package fanout

import (
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// steps are what a handler was derived with, for the views of its records.
//
// LogValuers are resolved, as slog's handlers do in WithAttrs. Other values stay
// as they are: what a pointer leads to could be copied only by marshalling it,
// at each With and for predicates that hardly ever look at it.
type steps []slogworks.GroupOrAttrs

func (s steps) withAttrs(attrs []slog.Attr) steps {
	return append(slices.Clip(s), slogworks.GroupOrAttrs{Attrs: stage.Resolve(attrs)})
}

func (s steps) withGroup(name string) steps {
	return append(slices.Clip(s), slogworks.GroupOrAttrs{Group: name})
}

func (s steps) view(r slog.Record) slogworks.View { return slogworks.NewView(r, s...) }
