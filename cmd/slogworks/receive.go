package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/socket"
)

const receiveHelp = `Usage: slogworks receive [flags]

Takes records from the network, of Go programs with sinks/socket and of Python
programs with the handlers of its logging package, and writes them to one file
that rotates, or to stdout.

SIGINT or SIGTERM ends it when everything that has arrived is written. The last
line on stderr says what became of it all.

Flags:
`

// receiveFlags are what receive is told on the command line.
type receiveFlags struct {
	listen           []endpoint
	file             string
	text             bool
	maxSize          int64
	keep             int
	daily, compress  bool
	level            slog.Level
	maxFrame         int64
	maxConns         int
	idle, frame      time.Duration
	tokenFile        string
	cert, key, caKey string
	allowRemote      bool
}

func parseReceive(args []string, stdout io.Writer) (*receiveFlags, error) {
	o := &receiveFlags{maxSize: 100 << 20, level: math.MinInt, maxFrame: 1 << 20, idle: 5 * time.Minute, frame: 30 * time.Second}
	flags := newFlags(receiveHelp)
	flags.Func("listen", "take records at the `URL`, of tcp, tls, udp, unix or unixgram; may be repeated (default tcp://127.0.0.1:9020)", func(text string) error {
		e, err := parseEndpoint(text)
		o.listen = append(o.listen, e)
		return err
	})
	flags.StringVar(&o.file, "file", "", "append to the file `PATH` (default: stdout)")
	flags.Func("format", "write `json` or text, as slog's handlers do (default json)", func(text string) error {
		if text != "json" && text != "text" {
			return fmt.Errorf("unknown format%s", hint(text, []string{"json", "text"}))
		}
		o.text = text == "text"
		return nil
	})
	sizeFlag(flags, &o.maxSize, "max-size", "rotate a file of this `SIZE` (default 100MiB)")
	flags.IntVar(&o.keep, "keep", 10, "keep `N` files that were rotated; the newest is called as --file is, and .1")
	flags.BoolVar(&o.daily, "daily", false, "rotate at midnight too")
	flags.BoolVar(&o.compress, "compress", false, "compress files that were rotated")
	flags.Func("level", "accept records of the `LEVEL` and above (default: all)", func(text string) (err error) {
		o.level, err = levels.Parse(text)
		return err
	})
	sizeFlag(flags, &o.maxFrame, "max-frame", "refuse records of more than this `SIZE` (default 1MiB)")
	flags.IntVar(&o.maxConns, "max-conns", 256, "have no more than `N` connections")
	durationFlag(flags, &o.idle, "idle-timeout", "close connections that are silent for the `DURATION` (default 5m)")
	durationFlag(flags, &o.frame, "frame-timeout", "refuse records that take longer than the `DURATION` to arrive (default 30s)")
	flags.StringVar(&o.tokenFile, "token-file", "", "ask for the token in the `FILE` (default: that in SLOGWORKS_TOKEN, if any)")
	flags.StringVar(&o.cert, "tls-cert", "", "the server's certificate, a `FILE` in PEM, for tls://")
	flags.StringVar(&o.key, "tls-key", "", "its key, a `FILE` in PEM")
	flags.StringVar(&o.caKey, "tls-client-ca", "", "ask clients for a certificate of the authority in the `FILE`")
	flags.BoolVar(&o.allowRemote, "allow-remote", false, "listen where other machines can reach it without TLS and a token")
	if err := flags.parse(args, stdout); err != nil {
		return nil, err
	}
	if err := flags.noArgs(); err != nil {
		return nil, err
	}
	if len(o.listen) == 0 {
		o.listen = []endpoint{{"tcp", "127.0.0.1:9020"}}
	}
	const minFrame, frameLimit = 2 << 10, 16 << 20 // those of socket.Receiver
	switch {
	case o.maxFrame < minFrame || o.maxFrame >= frameLimit:
		return nil, usagef("--max-frame is not from 2KiB to less than 16MiB")
	case o.maxConns < 1:
		return nil, usagef("--max-conns is not more than 0")
	case o.keep < 1:
		return nil, usagef("--keep is not more than 0")
	}
	return o, nil
}

func sizeFlag(flags *flagSet, to *int64, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		*to, err = parseSize(text)
		return err
	})
}

func durationFlag(flags *flagSet, to *time.Duration, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		*to, err = parseDuration(text)
		return err
	})
}

// receive writes records from the network to a file until ctx is done.
func receive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseReceive(args, stdout)
	if err != nil {
		return err
	}
	token, err := readToken(o.tokenFile)
	if err != nil {
		return err
	}
	config, err := serverTLS(o.cert, o.key, o.caKey)
	if err != nil {
		return err
	}
	for _, e := range o.listen {
		if e.scheme == "tls" && config == nil {
			return usagef("--listen %s needs --tls-cert and --tls-key", e)
		}
		if !e.isLocal() && !o.allowRemote && (e.scheme != "tls" || token == "") {
			return usagef("--listen %s can be reached by other machines: use tls:// and a token, or --allow-remote", e)
		}
	}

	const name = "slogworks receive"
	complaints := newComplaints(stderr, name)
	defer complaints.stop()
	out, err := o.open(stdout, complaints.tell)
	if err != nil {
		return err
	}
	listeners := make([]listener, 0, len(o.listen))
	for _, e := range o.listen {
		l, err := e.listen()
		if err != nil {
			for _, opened := range listeners {
				opened.close()
			}
			return errors.Join(err, slogworks.Shutdown(context.Background(), out))
		}
		listeners = append(listeners, l)
	}

	ready := make([]*socket.Receiver, len(listeners))
	receivers := map[bool]*socket.Receiver{} // by whether they talk TLS
	for i, l := range listeners {
		encrypted := l.scheme == "tls"
		if receivers[encrypted] == nil {
			receivers[encrypted] = &socket.Receiver{
				Handler: out, Token: token, MaxFrame: int(o.maxFrame), MaxConns: o.maxConns,
				IdleTimeout: o.idle, FrameTimeout: o.frame, OnError: complaints.tell,
			}
			if encrypted {
				receivers[encrypted].TLS = config
			}
		}
		ready[i] = receivers[encrypted]
	}

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var serving sync.WaitGroup
	for i, l := range listeners {
		serving.Go(func() {
			serve := func() error { return ready[i].Serve(l.stream) }
			if l.packets != nil {
				serve = func() error { return ready[i].ServePacket(l.packets) }
			}
			if err := serve(); !errors.Is(err, socket.ErrClosed) {
				fail(&listenerError{err})
			}
		})
		fmt.Fprintf(stderr, "%s: listening %s\n", name, l)
	}
	<-ctx.Done()

	var failed *listenerError
	if errors.As(context.Cause(ctx), &failed) {
		err = failed
	}
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var total socket.Stats
	for _, r := range receivers {
		err = errors.Join(err, r.Shutdown(drain))
	}
	serving.Wait()
	err = errors.Join(err, slogworks.Shutdown(drain, out))
	for _, r := range receivers {
		s := r.Stats()
		total.Received += s.Received
		total.Written += s.Written
		total.Dropped += s.Dropped
		total.Objects += s.Objects
		total.Connections += s.Connections
	}
	complaints.stop()
	refused := total.Received - total.Written - total.Dropped
	_, printErr := fmt.Fprintf(stderr, "%s: received=%d written=%d refused=%d objects=%d dropped=%d connections=%d\n",
		name, total.Received, total.Written, refused, total.Objects, total.Dropped, total.Connections)
	if err = errors.Join(err, printErr); err == nil && total.Dropped > 0 {
		err = &lostError{total.Dropped}
	}
	return err
}

// listenerError says that nothing comes in any more.
type listenerError struct{ err error }

func (e *listenerError) Error() string { return e.err.Error() }
func (e *listenerError) Unwrap() error { return e.err }

// open returns what writes the records.
func (o *receiveFlags) open(stdout io.Writer, report func(error)) (slog.Handler, error) {
	newHandler := func(w io.Writer) slog.Handler {
		opts := &slog.HandlerOptions{Level: o.level}
		if o.text {
			return slog.NewTextHandler(w, opts)
		}
		return slog.NewJSONHandler(w, opts)
	}
	if o.file == "" {
		return newHandler(stdout), nil
	}
	settings := &rotate.Options{
		MaxBytes: o.maxSize, MaxBackups: o.keep, Naming: rotate.Numbered, Compress: o.compress, OnError: report,
	}
	if o.daily {
		settings.Schedule = rotate.Daily(0, 0, nil)
	}
	file, err := rotate.Open(o.file, settings)
	if err != nil {
		return nil, err
	}
	return rotate.NewHandler(file, newHandler), nil
}
