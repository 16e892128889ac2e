package intake

import (
	"crypto/tls"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

// Limits are what a receiver takes. The fields of receivers with these names say
// what each means.
type Limits struct {
	MaxFrame, MaxConns        int
	IdleTimeout, FrameTimeout time.Duration
}

// WithDefaults returns the limits with the defaults of the zero ones.
func (l Limits) WithDefaults() Limits {
	if l.MaxFrame <= 0 {
		l.MaxFrame = 1 << 20
	}
	// A longer length than wire.MaxLine, in four bytes, would not begin with the
	// byte 0.
	l.MaxFrame = min(max(l.MaxFrame, 2<<10), wire.MaxLine-1)
	if l.MaxConns == 0 {
		l.MaxConns = 256
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = 5 * time.Minute
	}
	if l.FrameTimeout <= 0 {
		l.FrameTimeout = 30 * time.Second
	}
	return l
}

// ServerTLS returns a copy of config, which may be nil, without session tickets:
// Python's ssl does not read them, and closing a connection on which something
// was not read destroys what was sent last.
func ServerTLS(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.SessionTicketsDisabled = true
	return config
}
