package stage

import (
	"log/slog"
	"slices"
)

// Resolve returns a copy of attrs with their LogValuers resolved, in groups too,
// as slog's handlers do in WithAttrs.
func Resolve(attrs []slog.Attr) []slog.Attr {
	resolved := slices.Clone(attrs)
	for i, a := range resolved {
		a.Value = a.Value.Resolve()
		if a.Value.Kind() == slog.KindGroup {
			a.Value = slog.GroupValue(Resolve(a.Value.Group())...)
		}
		resolved[i] = a
	}
	return resolved
}
