package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

// documentFlags are what commands that run the pipeline of a document are told
// about it on the command line.
type documentFlags struct {
	config string
	env    []string
	watch  time.Duration
	admin  string
}

func (o *documentFlags) add(flags *flagSet) {
	o.watch = 5 * time.Second
	textFlag(flags, &o.config, "config", "the document that describes the pipeline, a `FILE`; see slogworks config -h")
	envFlag(flags, &o.env)
	durationFlag(flags, &o.watch, "watch", "look for changes of the document as often as the `DURATION` says; at SIGHUP it is read at once (default 5s)")
	flags.Func("admin", "show and change the document and the levels over HTTP at `HOST:PORT`; other machines need the token and TLS, or --allow-remote and the token (default: off)", func(text string) error {
		o.admin = text
		return checkAddress(text)
	})
}

// check returns an error if the flags do not fit together.
func (o *documentFlags) check(access *accessFlags) error {
	if o.admin == "" || isLocalAddress(o.admin) {
		return nil
	}
	if access.token == "" {
		return usagef("--admin %s can be reached by other machines: it needs a token, by --token-file or SLOGWORKS_TOKEN", o.admin)
	}
	if access.tls == nil && !access.allowRemote {
		return usagef("--admin %s can be reached by other machines: use --tls-cert and --tls-key, or --allow-remote", o.admin)
	}
	return nil
}

// document is a document whose pipeline runs.
type document struct {
	name    string // of the command
	stderr  io.Writer
	report  func(error)
	manager *config.Manager
	admin   *http.Server // nil if there is none
	served  chan struct{}

	mu      sync.Mutex
	current *config.Pipeline
	losses  losses   // of former pipelines
	hanging []former // whose losses are not all known
}

// former is a handler of a former pipeline.
type former struct {
	name    string
	handler slog.Handler
}

// open runs the pipeline.
func (o *documentFlags) open(ctx context.Context, name string, stderr io.Writer, report func(error)) (*document, error) {
	d := &document{name: name, stderr: stderr, report: report, losses: losses{}}
	var err error
	d.manager, err = config.Open(ctx, o.config, &config.ManagerOptions{
		Options: config.Options{
			Registry: newRegistry(), Env: o.env, NamesOnRecords: true, OnError: report,
		},
		OnReload: d.reloaded,
	})
	if err != nil {
		return nil, err
	}
	d.current = d.manager.Pipeline()
	return d, nil
}

// begin answers at the address of --admin, calling fail if that ends, and
// follows changes of the file until ctx is done.
func (d *document) begin(ctx context.Context, o *documentFlags, access *accessFlags, fail func(error)) error {
	if o.admin != "" {
		listener, err := net.Listen("tcp", o.admin)
		if err != nil {
			return fmt.Errorf("%w; --admin 127.0.0.1:0 takes any free port", err)
		}
		d.serve(listener, o, access, fail)
	}
	return d.manager.Watch(ctx, o.watch, syscall.SIGHUP)
}

// serve answers at the address of --admin.
func (d *document) serve(l net.Listener, o *documentFlags, access *accessFlags, fail func(error)) {
	handler := d.manager.Admin(&config.AdminOptions{Token: access.token, Hosts: namesOf(o.admin)})
	d.admin = &http.Server{
		Handler:           handler,
		ErrorLog:          log.New(reporter(d.report), "", 0),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	d.served = make(chan struct{})
	scheme, serve := "http", func() error { return d.admin.Serve(l) }
	if access.tls != nil && !isLocalAddress(o.admin) { // a certificate is hardly one for 127.0.0.1
		d.admin.TLSConfig = access.tls
		scheme, serve = "https", func() error { return d.admin.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(d.served)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			fail(&fatalError{err})
		}
	}()
	fmt.Fprintf(d.stderr, "%s: listening %s://%s\n", d.name, scheme, l.Addr())
}

// namesOf returns by what names people ask for an address, without the port.
func namesOf(address string) []string {
	host, _, _ := net.SplitHostPort(address) // as checkAddress has made sure
	if !isEveryAddress(host) {
		return []string{host}
	}
	var names []string
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok {
			names = append(names, network.IP.String())
		}
	}
	return names
}

// reloaded says what became of a change of the document.
func (d *document) reloaded(generation int, err error) {
	var retired *config.RetireError
	if err != nil && !errors.As(err, &retired) {
		fmt.Fprintf(d.stderr, "%s: config refused, generation %d stays: %s\n", d.name, generation, inOneLine(err.Error()))
		return
	}
	fmt.Fprintf(d.stderr, "%s: config generation %d\n", d.name, generation)
	if err != nil {
		d.report(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.manager.Pipeline()
	for _, name := range d.current.Names() {
		switch h := d.current.Lookup(name); {
		case isSame(h, next.Lookup(name)):
		case waiting(h) > 0:
			d.hanging = append(d.hanging, former{name, h})
		default:
			d.losses.add(name, h)
		}
	}
	d.current = next
}

// end ends the pipeline when it has delivered what it got, or delivers no more,
// and writes the last lines of a command that has handed it what total says.
func (d *document) end(complaints *complaints, total tally, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if d.admin != nil {
		if d.admin.Shutdown(ctx) != nil {
			_ = d.admin.Close() // who has not sent his request by now
		}
		<-d.served
	}
	d.settle(context.Background(), grace)
	ctx, cancel = context.WithTimeout(context.Background(), grace)
	defer cancel()
	shutdownErr := d.manager.Shutdown(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range d.current.Names() {
		d.losses.add(name, d.current.Lookup(name))
	}
	hang := d.waiting()
	for _, former := range d.hanging {
		d.losses.add(former.name, former.handler)
		hang += waiting(former.handler)
	}
	if len(d.losses) == 0 {
		err = errors.Join(err, shutdownErr)
	} else if shutdownErr != nil {
		complaints.tell(shutdownErr)
	}
	complaints.stop()
	d.losses.tell(d.stderr, d.name)
	// What a sink has still not given back was not delivered. A record that was
	// lost in two handlers is one record.
	total.dropped += min(d.losses.total()+hang, total.written())
	return sumUp(d.stderr, d.name, total, err)
}

// settle waits until everything is delivered that can be. It gives up when
// nothing was for as long as patience says, and reports whether it did not.
func (d *document) settle(ctx context.Context, patience time.Duration) bool {
	for before := d.waiting(); ; {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := d.manager.Flush(bounded)
		late := bounded.Err() != nil
		cancel()
		if err == nil || !late { // another error will not go away
			return true
		}
		now := d.waiting()
		if ctx.Err() != nil || now >= before {
			return false
		}
		before = now
	}
}

// waiting returns how many records wait in queues.
func (d *document) waiting() uint64 { return waiting(d.manager.Pipeline()) }

// waiting returns how many records wait in the queues among h and what it wraps.
func waiting(h slog.Handler) (records uint64) {
	for _, account := range slogworks.Books(h) {
		if account.Stage == "queue" {
			records += account.Held
		}
	}
	return records
}

// losses are how many records were lost in which handler, and why.
type losses map[string]map[string]uint64

// unreported are the reasons for losses that no caller has got an error for,
// and that are not what the stage is for. What others count has come back to
// who handed the record on, and stands in the count of that, if it was lost: a
// queue has tried again, a failover has asked the next.
var unreported = map[string][]string{
	"queue":          {"abandoned", "failed"},
	"buffer":         {"overflow", "rejected", "corrupt", "abandoned"},
	"notify":         {"failed", "abandoned"},
	"fingerscrossed": {"failed"},
}

// add counts what the handler has lost.
func (l losses) add(name string, h slog.Handler) {
	if h == nil {
		return
	}
	for _, account := range slogworks.Books(h) {
		for _, reason := range unreported[account.Stage] {
			if n := account.Dropped[reason]; n > 0 {
				if l[name] == nil {
					l[name] = map[string]uint64{}
				}
				l[name][reason] += n
			}
		}
	}
}

func (l losses) total() (total uint64) {
	for _, reasons := range l {
		for _, n := range reasons {
			total += n
		}
	}
	return total
}

// tell writes a line for each handler that has lost records.
func (l losses) tell(stderr io.Writer, command string) {
	for _, name := range slices.Sorted(maps.Keys(l)) {
		var counts []string
		for _, reason := range slices.SortedFunc(maps.Keys(l[name]), cmp.Compare) {
			counts = append(counts, fmt.Sprintf("%s=%d", reason, l[name][reason]))
		}
		fmt.Fprintf(stderr, "%s: lost in handlers.%s: %s\n", command, name, strings.Join(counts, " "))
	}
}

// isSame reports whether two handlers are one.
func isSame(a, b slog.Handler) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}
