package slogworks

import "log/slog"

// LoggerKey is the key of the attribute that names a logger. slog has no
// logger names; here a logger's name is the string attribute of this key at
// the top level, outside all groups, whether it was given by With or with the
// record. The last one wins. Dots make a tree: "db.pool" is below "db".
const LoggerKey = "logger"

// Named returns a logger that adds the name to each record. Naming a named
// logger replaces its name as far as slogworks is concerned; a handler that
// does not know about names, such as slog.JSONHandler, prints both. Name a
// logger before WithGroup, since an attribute in a group is not a name.
func Named(l *slog.Logger, name string) *slog.Logger {
	return l.With(LoggerKey, name)
}
