package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/slogworks/slogworks/sinks/live"
)

const liveHelp = `Usage: slogworks live [flags] [FILE... | -]

Shows the log of many processes in the browser while it is written: records from
the network, as slogworks receive takes them, those of channels and streams of a
Redis server, the lines of files, and with - those of stdin. The address of the
page is printed on stdout.

Files are followed by name, however they are rotated or truncated, and may come
later. Lines may be JSON of slog, zap, zerolog, logrus or Python, or any text.
The end of stdin does not end it; SIGINT, SIGTERM or SIGHUP does. A source that is
down is tried again. The last line on stderr says what became of it all.
There objects counts what Python programs sent in pickles that is no plain data, such
as a Path: a record has a mark like "!refused pathlib.PosixPath" in its place.

Flags:
`

// liveFlags are what live is told on the command line.
type liveFlags struct {
	serverFlags
	redis   redisFlags
	http    string
	hosts   []string
	lines   int
	backlog int
	rate    int
	open    bool
	files   []string // "-" is stdin
}

func parseLive(args []string, stdout io.Writer) (*liveFlags, error) {
	o := &liveFlags{http: "127.0.0.1:8514", lines: 1000, backlog: 20_000}
	flags := newFlags(liveHelp)
	o.add(flags, "none")
	o.redis.add(flags)
	flags.Lookup("token-file").Usage = "ask for the token in the `FILE` (default: that in SLOGWORKS_TOKEN, or else a random one for the page and none for --listen)"
	flags.Lookup("tls-cert").Usage = "the server's certificate, a `FILE` in PEM, for tls:// and for a page that other machines can reach"
	flags.Func("http", "serve the page at `HOST:PORT` (default 127.0.0.1:8514)", func(text string) error {
		o.http = text
		return checkAddress(text)
	})
	listFlag(flags, &o.hosts, "host", "serve the page under the `NAME` too, besides that of --http and those of this machine alone; may be repeated")
	countFlag(flags, &o.lines, 0, "lines", "show the last `N` lines first that files have already, and entries of streams (default 1000)")
	countFlag(flags, &o.backlog, 1, "backlog", "keep `N` records (default 20000)")
	countFlag(flags, &o.rate, 0, "rate", "show no browser more than `N` records a second, 0 for all (default 0)")
	flags.BoolVar(&o.open, "open", false, "open the page in the browser; its address is then in the system's list of processes, token and all")
	files, err := flags.parseMixed(args, stdout)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return nil, usagef("%s is a directory; name its files", file)
		}
		if !slices.Contains(o.files, file) {
			o.files = append(o.files, file)
		}
	}
	if err := o.redis.check(); err != nil {
		return nil, err
	}
	if err := o.load(); err != nil {
		return nil, err
	}
	if !isLocalAddress(o.http) && !o.allowRemote && o.tls == nil {
		return nil, usagef("--http %s can be reached by other machines: use --tls-cert and --tls-key, or --allow-remote", o.http)
	}
	return o, nil
}

// runLive shows records from everywhere on a page until ctx is done.
func runLive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseLive(args, stdout)
	if err != nil {
		return err
	}
	const name = "slogworks live"
	complaints := newComplaints(stderr, name)
	defer complaints.stop()
	defer outlive(syscall.SIGPIPE)()
	ctx, forget := endAtHangup(ctx)
	defer forget()

	var followed []source
	var in *inlets
	hub := o.newHub(func() []live.Source {
		all := in.sources()
		for _, s := range followed {
			all = append(all, s.state())
		}
		return all
	})
	listener, err := net.Listen("tcp", o.http)
	if err != nil {
		return fmt.Errorf("%w; --http 127.0.0.1:0 takes any free port", err)
	}
	settings := &intakeSettings{serverFlags: &o.serverFlags, handler: hub.Relay(nil), report: complaints.tell}
	if in, err = settings.listen(); err != nil {
		listener.Close()
		return err
	}
	followed = o.follow(ctx, hub, complaints.tell)
	if feed := o.redis.feed(hub, o.lines, complaints.tell); feed != nil {
		followed = append(followed, feed)
	}

	p := newPage(hub, listener, o.pageTLS(), complaints.tell)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p.serve(fail)
	url := p.url(o.pageHost())
	if _, err := fmt.Fprintf(stdout, "%s: page %s\n", name, url); err != nil {
		fail(&fatalError{err})
	}
	in.serve(stderr, name, fail)
	if len(followed)+len(in.listeners) == 0 {
		complaints.tell(errors.New("nothing to show: name a FILE, - for stdin, --listen URL or --redis URL"))
	}
	if o.open {
		go func() {
			if err := openBrowser(url); err != nil {
				complaints.tell(err)
			}
		}()
	}
	var running sync.WaitGroup
	for _, s := range followed {
		running.Go(func() { s.run(ctx) })
	}
	<-ctx.Done()

	running.Wait()
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = errors.Join(fatalErrorIn(ctx), in.shutdown(drain))
	p.shutdown(drain)
	complaints.stop()
	total := in.total()
	for _, s := range followed {
		state := s.state()
		total.add(tally{received: state.Received, dropped: state.Dropped, refused: state.Refused})
	}
	return sumUp(stderr, name, total, err)
}

func (o *liveFlags) newHub(sources func() []live.Source) *live.Hub {
	hosts := slices.Clone(o.hosts)
	if host, _, _ := net.SplitHostPort(o.http); host != "" {
		hosts = append(hosts, host)
	}
	return live.New(&live.Options{
		MaxRecords: o.backlog,
		MaxBytes:   roomFor(o.backlog),
		MaxRate:    o.rate,
		Token:      o.token,
		Hosts:      hosts,
		Title:      "slogworks live",
		Sources:    sources,
	})
}

// roomFor is how many bytes there should be room for with that many records, even
// if they are long.
func roomFor(records int) int {
	const each = 1 << 10
	return max(16<<20, min(records, math.MaxInt/each)*each)
}

// pageHost is the name under which the page is announced.
func (o *liveFlags) pageHost() string {
	host, _, _ := net.SplitHostPort(o.http)
	if !isEveryAddress(host) {
		return host
	}
	if len(o.hosts) > 0 {
		return o.hosts[0]
	}
	return "127.0.0.1"
}

// pageTLS returns what the page is served with, nil for plain HTTP.
func (o *liveFlags) pageTLS() *tls.Config {
	if isLocalAddress(o.http) {
		return nil // a certificate is hardly one for 127.0.0.1
	}
	return o.tls
}

// follow returns what follows the files, and publishes the lines that they have
// already.
func (o *liveFlags) follow(ctx context.Context, hub *live.Hub, tell func(error)) []source {
	var all []source
	var held []*feed
	for _, file := range o.files {
		if file == "-" {
			all = append(all, &stdinFeed{feed: feed{hub: hub, name: "stdin", process: "stdin"}, in: os.Stdin, tell: tell})
			continue
		}
		f := &follower{
			feed: feed{hub: hub, name: file, process: o.processOf(file), holds: true},
			path: file, existing: o.lines, every: pollEvery, tell: tell,
		}
		f.begin(ctx)
		held = append(held, &f.feed)
		all = append(all, f)
	}
	publishHeld(held)
	return all
}

// processOf is the name under which the lines of a file are shown: that of the
// file, and its directories too if others are called the same.
func (o *liveFlags) processOf(file string) string {
	for _, other := range o.files {
		if other != file && filepath.Base(other) == filepath.Base(file) {
			return file
		}
	}
	return filepath.Base(file)
}
