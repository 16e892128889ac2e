package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// parseServer reads a URL. It returns nil if there is a client instead.
func parseServer(text string, client goredis.UniversalClient, config *tls.Config) (*goredis.Options, error) {
	if client != nil {
		if text != "" {
			return nil, errors.New("redis: both a URL and a Client: want one of them")
		}
		return nil, nil
	}
	const want = "want redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss:// or unix://[USER:PASSWORD@]/PATH"
	u, err := url.Parse(text)
	if err != nil {
		// The error has the text in it, which may hold a password. Where the
		// password has a character that ends it, all of what is wrong may be it.
		return nil, errors.New("redis: the URL cannot be read: " + want + "; in a password, / ? # [ ] @ % are written %2F %3F %23 %5B %5D %40 %25")
	}
	switch u.Scheme {
	case "redis", "rediss", "unix":
	default:
		return nil, errors.New("redis: the URL has another scheme or none: " + want)
	}
	if config != nil && u.Scheme != "rediss" {
		return nil, fmt.Errorf("redis: TLS for a URL %s://: want rediss://", u.Scheme)
	}
	server, err := goredis.ParseURL(text)
	if err != nil {
		return nil, errors.New("redis: the URL has a host, a database number or an option that is wrong: " + want)
	}
	return server, nil
}

// timeouts returns those of the options, or of the URL, or the defaults.
func timeouts(dial, roundTrip time.Duration, server *goredis.Options) (time.Duration, time.Duration) {
	if server != nil && dial <= 0 {
		dial = server.DialTimeout
	}
	if server != nil && roundTrip <= 0 {
		roundTrip = server.ReadTimeout
	}
	if dial <= 0 {
		dial = 2 * time.Second
	}
	if roundTrip <= 0 {
		roundTrip = 5 * time.Second
	}
	return dial, roundTrip
}

// link is a client that is used for one thing at a time, with one connection.
type link struct {
	client   goredis.UniversalClient
	own      bool
	single   bool // one server, so that a batch can be a transaction
	password string

	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// ready says that the present connection has done with its greeting: what
	// fails before that has sent no record.
	ready atomic.Bool

	life context.Context // ends with the link
	end  context.CancelFunc

	mu   sync.Mutex
	conn net.Conn // the last one, nil if it could not be had
}

// newLink returns a link to the server, or one that uses the client if that is
// not nil. It connects to nothing.
func newLink(client goredis.UniversalClient, server *goredis.Options, config *tls.Config, dialTimeout, timeout time.Duration) *link {
	l := &link{client: client, own: client == nil}
	l.life, l.end = context.WithCancel(context.Background())
	if !l.own {
		var plain *goredis.Client
		if plain, l.single = client.(*goredis.Client); l.single {
			l.password = plain.Options().Password
		}
		return l
	}
	o := *server
	l.single = true
	l.password = o.Password
	l.dial = dialer(o.TLSConfig, config, dialTimeout)
	o.TLSConfig = nil // the dialer has it
	o.Dialer = l.connect
	o.OnConnect = func(ctx context.Context, conn *goredis.Conn) error {
		// Of a transaction that may not even begin, the client leaves answers
		// unread and says so on stderr. Any other answer is one.
		err := conn.Ping(ctx).Err()
		if _, isAnswer := answerOf(err); err != nil && !isAnswer || goredis.HasErrorPrefix(err, "NOAUTH") {
			return fmt.Errorf("%w", err) // which the client unwraps
		}
		l.ready.Store(true)
		return nil
	}
	o.Protocol = 2 // nothing is pushed, so that every answer belongs to a command
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.DisableIdentity = true // costs a round trip
	o.MaxRetries = -1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, timeout, timeout
	o.ContextTimeoutEnabled = true
	o.PoolSize, o.MinIdleConns, o.PipelinePoolSize = 1, 0, -1
	o.ReadBufferSize, o.WriteBufferSize = 64<<10, 64<<10
	l.client = goredis.NewClient(&o)
	l.client.AddHook(door{})
	return l
}

func dialer(fromURL, config *tls.Config, timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: timeout}
	if fromURL == nil {
		return plain.DialContext
	}
	if config == nil {
		config = fromURL
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = fromURL.ServerName
	}
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
}

// connect never fails: a connection that cannot be had is one on which nothing
// can be written. To the pool of the client an error would be a matter for
// stderr and for a goroutine that tries again.
func (l *link) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	l.ready.Store(false)
	// The client goes on connecting when who wanted it has gone.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	conn, err := l.dial(ctx, network, addr)
	if err != nil {
		l.setConn(nil)
		return noConn{fmt.Errorf("connect: %w", err)}, nil
	}
	l.setConn(conn)
	if ctx.Err() != nil { // who cut the link did not see the connection
		l.cut()
	}
	return conn, nil
}

func (l *link) setConn(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

// cut ends the connection, whoever uses it. One of the user's client is left
// alone. To close a connection twice is harmless.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *link) close() {
	l.end()
	if l.own {
		_ = l.client.Close()
	}
}

// noConn stands for a connection that could not be had.
type noConn struct{ err error }

func (c noConn) Read([]byte) (int, error)         { return 0, c.err }
func (c noConn) Write([]byte) (int, error)        { return 0, c.err }
func (c noConn) Close() error                     { return nil }
func (c noConn) LocalAddr() net.Addr              { return noAddr{} }
func (c noConn) RemoteAddr() net.Addr             { return noAddr{} }
func (c noConn) SetDeadline(time.Time) error      { return nil }
func (c noConn) SetReadDeadline(time.Time) error  { return nil }
func (c noConn) SetWriteDeadline(time.Time) error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "none" }
func (noAddr) String() string  { return "none" }

// withoutSecrets returns err, or one that says the same without the password
// and without what the server repeats of a command that it does not know: that
// may be a part of the password, or of a record.
func (l *link) withoutSecrets(err error) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	text, _, _ := strings.Cut(was, ", with args beginning with")
	if l.password != "" {
		text = strings.ReplaceAll(text, l.password, "***")
	}
	if text == was {
		return err
	}
	return errors.New(text)
}

// explain returns err without secrets, and what can be done about it.
func (l *link) explain(err error, key string) error {
	if answer, ok := answerOf(err); ok {
		err = meaningOf(answer, key).explained(answer)
	}
	return l.withoutSecrets(err)
}
