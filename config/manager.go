package config

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/levels"
)

// ManagerOptions are options for a [Manager]. A zero ManagerOptions consists
// entirely of default values.
type ManagerOptions struct {
	// Options are how the file is read. Options.File is the path that was opened
	// unless it is set.
	Options

	// OnReload hears of each change once, and once of each document that was
	// refused, the file's and those of Apply and Admin alike: which generation
	// runs now, and what is wrong, nil if nothing is. If the error is a
	// [*RetireError] the document runs all the same. OnReload is called by one
	// goroutine at a time and may log; the change is over when it has returned,
	// so it must not begin another, nor shut the manager down.
	OnReload func(generation int, err error)

	// RetireTimeout is how long a former pipeline may take to finish the records
	// that are being handled in it, and then as long again to deliver what its
	// queues hold. Default: 5s. Below 0 there is no limit.
	RetireTimeout time.Duration
}

// ErrClosed is returned for what would change a manager that was shut down.
var ErrClosed = errors.New("config: closed")

// Manager runs the pipeline of a document and puts another in its place when the
// document changes. A change is made in this order: the whole new pipeline is
// built, sinks that are configured as before being taken over as they are; it
// takes the place of the former at once; the records that are being handled in
// the former are waited for; what the two do not share is shut down. So nothing
// is lost or written twice by a change. A mistake, be it in the document or that
// a file cannot be opened, leaves everything as it was: no file is rotated and no
// backup removed for a document that is refused.
//
// A file that both pipelines have, with other options, is handed over: the new one
// opens it when the former has closed it, for which records wait, a second at
// most, and also writes what the former still has on its way. The options of a
// file that is shared by processes are not changed while it is open.
//
// Each change is a record at Info, and each of the first 10 mistakes of a document
// that was refused one at Warn, with file, line, path and message, by the logger
// [ManagerLogger] in the pipeline that runs then.
//
// A Manager is safe for concurrent use. Changes are made one after the other.
// It starts no goroutine that lasts but by [Manager.Watch].
type Manager struct {
	path          string // "" if there is no file
	options       Options
	onReload      func(generation int, err error)
	retireTimeout time.Duration
	handler       *swap
	log           *slog.Logger
	boot          string // tells this manager's generations from those of another

	// turn holds a value while the pipeline is being changed: a lock that one
	// can stop to wait for.
	turn     chan struct{}
	lifetime context.Context // is over when Shutdown begins
	end      context.CancelFunc
	patience context.Context // is over when Shutdown can wait no longer
	cut      context.CancelFunc
	watchers sync.WaitGroup

	mu     sync.Mutex // held for moments only
	now    running
	tried  digest // of the file's content that was tried last
	closed bool
}

// running is what runs.
type running struct {
	generation int
	document   *Document
	pipeline   *Pipeline
	table      *levels.Table
}

// ManagerLogger is the name of the logger of a manager's own records, for rules
// in documents.
const ManagerLogger = "slogworks.config"

// Open reads the document at path and runs its pipeline. The error is
// [Mistakes] if something is wrong with the document or if something could not
// be opened; then nothing is left open. The path has to be that of a file, not of
// a pipe: it is read again. ctx is for opening only: it does not end
// the manager. Nil options are zero options.
func Open(ctx context.Context, path string, opts *ManagerOptions) (*Manager, error) {
	m := newManager(path, opts)
	d, err := m.try(m.read())
	if err != nil {
		return nil, err
	}
	return m.start(ctx, d)
}

// New runs the pipeline of a document that does not come from a file. Such a
// manager can do all but Reload and Watch.
func New(ctx context.Context, d *Document, opts *ManagerOptions) (*Manager, error) {
	return newManager("", opts).start(ctx, d)
}

func newManager(path string, opts *ManagerOptions) *Manager {
	var o ManagerOptions
	if opts != nil {
		o = *opts
	}
	if o.File == "" {
		o.File = path
	}
	if o.RetireTimeout == 0 {
		o.RetireTimeout = 5 * time.Second
	}
	m := &Manager{
		path: path, options: o.Options, onReload: o.OnReload, retireTimeout: o.RetireTimeout,
		boot: rand.Text()[:8],
		turn: make(chan struct{}, 1),
	}
	m.lifetime, m.end = context.WithCancel(context.Background())
	m.patience, m.cut = context.WithCancel(context.Background())
	return m
}

func (m *Manager) start(ctx context.Context, d *Document) (*Manager, error) {
	first, err := m.build(ctx, d, running{}, false)
	if err != nil {
		return nil, err
	}
	m.handler = newSwap(first.pipeline)
	m.log = slogworks.Named(slog.New(m.handler), ManagerLogger)
	m.mu.Lock() // a page of the pipeline may have asked for levels already
	m.now = first
	m.mu.Unlock()
	return m, nil
}

// Handler returns the handler that goes to slog.New. It is the same for ever:
// it and all that is derived from it follow the changes. To flush or end what it
// leads to, use the manager.
func (m *Manager) Handler() slog.Handler { return m.handler }

// Pipeline returns the pipeline that runs now. It ends with the next change.
func (m *Manager) Pipeline() *Pipeline { return m.current().pipeline }

// Generation returns how many pipelines there were so far, the one that runs
// now included.
func (m *Manager) Generation() int { return m.current().generation }

func (m *Manager) current() running {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Apply runs the pipeline of d in place of the current one. If d says the same
// as the document that runs, nothing happens. Otherwise it returns when the
// former pipeline is ended, or has run out of time, in which case the error is a
// [*RetireError]. With any other error the former pipeline runs on. When ctx is
// over before d runs, nothing changes.
//
// Apply must not be called by a handler of the pipeline or what that calls: it
// would wait for the record that it handles itself until the RetireTimeout.
func (m *Manager) Apply(ctx context.Context, d *Document) error {
	_, err := m.change(ctx, func(running) (*Document, error) { return d, nil })
	return err
}

// Reload reads the file again and runs what it says, as [Manager.Apply] does.
func (m *Manager) Reload(ctx context.Context) error {
	if m.path == "" {
		return errNoFile
	}
	return m.reload(ctx, func() (content, error) { return m.read(), nil })
}

// Flush delivers what the stages of the current pipeline have decided to
// deliver, as [slogworks.Flush] does.
func (m *Manager) Flush(ctx context.Context) error { return slogworks.Flush(ctx, m.Pipeline()) }

// Shutdown refuses further changes, ends the goroutines of [Manager.Watch] and
// waits for a change that is under way, one that has not come into effect being
// given up. Then it shuts the pipeline down as [slogworks.Shutdown] does. It
// releases everything even when ctx is over; the error then says how many
// records were lost. Records that are logged later go to stages that refuse
// them, and count them.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.end()
	defer context.AfterFunc(ctx, m.cut)()
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
		m.watchers.Wait()
	case <-ctx.Done():
		// Whoever has the turn builds what will not run, or ends what ran before
		// and now does so in a hurry.
	}
	return slogworks.Shutdown(ctx, m.Pipeline())
}

// Close is [Manager.Shutdown] with 5 seconds of time.
func (m *Manager) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return m.Shutdown(ctx)
}
