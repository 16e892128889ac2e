package levels

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// aliases are names of levels that slog does not have and people type.
var aliases = map[string]slog.Level{
	"trace":    slog.LevelDebug - 4,
	"warning":  slog.LevelWarn,
	"critical": slog.LevelError + 4,
	"fatal":    slog.LevelError + 4,
}

// Parse returns the level that text names, in upper or lower case: debug, info,
// warn or error, also with an offset as in "error+4"; a whole number, as in
// "-4"; trace (debug-4), warning (warn), critical and fatal (error+4). The
// error says the same.
func Parse(text string) (slog.Level, error) {
	name := strings.ToLower(strings.TrimSpace(text))
	if level, ok := aliases[name]; ok {
		return level, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		return slog.Level(n), nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return 0, fmt.Errorf("levels: unknown level %q: want debug, info, warn or error, with an offset as in error+4; a number; trace, warning, critical or fatal", text)
	}
	return level, nil
}

// format returns text for the level as Parse reads it.
func format(level slog.Level) string { return strings.ToLower(level.String()) }
