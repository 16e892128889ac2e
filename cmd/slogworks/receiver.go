package main

import (
	"net"

	"github.com/slogworks/slogworks/sinks/httpsink"
	"github.com/slogworks/slogworks/sinks/socket"
	"github.com/slogworks/slogworks/sinks/syslog"
)

func socketReceiver(e endpoint, s *intakeSettings) receiver {
	r := &socket.Receiver{
		Handler: s.handler, Token: s.token, MaxFrame: int(s.maxFrame), MaxConns: s.maxConns,
		IdleTimeout: s.idle, FrameTimeout: s.frame, OnError: s.report,
	}
	if e.isTLS {
		r.TLS = s.tls
	}
	return receiver{
		servesConnections: r.Serve, servesPackets: r.ServePacket, shutdown: r.Shutdown, closed: socket.ErrClosed,
		count: func() tally {
			n := r.Stats()
			return tally{n.Received, n.Dropped, n.Refused, n.Objects, n.Connections}
		},
	}
}

func syslogReceiver(_ endpoint, s *intakeSettings) receiver {
	r := &syslog.Receiver{
		Handler: s.handler, MaxFrame: int(s.maxFrame), MaxConns: s.maxConns,
		IdleTimeout: s.idle, FrameTimeout: s.frame, OnError: s.report,
	}
	return receiver{
		servesConnections: r.Serve, servesPackets: r.ServePacket, shutdown: r.Shutdown, closed: syslog.ErrClosed,
		count: func() tally {
			n := r.Stats()
			return tally{n.Received, n.Dropped, n.Refused, 0, n.Connections}
		},
	}
}

func httpReceiver(e endpoint, s *intakeSettings) receiver {
	host, _, _ := net.SplitHostPort(e.address) // as parseEndpoint has made sure
	r := &httpsink.Receiver{
		Handler: s.handler, Token: s.token, Hosts: []string{host}, Path: e.path, MaxFrame: int(s.maxFrame), MaxConns: s.maxConns,
		IdleTimeout: s.idle, FrameTimeout: s.frame, OnError: s.report,
	}
	return receiver{
		servesConnections: r.Serve, shutdown: r.Shutdown, closed: httpsink.ErrClosed,
		count: func() tally {
			n := r.Stats()
			return tally{n.Received, n.Dropped, n.Refused, 0, n.Connections}
		},
	}
}
