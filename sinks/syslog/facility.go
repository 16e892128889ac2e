package syslog

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Facility is the kind of program that a message comes from, by the numbers of
// RFC 5424, section 6.2.1. The kernel's number, 0, is not to be had: programs
// have no use for it.
type Facility int

// The facilities, by the names that syslog(3) and rsyslog have for them.
const (
	User     Facility = 1
	Mail     Facility = 2
	Daemon   Facility = 3
	Auth     Facility = 4
	Syslog   Facility = 5
	LPR      Facility = 6
	News     Facility = 7
	UUCP     Facility = 8
	Cron     Facility = 9
	AuthPriv Facility = 10
	FTP      Facility = 11
	Local0   Facility = 16
	Local1   Facility = 17
	Local2   Facility = 18
	Local3   Facility = 19
	Local4   Facility = 20
	Local5   Facility = 21
	Local6   Facility = 22
	Local7   Facility = 23
)

// facilities are the names that syslog.conf(5) and rsyslog.conf(5) have for the
// numbers.
var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// String returns the name that rsyslog.conf(5) has for the facility, such as
// "daemon" or "local0".
func (f Facility) String() string {
	if f < 0 || int(f) >= len(facilities) {
		return fmt.Sprintf("Facility(%d)", int(f))
	}
	return facilities[f]
}

// MarshalText returns what String does.
func (f Facility) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText takes a name as String returns it, in any case.
func (f *Facility) UnmarshalText(text []byte) error {
	i := slices.Index(facilities[:], strings.ToLower(string(text)))
	if i <= 0 {
		return fmt.Errorf("syslog: facility %q: want one such as user, daemon or local0 to local7", text)
	}
	*f = Facility(i)
	return nil
}

// severityOf returns the severity of a level, and whether the level can be told
// from it.
func severityOf(l slog.Level) (severity int, exact bool) {
	switch {
	case l >= slog.LevelError+4:
		return 2, l == slog.LevelError+4
	case l >= slog.LevelError:
		return 3, l == slog.LevelError
	case l >= slog.LevelWarn:
		return 4, l == slog.LevelWarn
	case l >= slog.LevelInfo+2:
		return 5, l == slog.LevelInfo+2
	case l >= slog.LevelInfo:
		return 6, l == slog.LevelInfo
	}
	return 7, l == slog.LevelDebug
}
