package syslog

import (
	"log/slog"
	"time"
)

// ParseMessage returns the record of a message as the handler of a Receiver gets
// it.
func ParseMessage(message string, arrival time.Time) slog.Record {
	r := parseMessage([]byte(message), arrival)
	return r.From("192.0.2.1:7")
}
