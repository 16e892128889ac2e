package levels

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/slogworks/slogworks/internal/level"
)

// Parse returns the level that text names, in upper or lower case: debug, info,
// warn or error, also with an offset as in "error+4"; a whole number, as in
// "-4"; trace (debug-4), warning (warn), critical and fatal (error+4). The
// error says the same.
func Parse(text string) (slog.Level, error) {
	l, ok := level.Parse(strings.TrimSpace(text))
	if !ok {
		return 0, fmt.Errorf("levels: unknown level %q: want debug, info, warn or error, with an offset as in error+4; a number; trace, warning, critical or fatal", text)
	}
	return l, nil
}

// format returns text for the level as Parse reads it.
func format(level slog.Level) string { return strings.ToLower(level.String()) }
