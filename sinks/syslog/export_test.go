package syslog

import "log/slog"

// Message returns the record as a handler with the options would send it to a
// datagram or stream target.
func Message(to string, opts *Options, r slog.Record) string {
	h := New(to, opts)
	defer h.Close()
	return string(new(encoder).append(nil, &h.core.form, r))
}

// SetLocalPaths replaces where the daemon of the machine is looked for.
func SetLocalPaths(paths ...string) (restore func()) {
	before := localPaths
	localPaths = paths
	return func() { localPaths = before }
}
