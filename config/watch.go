package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"time"
)

// Watch reloads the document when the content of its file has changed, which it
// looks at as often as every says: each 5s if that is 0, never if it is below 0.
// It reloads at once at each of the signals, such as syscall.SIGHUP, whether
// the file has changed or not. It returns at once; the goroutine it starts ends
// with ctx or the manager.
//
// It sees what has been changed in place, a file renamed over it, and a symbolic
// link to it or to a directory above that was led elsewhere, as Kubernetes does
// for a ConfigMap. It waits until the content stays the same for a tenth of a
// second. A content that is refused is reported once and not tried again until
// there is another, or a signal; so it is with a file that cannot be read.
//
// The file is polled since a notification is bound to the file that was there
// when it was asked for: after a rename or a change of a link it is about a file
// that nobody uses.
//
// The error is [ErrClosed] after Shutdown, and says if there is no file.
func (m *Manager) Watch(ctx context.Context, every time.Duration, sig ...os.Signal) error {
	if m.path == "" {
		return errNoFile
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	signals := make(chan os.Signal, 1) // one is enough: what follows is read when it is looked at
	if len(sig) > 0 {
		signal.Notify(signals, sig...) // without any it would ask for all
	}
	m.watchers.Go(func() {
		defer signal.Stop(signals)
		m.watch(ctx, every, signals)
	})
	return nil
}

func (m *Manager) watch(ctx context.Context, every time.Duration, signals <-chan os.Signal) {
	var ticks <-chan time.Time
	if every == 0 {
		every = 5 * time.Second
	}
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-signals:
			_ = m.Reload(ctx) // is reported
		case <-ticks:
			m.poll(ctx)
		case <-ctx.Done():
			return
		case <-m.lifetime.Done():
			return
		}
	}
}

// settled is how long a content has to stay the same.
const settled = 100 * time.Millisecond

// poll reloads the document if there is a content that was not tried yet. Most
// of the time there is none, and nobody is kept from a change of his own.
func (m *Manager) poll(ctx context.Context) {
	c := m.read()
	if m.wasTried(c) {
		return
	}
	for {
		// Somebody may be writing. Half a document can be one as well, such as
		// the half that has all loggers but the noisiest.
		select {
		case <-time.After(settled):
		case <-ctx.Done():
			return
		case <-m.lifetime.Done():
			return
		}
		before := c.digest
		if c = m.read(); c.digest == before {
			break
		}
	}
	_ = m.reload(ctx, func() (content, error) { // is reported
		if m.wasTried(c) {
			return c, errAsBefore
		}
		return c, nil
	})
}

// reload runs the content that read gives when it is its turn.
func (m *Manager) reload(ctx context.Context, read func() (content, error)) error {
	var c content
	_, err := m.change(ctx, func(running) (d *Document, err error) {
		if c, err = read(); err != nil {
			return nil, err
		}
		return m.try(c)
	})
	if _, refused := asMistakes(err); err != nil && !refused && ctx.Err() != nil {
		m.forget(c) // nobody knows yet whether it is in order
	}
	return err
}

var errNoFile = errors.New("config: the manager has no file: make it with Open, or use Apply")

// digest tells contents of the file apart, an error to read it being one too.
type digest [sha256.Size]byte

// content is what the file held at some moment.
type content struct {
	data []byte
	err  error
	digest
}

func (m *Manager) read() content {
	data, err := readFile(m.path, maxDocument)
	if err != nil {
		return content{err: err, digest: sha256.Sum256([]byte(err.Error()))}
	}
	return content{data, nil, sha256.Sum256(data)}
}

// try reads a content and remembers that it was tried.
func (m *Manager) try(c content) (*Document, error) {
	m.mu.Lock()
	m.tried = c.digest
	m.mu.Unlock()
	if c.err != nil {
		f := findings{file: m.options.File}
		mistake := failed(0, "", c.err)
		var of *fs.PathError
		if errors.As(c.err, &of) && of.Path == m.options.File {
			mistake.Message = of.Err.Error() // the file is named in front of it
		}
		f.addMistake(mistake)
		return nil, f.err()
	}
	return Parse(c.data, &m.options)
}

// forget has the content tried again by whoever looks next.
func (m *Manager) forget(c content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tried == c.digest {
		m.tried = digest{}
	}
}

func (m *Manager) wasTried(c content) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.digest == m.tried
}
