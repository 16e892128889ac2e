package syslog

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/slogworks/slogworks/internal/outlet"
)

// Local is the target for the daemon of this machine: /dev/log, /var/run/syslog
// or /var/run/log, whichever answers when a connection is made.
const Local = "local:"

// localPaths are where Linux, macOS and the BSDs have their socket.
var localPaths = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// target is where a Handler sends to.
type target struct {
	outlet.Target
	isLocal bool
}

func parseTarget(text string) (t target, err error) {
	if text == Local {
		return target{isLocal: true}, nil
	}
	t.Target, err = outlet.ParseTarget("syslog", text, Local)
	return t, err
}

// isHere reports whether it is on this machine, as daemons see it.
func (t target) isHere() bool { return t.isLocal || t.IsFile() }

// check returns what is wrong with the options for the target.
func check(t target, opts *Options) error {
	switch {
	case opts == nil:
		return nil
	case opts.TLS != nil && !t.IsTLS:
		return errors.New("syslog: TLS for another target: want tls://")
	case opts.Format < 0 || opts.Format > RFC3164:
		return fmt.Errorf("syslog: Format %d: want RFC5424 or RFC3164", opts.Format)
	case opts.Framing < 0 || opts.Framing > LF:
		return fmt.Errorf("syslog: Framing %d: want Octet or LF", opts.Framing)
	case opts.Facility < 0 || opts.Facility > Local7:
		return fmt.Errorf("syslog: Facility %d: want one from User to Local7", opts.Facility)
	case opts.SDID != "" && !isSDID(opts.SDID):
		return fmt.Errorf("syslog: SDID %q: want a name and a number as in slog@32473, at most %d characters", opts.SDID, maxName)
	}
	return nil
}

// dialLocal connects to the daemon of this machine.
func dialLocal(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	var errs []error
	for _, path := range localPaths {
		for _, network := range []string{"unixgram", "unix"} {
			conn, err := d.DialContext(ctx, network, path)
			if err == nil {
				return conn, nil
			}
			errs = append(errs, err)
		}
	}
	return nil, fmt.Errorf("no daemon on this machine: %w", errors.Join(errs...))
}
