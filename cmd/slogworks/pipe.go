package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/wire"
)

const pipeHelp = `Usage: slogworks pipe --config FILE [flags] [FILE... | -]

Puts the lines of files, or of stdin if none is named or one is -, through the
pipeline that a document describes, and ends at the end of input when all is
delivered. Lines may be JSON of slog, zap, zerolog, logrus or Python, or any text.
Where the pipeline is slow it waits for it, unless that delivers nothing at all.

Lines below the level that the document has for their logger, info unless it says
otherwise, go nowhere. Those below all of its levels are not counted, nor are blank
ones; a line that only its own logger's level keeps out counts as written.

The document may be changed meanwhile. The last line on stderr says what became of
it all; the exit status is 3 if records were lost. There objects and connections,
which are of slogworks receive and live, are 0.

Flags:
`

// pipeFlags are what pipe is told on the command line.
type pipeFlags struct {
	documentFlags
	accessFlags
	files []string // "-" is stdin
}

func parsePipe(args []string, stdout io.Writer) (*pipeFlags, error) {
	o := new(pipeFlags)
	flags := newFlags(pipeHelp)
	o.documentFlags.add(flags)
	o.accessFlags.add(flags)
	flags.Lookup("token-file").Usage = "ask at --admin for the token in the `FILE` (default: that in SLOGWORKS_TOKEN, if any)"
	flags.Lookup("tls-cert").Usage = "the certificate, a `FILE` in PEM, for an --admin that other machines can reach"
	flags.Lookup("allow-remote").Usage = "serve --admin where other machines can reach it without TLS; it needs a token all the same"
	files, err := flags.parseMixed(args, stdout)
	if err != nil {
		return nil, err
	}
	if o.config == "" {
		return nil, usagef("no --config: name the document that describes the pipeline, such as pipeline.yaml")
	}
	if o.files = files; len(files) == 0 {
		o.files = []string{"-"}
	}
	for i, file := range files {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return nil, usagef("%s is a directory; name its files", file)
		}
		if file == "-" && slices.Contains(files[:i], file) {
			return nil, usagef("- stands there twice, and stdin can be read once")
		}
	}
	if err := o.read(); err != nil {
		return nil, err
	}
	return o, o.check(&o.accessFlags)
}

// runPipe puts lines through a pipeline until their end, or until ctx is done.
func runPipe(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parsePipe(args, stdout)
	if err != nil {
		return err
	}
	for _, file := range o.files {
		if _, err := os.Stat(file); err != nil && file != "-" { // before anything is open
			return err
		}
	}
	const name = "slogworks pipe"
	complaints := newComplaints(stderr, name)
	defer complaints.stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer outlive(syscall.SIGPIPE, syscall.SIGHUP)() // the latter also while the document is not watched
	d, err := o.documentFlags.open(ctx, name, stderr, complaints.tellOrEnd(fail))
	if err != nil {
		return err
	}
	if err := d.begin(ctx, &o.documentFlags, &o.accessFlags, fail); err != nil {
		return errors.Join(err, d.manager.Close())
	}
	p := &pipe{document: d, handling: make(chan struct{}, 1)}
	err = errors.Join(p.copyAll(ctx, o.files), fatalErrorIn(ctx))
	return d.end(complaints, p.total(), err)
}

// pipe puts lines through the pipeline of a document.
type pipe struct {
	*document
	counts intake.Counts

	stopped  atomic.Bool
	handling chan struct{} // has room for one, and is full while a line is handled
	handled  int           // since the pipeline was last waited for
	stalled  bool

	abandoned uint64 // is 1 if the last record was never taken
}

// total is what became of the lines.
func (p *pipe) total() tally {
	n := p.counts.Totals()
	return tally{received: n.Received + p.abandoned, dropped: n.Dropped + p.abandoned, refused: n.Refused}
}

// copyAll reads the files one after the other.
func (p *pipe) copyAll(ctx context.Context, files []string) error {
	for _, file := range files {
		if ctx.Err() != nil {
			return nil
		}
		if err := p.copy(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// copy reads a file to its end, or until ctx is done.
func (p *pipe) copy(ctx context.Context, name string) error {
	done := make(chan error, 1)
	opened := make(chan *os.File, 1)
	go func() {
		in := os.Stdin
		if name != "-" {
			var err error
			if in, err = os.Open(name); err != nil { // of a named pipe it may wait for ever
				done <- err
				return
			}
			defer in.Close()
		}
		opened <- in
		done <- readLines(in, func(line []byte, isCut bool) { p.line(ctx, line, isCut) })
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// The line in hand is the last: a read from a terminal or a file cannot be
	// ended, and what it returns later goes nowhere.
	p.stopped.Store(true)
	select {
	case p.handling <- struct{}{}:
		<-p.handling
	case <-time.After(grace):
		p.abandoned = 1
		p.report(fmt.Errorf("a record was lost: the pipeline has not taken it for %v", grace))
		return nil
	}
	select {
	case in := <-opened:
		if name != "-" {
			in.Close()
			<-done
		} else if in.SetReadDeadline(time.Now()) == nil {
			<-done
		}
	default:
	}
	return nil
}

const (
	// waitEvery is after how many lines the pipeline is waited for, so that
	// queues, which have room for as many by far, do not overflow.
	waitEvery = 100
	// stallTime is how long it is waited for when it has just delivered nothing
	// for the time of grace: one sink that is down must not hold up all others.
	stallTime = 100 * time.Millisecond
)

// line makes a record of a line, unless it is blank, and hands it on.
func (p *pipe) line(ctx context.Context, line []byte, isCut bool) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	r, err := intake.ReadJSON(line)
	if err != nil {
		r = intake.Record{Record: wire.ReadText(line)}
	}
	if isCut {
		r.Message += "!truncated" // what is cut elsewhere ends with that too
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	p.handling <- struct{}{}
	defer func() { <-p.handling }()
	if p.stopped.Load() {
		return
	}
	if err := p.counts.Hand(context.Background(), p.manager.Handler(), r.From("")); err != nil {
		p.report(fmt.Errorf("a record was lost: %w", err))
	}
	if p.handled++; p.handled < waitEvery {
		return
	}
	p.handled = 0
	patience := grace
	if p.stalled {
		patience = stallTime
	}
	p.stalled = !p.settle(ctx, patience) && ctx.Err() == nil
}
