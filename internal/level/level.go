// Package level reads levels as people write them, in queries, flags and
// documents, and as other loggers do.
package level

import (
	"log/slog"
	"strconv"
	"strings"
)

// aliases are names that slog does not have.
var aliases = map[string]slog.Level{
	"trace":    slog.LevelDebug - 4,
	"warning":  slog.LevelWarn,
	"critical": slog.LevelError + 4,
	"fatal":    slog.LevelError + 4,
}

// Named returns the level that text names, in any case: debug, info, warn or
// error, also with an offset, as in "error+4"; trace (debug-4), warning (warn),
// critical and fatal (error+4).
func Named(text string) (level slog.Level, ok bool) {
	if level, ok := aliases[strings.ToLower(text)]; ok {
		return level, true
	}
	err := level.UnmarshalText([]byte(text))
	return level, err == nil
}

// Parse is Named, and reads whole numbers too, such as "-4".
func Parse(text string) (level slog.Level, ok bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return slog.Level(n), true
	}
	return Named(text)
}
