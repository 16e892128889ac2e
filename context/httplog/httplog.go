// Package httplog makes each request to a net/http server one thing in the log:
// its records have its id, an access record says what became of it, and if it
// fails its debug records are there.
//
// Use it around a mux, once, outside of all that may panic or log. For nothing
// but a line per request, a few lines around ServeHTTP do, as long as nobody
// hijacks a connection or flushes. Requests and their bodies are not copied, and
// there are no limits or metrics here.
//
// A request costs about 2 µs and 10 allocations more than without, 13 in a
// scope. Nothing blocks but the logger's handler, which writes the access record
// before the request ends. There are no goroutines.
//
// Nothing is held back here, but the records of a request are in its scope, if
// there are scopes, until its handler returns or panics: see
// [github.com/slogworks/slogworks/fingerscrossed] for what os.Exit and SIGKILL
// lose then. The access record of a request that they interrupt is never made.
//
// What is sent to a server ends up in logs: of a request these have its method,
// path, and address. They have no query, no header but an id that passes a
// check, and no body, since that is where secrets are.
//
// The smallest program:
//
//	logger := slog.New(slogctx.New(slog.NewJSONHandler(os.Stderr, nil), nil))
//	http.ListenAndServe(":8080", httplog.New(mux, &httplog.Options{Logger: logger}))
package httplog

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"time"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// Options are for [New]. The zero Options consist of default values. The
// functions are called on the goroutine that serves the request, several at
// once for several requests; nil ones have the default. They must not read the
// body.
type Options struct {
	// Logger gets the access records and the panics. Default: what
	// slog.Default returns when the request ends. For the other records of a
	// request to have its attributes, the handler of the logger that they come
	// from has to be one of slogctx.New.
	Logger *slog.Logger

	// IDHeader is the header of the response that tells the request's id.
	// Default "X-Request-Id".
	IDHeader string

	// TrustID takes the id from the header IDHeader of the request: for servers
	// that only a proxy reaches, which sets it. It must be there once and have
	// at most 128 letters, digits and characters of "-_.:=+", of which the first
	// is a letter or a digit, so that it may be used as a file's name too. Any
	// other is ignored. Default: a new id for each request, of 128 random bits.
	TrustID bool

	// Attrs returns more attributes for all records of a request, before it is
	// served.
	Attrs func(r *http.Request) []slog.Attr

	// Scopes is the handler, in the pipeline of the logger that is used for
	// requests, that gives each request a scope: what it holds is written if the
	// request fails, and if it takes longer than the Slow of the handler. The
	// access record is the last in the scope. Where requests last long, as those
	// for WebSockets and server-sent events do, the handler should have the
	// option Live, or all their records wait for the end. Default nil: no scopes.
	Scopes *fingerscrossed.Handler

	// Debug has the scope of a request write from the start, as if something had
	// gone wrong already. It should believe only those who may ask for that.
	Debug func(r *http.Request) bool

	// Failed reports whether a request that got this answer has failed: its
	// scope is released and its access record is at slog.LevelError. It is not
	// asked about a request whose handler panicked, which has. Default: those of
	// status 500 and above. If the client was gone before an answer of 500 or
	// above began, the status is 499 here: that it left made the handler fail.
	Failed func(r *http.Request, status int) bool

	// StatusLevel is the level of the access record, unless the handler
	// panicked. The status is the one that Failed gets. Default: slog.LevelError
	// for requests that have failed and slog.LevelInfo for all others: what any
	// client can cause at will, such as 404, is no warning. A record of a level
	// that triggers releases the scope as any other does.
	StatusLevel func(r *http.Request, status int) slog.Level

	// Skip leaves out the access record of a request that has not failed, of
	// health checks for example. Its other records are as always.
	//
	// A panic of Failed, StatusLevel or Skip is logged as one of the handler is.
	// The request has failed then; what the client got stays as it is.
	Skip func(r *http.Request) bool
}

// handler is what New returns.
type handler struct {
	next http.Handler
	mux  router // next if it can tell its routes
	Options
}

// router is a handler that says which pattern it goes by before it does:
// http.ServeMux.
type router interface {
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// New returns a handler that has next serve requests and logs them. It panics
// if next is nil; nil opts are as zero ones.
//
// The context of a request carries, for [slogctx.New], the attributes
//
//	request_id   also in the response's header, and in RequestID
//	method
//	route        the pattern that the request matched, if there is one
//	remote_addr  Request.RemoteAddr: behind a proxy that of the proxy
//
// and those of Options.Attrs. A *http.ServeMux as next is asked for the route
// before it serves the request. With something around one as next, only the
// access record has the route, and only if the mux gets the same *http.Request.
// The access record, "http request", has these attributes itself, whatever
// handler the logger has, and
//
//	path         URL.Path
//	status       the final one, so no 1xx but 101, which also stands for a
//	             connection that was hijacked without a status; 499 if none was
//	             written for a client that was gone; 0 if the handler aborted
//	             the request before there was one
//	bytes        of the body, as written by the handler; what goes over a
//	             hijacked connection does not count
//	duration     until the handler returned
//	canceled     true if the context was cancelled by then, which net/http does
//	             when the client is gone
//	aborted      true if the handler left with http.ErrAbortHandler or
//	             runtime.Goexit, which is no failure of its own
//
// and what [AddAttrs] added. A panic is logged at slog.LevelError as "http
// handler panicked", with the attributes panic and stack, which begins at the
// place of the panic, and with that place as its source. The client gets 500 and the connection lives on if
// nothing was answered yet; if an answer was begun, New's handler panics with
// http.ErrAbortHandler so that nobody takes it for complete.
//
// The http.ResponseWriter that next gets is an http.Flusher, http.Hijacker,
// http.Pusher and io.ReaderFrom exactly if the one of the server is; of the
// deprecated http.CloseNotifier it is none. http.ResponseController works as
// without; http.MaxBytesReader, to close the connection too, needs the server's,
// which the method Unwrap returns.
func New(next http.Handler, opts *Options) http.Handler {
	if next == nil {
		panic("httplog: nil Handler")
	}
	h := &handler{next: next}
	if opts != nil {
		h.Options = *opts
	}
	h.mux, _ = next.(router)
	h.IDHeader = http.CanonicalHeaderKey(cmp.Or(h.IDHeader, "X-Request-Id"))
	if h.Failed == nil {
		h.Failed = func(_ *http.Request, status int) bool { return status >= 500 }
	}
	return h
}

// Middleware returns New with the options, for routers that chain such
// functions.
func Middleware(opts *Options) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return New(next, opts) }
}

// ServeHTTP has next serve the request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{
		ResponseWriter: w,
		handler:        h,
		request:        r,
		id:             h.id(r),
		method:         r.Method,
		path:           r.URL.Path,
		route:          r.Pattern,
		remoteAddr:     r.RemoteAddr,
		began:          time.Now(),
	}
	x.header[0] = x.id
	w.Header()[h.IDHeader] = x.header[:]
	ctx := r.Context()
	if h.Scopes != nil {
		ctx, x.scope = h.Scopes.Begin(ctx)
	}
	x.ctx = belonging{ctx, x}
	defer x.finish()

	if h.Debug != nil && h.Debug(r) {
		_ = x.scope.Trigger() // fails as logging does: nobody here can help it
	}
	if h.mux != nil {
		if _, pattern := h.mux.Handler(r); pattern != "" {
			x.route = pattern
		}
	}
	if h.Attrs != nil {
		x.attrs = slices.Clone(h.Attrs(r))
	}

	var room [8]slog.Attr
	attrs := append(x.identity(room[:0]), x.attrs...)
	x.request = r.WithContext(slogctx.WithAttrs(&x.ctx, attrs...))
	h.next.ServeHTTP(x.writer(), x.request)
	x.returned = true
}
