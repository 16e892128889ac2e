package httpsink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outbound"
	"github.com/slogworks/slogworks/internal/stage"
)

// Format is the form of a request's body.
type Format int

const (
	// NDJSON is a line of JSON per record (application/x-ndjson).
	NDJSON Format = iota
	// Array is one JSON array of the records (application/json).
	Array
	// Wire is a line of JSON per record that keeps the kinds of values, for a
	// receiver of this module.
	Wire
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Format is the form of the body. Default NDJSON.
	Format Format

	// NewHandler makes the handler that writes records as JSON, of which each is
	// what the handler writes in one call of Handle. A line feed within it becomes
	// a space. Default: slog.NewJSONHandler, with the attributes host, process and
	// pid in front of those of the record. Wire has no use for it.
	NewHandler func(io.Writer) slog.Handler

	// AddSource adds the source of the call, as slog.HandlerOptions has it. It is
	// for the default of NewHandler; Wire always has it.
	AddSource bool

	// Host and Process are what records say about where they come from, beside
	// the process id. Default the name of the host and of the program's file.
	Host, Process string

	// MaxBytes is how long a body may be before it is compressed: a batch that
	// needs more goes out in several requests, one after the other. A record that
	// needs more by itself is sent all the same; by Wire, it is cut. Default
	// 1 MiB, which is what nginx takes unless it is told otherwise.
	MaxBytes int

	// Gzip compresses the body, for speed rather than for size.
	Gzip bool

	// Bearer is sent as Authorization: Bearer. It goes over the network as it is,
	// so that beyond this machine it wants https.
	Bearer string

	// BearerFunc is asked for it before each request, for tokens that expire, on a
	// goroutine of its own: one that does not return when its context ends, within
	// the Timeout, is not waited for. An error counts as temporary, and is returned
	// as it is. It must be safe for concurrent use.
	BearerFunc func(ctx context.Context) (string, error)

	// HMACKey signs the body as it is sent, after compression: HMACHeader is
	// "sha256=" and the HMAC-SHA256 of the body in hexadecimal digits.
	HMACKey []byte

	// HMACHeader is the name of that header. Default X-Signature-256.
	HMACHeader string

	// Header is added to each request, and replaces what it has otherwise, Host
	// included.
	Header http.Header

	// Client makes the requests. Its CheckRedirect is asked about the redirects
	// that would be followed. Default: one with connections of its own, that goes
	// by the environment's proxies.
	Client *http.Client

	// Timeout bounds a request, the reading of its answer included. Default 10s.
	Timeout time.Duration

	// Backoff is how long no request is made after one that met with a temporary
	// error: each record gets its error at once until then. A Retry-After counts
	// instead if it is longer. Only a batch that has an Attempt is tried all the
	// same, because whoever counts attempts does the waiting. Default 1s to 30s;
	// MaxElapsed is not used.
	Backoff slogworks.Backoff

	// OnError is called for records that are lost though what comes after them in
	// their batch is not: those that the collector refuses for good, that are too
	// large by themselves, or that could not be written. It is called on the
	// goroutine of the caller, and must neither log to the handler nor close it.
	// Default nil.
	OnError func(error)
}

// Check returns an error that says what is wrong with a URL and its options, for
// those who read them from a configuration. It does not repeat the URL, which
// may be secret.
func Check(url string, opts *Options) error {
	u, err := outbound.ParseURL(url)
	switch {
	case err != nil:
		return fmt.Errorf("httpsink: %w", err)
	case opts == nil:
		return nil
	case opts.Format < NDJSON || opts.Format > Wire:
		return fmt.Errorf("httpsink: Format %d: want NDJSON, Array or Wire", opts.Format)
	case opts.Format == Wire && opts.NewHandler != nil:
		return errors.New("httpsink: NewHandler for Wire: want NDJSON or Array")
	case opts.Bearer != "" && opts.BearerFunc != nil:
		return errors.New("httpsink: Bearer and BearerFunc: want one of them")
	case (opts.Bearer != "" || opts.BearerFunc != nil) && u.User != nil:
		return errors.New("httpsink: a bearer token and a user in the URL: want one of them")
	case !outbound.IsHeaderValue(opts.Bearer):
		return errors.New("httpsink: Bearer has a character that no header can have, perhaps a line feed at its end")
	case opts.HMACHeader != "" && len(opts.HMACKey) == 0:
		return errors.New("httpsink: HMACHeader without HMACKey")
	}
	if opts.HMACHeader != "" && !outbound.IsHeaderName(opts.HMACHeader) {
		return fmt.Errorf("httpsink: HMACHeader %q is no name that a header can have", opts.HMACHeader)
	}
	if err := outbound.CheckHeader(opts.Header); err != nil {
		return fmt.Errorf("httpsink: %w", err)
	}
	return nil
}

func (c *core) setDefaults() {
	if c.Level != nil {
		c.Level = stage.Level("httpsink", c.Level, slog.LevelInfo)
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname() // without a name, records have none
	}
	if c.Process == "" && len(os.Args) > 0 {
		c.Process = filepath.Base(os.Args[0])
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 1 << 20
	}
	c.HMACKey = append([]byte(nil), c.HMACKey...)
	if c.HMACHeader == "" {
		c.HMACHeader = "X-Signature-256"
	}
	c.Header = c.Header.Clone()
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Backoff.Min <= 0 {
		c.Backoff.Min = time.Second
	}
	if c.Backoff.Max <= 0 {
		c.Backoff.Max = 30 * time.Second
	}
}
