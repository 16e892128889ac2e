package httplog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/slogworks/slogworks/fingerscrossed"
)

// exchange is a request and its answer, of which it is the writer too.
type exchange struct {
	http.ResponseWriter // the server's
	handler             *handler

	ctx     belonging // of its scope, without its attributes
	scope   *fingerscrossed.Scope
	request *http.Request // as next gets it
	header  [1]string     // its id

	// As they were before anybody could change them.
	id, method, path, route, remoteAddr string
	attrs                               []slog.Attr // of Options.Attrs
	began                               time.Time

	// What became of it.
	status   int // 0: no header was written
	bytes    int64
	gone     bool // the client, before the header was written
	hijacked bool
	returned bool // the handler did, not by a panic or runtime.Goexit

	mu    sync.Mutex
	added []slog.Attr // by AddAttrs
}

type exchangeKey struct{}

// belonging is a context that belongs to an exchange, and part of it.
type belonging struct {
	context.Context
	exchange *exchange
}

func (b *belonging) Value(key any) any {
	if key == (exchangeKey{}) {
		return b.exchange
	}
	return b.Context.Value(key)
}

// RequestID returns the id of the request that ctx belongs to, for what else it
// is to be found in: error pages, requests to others. It is "" outside of
// requests.
func RequestID(ctx context.Context) string {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.id
	}
	return ""
}

// AddAttrs adds attributes to the access record of the request that ctx belongs
// to, such as what is known of the user once the request is authenticated. It
// does nothing outside of requests and once the access record is made. It is
// safe for concurrent use.
func AddAttrs(ctx context.Context, attrs ...slog.Attr) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.added = append(x.added, attrs...)
	}
}

var errFailed = errors.New("the request has failed")

// finish is deferred around the handler: it answers for one that panicked, logs,
// and ends the scope.
func (x *exchange) finish() {
	p := recover()
	took := time.Since(x.began)
	if pattern := x.request.Pattern; pattern != "" {
		x.route = pattern // of the innermost mux
	}
	aborted := p == http.ErrAbortHandler || p == nil && !x.returned
	panicked := p != nil && !aborted
	cut := p != nil && (aborted || x.status != 0 || x.hijacked)

	var failure error
	defer x.scope.End(&failure) // itself, to see a panic of what is called here
	if panicked {
		failure = errFailed
		x.logPanic(p)
		if !cut {
			x.apologize()
		}
	}
	canceled := isCanceled(&x.ctx)
	status, judged := x.finalStatus(canceled, aborted)
	level, skip := slog.LevelError, false
	if !panicked {
		var failed bool
		if level, failed, skip = x.judge(judged); failed {
			failure = errFailed
		}
	}
	if !skip {
		x.logAccess(level, status, took, canceled, aborted)
	}
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// judge asks the options about a request whose handler did not panic. If one of
// them does instead, that is logged, and the request counts as failed.
func (x *exchange) judge(status int) (level slog.Level, failed, skip bool) {
	defer func() {
		if p := recover(); p != nil {
			x.logPanic(p)
			level, failed, skip = slog.LevelError, true, false
		}
	}()
	failed = x.handler.Failed(x.request, status)
	if failed {
		level = slog.LevelError
	}
	if x.handler.StatusLevel != nil {
		level = x.handler.StatusLevel(x.request, status)
	}
	skip = !failed && x.handler.Skip != nil && x.handler.Skip(x.request)
	return level, failed, skip
}

func isCanceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// statusClientGone is nginx's "client closed request".
const statusClientGone = 499

// finalStatus returns the status to log and the one to judge the request by.
func (x *exchange) finalStatus(canceled, aborted bool) (status, judged int) {
	status = x.status
	switch {
	case status >= 500 && x.gone:
		return status, statusClientGone
	case status != 0:
	case x.hijacked:
		status = http.StatusSwitchingProtocols
	case canceled:
		status = statusClientGone
	case !aborted:
		status = http.StatusOK // net/http's
	}
	return status, status
}

// apologize answers a request whose handler has not.
func (x *exchange) apologize() {
	// What the handler says of its own answer is not true of this one.
	for _, header := range []string{"Cache-Control", "Content-Encoding", "Etag", "Last-Modified"} {
		x.Header().Del(header)
	}
	http.Error(x, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

// identity appends what all records of the request have.
func (x *exchange) identity(attrs []slog.Attr) []slog.Attr {
	attrs = append(attrs, slog.String("request_id", x.id), slog.String("method", x.method))
	if x.route != "" {
		attrs = append(attrs, slog.String("route", x.route))
	}
	return append(attrs, slog.String("remote_addr", x.remoteAddr))
}

func (x *exchange) logAccess(level slog.Level, status int, took time.Duration, canceled, aborted bool) {
	h := x.logHandler()
	if !h.Enabled(&x.ctx, level) {
		return
	}
	// There is no place in the program that this record is about.
	r := x.newRecord(level, "http request", 0,
		slog.Int("status", status),
		slog.Int64("bytes", x.bytes),
		slog.Duration("duration", took))
	if canceled {
		r.AddAttrs(slog.Bool("canceled", true))
	}
	if aborted {
		r.AddAttrs(slog.Bool("aborted", true))
	}
	x.mu.Lock()
	r.AddAttrs(x.added...)
	x.mu.Unlock()
	_ = h.Handle(&x.ctx, r)
}

// logPanic is called while the stack is still that of the panic.
func (x *exchange) logPanic(p any) {
	h := x.logHandler()
	if !h.Enabled(&x.ctx, slog.LevelError) {
		return
	}
	_ = h.Handle(&x.ctx, x.newRecord(slog.LevelError, "http handler panicked", panicPC(),
		slog.String("panic", fmt.Sprint(p)),
		slog.String("stack", panicStack(string(debug.Stack())))))
}

func (x *exchange) logHandler() slog.Handler {
	if x.handler.Logger != nil {
		return x.handler.Logger.Handler()
	}
	return slog.Default().Handler()
}

// newRecord returns a record that has the attributes of the request before its
// own. It is for a context without them, or a handler of slogctx.New would
// repeat them; one without such a handler has them all the same.
func (x *exchange) newRecord(level slog.Level, message string, pc uintptr, attrs ...slog.Attr) slog.Record {
	var room [16]slog.Attr
	all := x.identity(room[:0])
	all = append(all, slog.String("path", x.path))
	all = append(all, x.attrs...)
	all = append(all, attrs...)
	r := slog.NewRecord(time.Now(), level, message, pc)
	r.AddAttrs(all...)
	return r
}
