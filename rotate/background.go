package rotate

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/slogworks/slogworks/internal/stage"
)

// background is what a File does on a goroutine of its own, which lives while
// there is something to do: callbacks, and tidying up after a rotation. But for
// the atomics it belongs to the File's lock.
type background struct {
	working bool
	idle    chan struct{} // closed when the goroutine has ended
	worker  atomic.Uint64 // the goroutine's number

	errors []error
	events []rotation
	untidy bool
	abort  atomic.Bool // a Shutdown has no time to wait
}

// rotation is an Event that OnRotate has not returned from, and the file that
// was rotated, which is nil if the backup is not ours.
type rotation struct {
	Event
	info fs.FileInfo
}

// The kinds of failure, each of which is reported when it begins.
const (
	opening = iota
	writing
	syncing
	rotating
	sharing
	removing
	compressing
	kinds
)

// report takes notice of how something went. The lock is held.
func (f *File) report(kind int, err error) {
	began := err != nil && !f.failing[kind]
	f.failing[kind] = err != nil
	if err == nil {
		return
	}
	f.counts.errors++
	f.counts.last = err
	if began && f.opts.OnError != nil {
		f.errors = append(f.errors, err)
		f.work()
	}
}

// tell has OnRotate called. The lock is held.
func (f *File) tell(e Event, info fs.FileInfo) {
	if f.opts.OnRotate != nil {
		f.events = append(f.events, rotation{e, info})
		f.work()
	}
}

// tidyLater has backups removed and compressed, as far as there is something to
// do. The lock is held.
func (f *File) tidyLater() {
	if f.opts.MaxBackups > 0 || f.opts.MaxAge > 0 || f.opts.MaxTotal > 0 || f.opts.Compress {
		f.untidy = true
		f.work()
	}
}

// work sees to it that there is a goroutine. The lock is held.
func (f *File) work() {
	if !f.working {
		f.working = true
		f.idle = make(chan struct{})
		go f.run()
	}
}

func (f *File) run() {
	ended := false
	defer func() {
		if !ended { // a callback has called runtime.Goexit
			go f.run()
		}
	}()
	f.worker.Store(goroutine())
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case len(f.errors) > 0:
			err := f.errors[0]
			f.errors = f.errors[1:]
			f.call("OnError", func() { f.opts.OnError(err) })
		case len(f.events) > 0:
			e := f.events[0].Event
			// It stays in the list meanwhile, so that its backup is left alone.
			f.call("OnRotate", func() {
				defer f.forgetEvent()
				f.opts.OnRotate(e)
			})
		case f.untidy && !f.abort.Load():
			f.untidy = false
			f.mu.Unlock()
			f.tidy()
			f.mu.Lock()
		default:
			f.working = false
			f.worker.Store(0)
			ended = true
			close(f.idle)
			return
		}
	}
}

func (f *File) forgetEvent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = f.events[1:]
}

// call calls back without the lock, which is held on entry and on return.
func (f *File) call(name string, callback func()) {
	f.mu.Unlock()
	defer f.mu.Lock()
	var err error
	func() {
		defer stage.Rescue(&err)
		callback()
	}()
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		// To report that OnError panics to OnError would go on for ever.
		f.counts.errors++
		f.counts.last = fmt.Errorf("rotate: %s: %w", name, err)
	}
}

// awaitsOnRotate reports whether the file is a backup that OnRotate has yet to
// see. The lock is held.
func (f *File) awaitsOnRotate(info fs.FileInfo) bool {
	for _, e := range f.events {
		if e.info != nil && os.SameFile(e.info, info) {
			return true
		}
	}
	return false
}

// goroutine returns the number of the goroutine that runs. Go gives it nowhere
// else than at the head of a stack trace, and a callback that shuts down the
// file it is called by would wait for itself.
func goroutine() uint64 {
	var stack [32]byte
	text, _ := bytes.CutPrefix(stack[:runtime.Stack(stack[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, _ := strconv.ParseUint(string(digits), 10, 64)
	return n
}
