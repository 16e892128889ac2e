package config

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/guard"
	"github.com/slogworks/slogworks/sinks/live"
)

type liveOptions struct {
	_              struct{} `doc:"the log in the browser while it is written, and the levels of loggers to change, where they can be"`
	HTTP           string   `config:"http,required" doc:"the address that the page is served at, as 127.0.0.1:8514"`
	Token          Secret   `config:"token,required" doc:"the password; http://ADDRESS/?token=… opens the page"`
	AllowRemote    bool     `doc:"serve at an address that others can reach, without TLS"`
	Hosts          []string `doc:"names under which the page may be asked for, besides those of loopback"`
	Title          string   `doc:"stands on the page; default the process"`
	Relay          bool     `doc:"the attributes host, process and pid of a record say where it comes from"`
	MaxRecords     count    `doc:"how many records are kept; default 20000"`
	MaxBytes       Size     `doc:"how many bytes of records are kept; default 16MiB"`
	MaxRecordBytes Size     `doc:"how long a record may be; default 64KiB"`
	MaxRate        count    `doc:"how many records a second a browser gets at most; default 0: as many as there are"`
	MaxClients     count    `doc:"how many browsers there may be; default 100"`
	Interval       Duration `doc:"the shortest time between two batches; default 50ms"`
	WriteTimeout   Duration `doc:"how long a browser may take to accept anything; default 5s"`
	Heartbeat      Duration `doc:"how often a stream without records shows that it is alive; default 15s"`
	Host           string   `doc:"the host that records are said to come from; default this machine's name"`
	Process        string   `doc:"the process that records are said to come from; default the program's name"`
}

// Check reports an address that others can reach.
func (o *liveOptions) Check() error {
	host, _, err := net.SplitHostPort(o.HTTP)
	if err != nil {
		return errors.New("http has to be HOST:PORT, such as 127.0.0.1:8514")
	}
	if o.AllowRemote || guard.IsLoopback(host) {
		return nil
	}
	return errors.New("http is an address that others can reach, and there is no TLS: allow_remote: true permits it")
}

func newLive(_ context.Context, o liveOptions, env *Env) (slog.Handler, error) {
	hub := live.New(&live.Options{
		MaxRecords: int(o.MaxRecords), MaxBytes: int(o.MaxBytes), MaxRecordBytes: int(o.MaxRecordBytes), MaxRate: int(o.MaxRate),
		MaxClients: int(o.MaxClients), Interval: o.Interval.Std(), WriteTimeout: o.WriteTimeout.Std(), Heartbeat: o.Heartbeat.Std(),
		Token: o.Token.Reveal(), Hosts: o.Hosts, Title: o.Title, Host: o.Host, Process: o.Process, Levels: env.levels,
	})
	p, err := openPage(o.HTTP, hub, env.OnError)
	if err != nil {
		hub.Close()
		return nil, err
	}
	if o.Relay {
		return &served{hub.Relay(nil), p, hub}, nil
	}
	return &served{hub.Handler(nil), p, hub}, nil
}

// page serves hubs at an address. A pipeline that follows another has its hub
// there while the other's still answers, and takes over when that is shut down.
type page struct {
	address  string
	listener net.Listener
	server   *http.Server
	hubs     []*live.Hub // the first answers; guarded by pages
}

// pages are those of this process, by the addresses that they were asked for.
var pages struct {
	sync.Mutex
	at map[string]*page
}

func openPage(address string, hub *live.Hub, onError func(error)) (*page, error) {
	pages.Lock()
	defer pages.Unlock()
	if p := pages.at[address]; p != nil {
		p.hubs = append(p.hubs, hub)
		return p, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &page{address: l.Addr().String(), listener: l, hubs: []*live.Hub{hub}}
	if p.address == address { // else the port was left open, and is nobody else's
		if pages.at == nil {
			pages.at = map[string]*page{}
		}
		pages.at[address] = p
	}
	p.server = &http.Server{
		Handler:           p,
		ErrorLog:          log.New(complaints(onError), "", 0), // not package log, which may lead back here
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			onError(err)
		}
	}()
	return p, nil
}

// complaints is what an http.Server writes its own to.
type complaints func(error)

func (report complaints) Write(line []byte) (int, error) {
	report(errors.New(strings.TrimSuffix(string(line), "\n")))
	return len(line), nil
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pages.Lock()
	var hub *live.Hub
	if len(p.hubs) > 0 {
		hub = p.hubs[0]
	}
	pages.Unlock()
	if hub == nil {
		http.Error(w, "shut down", http.StatusServiceUnavailable)
		return
	}
	hub.ServeHTTP(w, r)
}

// leave takes the hub off the page, and closes the page behind the last.
func (p *page) leave(ctx context.Context, hub *live.Hub) error {
	pages.Lock()
	p.hubs = slices.DeleteFunc(p.hubs, func(h *live.Hub) bool { return h == hub })
	last := len(p.hubs) == 0
	if last {
		// Still locked, so that whoever opens the address next finds it free.
		p.listener.Close()
		if pages.at[p.address] == p {
			delete(pages.at, p.address)
		}
	}
	pages.Unlock()
	err := hub.Shutdown(ctx)
	if !last {
		return err
	}
	for _, ended := range []error{p.server.Shutdown(ctx), p.server.Close()} {
		// The server closes the listener too, unless it has seen that it is closed.
		if !errors.Is(ended, net.ErrClosed) {
			err = errors.Join(err, ended)
		}
	}
	return err
}

// served is the handler of a hub with its page.
type served struct {
	next *live.Handler
	page *page
	hub  *live.Hub
}

var _ slogworks.BatchHandler = (*served)(nil)

func (s *served) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

func (s *served) Handle(ctx context.Context, r slog.Record) error { return s.next.Handle(ctx, r) }

func (s *served) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return s.next.HandleBatch(ctx, b)
}

func (s *served) WithAttrs(attrs []slog.Attr) slog.Handler { return s.next.WithAttrs(attrs) }

func (s *served) WithGroup(name string) slog.Handler { return s.next.WithGroup(name) }

func (s *served) Unwrap() slog.Handler { return s.next }

// Hub returns the hub.
func (s *served) Hub() *live.Hub { return s.hub }

// URL returns where the page is, without the token.
func (s *served) URL() string { return "http://" + s.page.address + "/" }

// Shutdown ends the page and the hub.
func (s *served) Shutdown(ctx context.Context) error { return s.page.leave(ctx, s.hub) }
