package sharedfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Options are options for an [Appender]. A zero Options consists entirely of
// default values.
type Options struct {
	// Lock is the path of the lock file. Default .name.lock beside the file.
	Lock string

	// Mode is the mode of a file that is created, the lock file among them,
	// before umask. Default 0o600. A file that follows another by rotation gets
	// the mode of that one.
	Mode fs.FileMode

	// MaxBytes is the size that the file does not exceed, but for a write that
	// is longer itself: that one is alone in its file. 0 or below: no limit.
	// At most 1<<39, which a higher one means as well.
	MaxBytes int64

	// Settings is whatever else has to be the same in all processes. Processes
	// that differ in it, in MaxBytes or in LockEachWrite get [ErrSettings].
	Settings string

	// LockEachWrite takes the lock for each write. It is slower, and right on
	// file systems that do not show all processes the same memory at once.
	LockEachWrite bool

	// Rename moves the file out of the way; the Appender creates the next one.
	// It runs under the lock, thus in one process at a time, and must not call
	// the Appender. A file that is not there any more is no error. If the file
	// is still there afterwards, whatever Rename returned, it is written to for
	// another MaxBytes. nil: it stays.
	Rename func() error

	// Header returns the first bytes of every new file, whole lines; they count
	// towards MaxBytes. It runs under the lock like Rename. nil: none.
	Header func() []byte

	// Wait is how long a write waits for the lock. Then it goes to the file that
	// is open already, whatever its size, and so do the next ones, without
	// waiting, until the lock is free again: a process that hangs must not make
	// the others hang, or lose lines. Default 5s.
	Wait time.Duration

	// OnError is called with what went wrong although no line was lost by it: a
	// rotation that failed, a lock that could not be had. It may be called for
	// each write, while the Appender is locked: it must be quick and must not
	// call the Appender. nil: nobody is told.
	OnError func(error)
}

// maxRepeats bounds how often a line is written again because it landed behind
// the fragment of another.
const maxRepeats = 4

// An Appender appends lines to a file that other processes, and other Appenders
// in this one, append to by the same path.
//
// Its methods are safe for concurrent use; one write goes on at a time. The file
// is locked against [Claim] from when it is opened until the Appender has left
// it, at its first write or Check after a rotation.
//
// A process that dies between taking its place and writing leaves room that is
// not used: the file is then rotated so much earlier. If the lock file is removed
// or damaged, or another program writes to the file, the limit may be exceeded
// by what is written until a Check notices; no line is lost by either.
type Appender struct {
	path     string
	opts     Options
	settings uint64
	lock     *Lock

	mu      sync.Mutex // guards what follows
	ledger  ledger
	file    *os.File
	info    os.FileInfo
	gen     int64 // the generation that file is
	header  int64 // how many bytes of it are the header
	since   time.Time
	moved   int
	fresh   bool // the lock file was new or damaged, and the file was not looked at since
	stalled bool // the lock was waited for in vain
	closed  bool
}

// Open opens the file at path for appending, and creates it and its lock file
// if need be, in directories that are created too (0o755). It waits for the lock
// for Options.Wait; then the error wraps context.DeadlineExceeded. It is
// [ErrSettings] if the file is open with others. What is not a regular file is
// an error. nil options mean the same as zero ones.
//
// All processes have to name the file and the lock file by the same path, or
// paths that symbolic links make the same in both: two lock files do not know
// of each other.
//
// If nobody else has the file open, the lock file takes on the file's size and
// the options of the caller, and a last line without an end gets one.
func Open(path string, opts *Options) (*Appender, error) {
	a := &Appender{path: path}
	if opts != nil {
		a.opts = *opts
	}
	o := &a.opts
	if o.Lock == "" {
		o.Lock = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	}
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	o.MaxBytes = min(max(o.MaxBytes, 0), maxBytes)
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %t %s", o.MaxBytes, o.LockEachWrite, o.Settings)
	a.settings = h.Sum64()
	a.lock = NewLock(o.Lock, o.Mode)

	err := a.enterToWrite()
	if err == nil {
		err = a.adopt()
		a.leave()
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Append writes p, one or more whole lines, at the end of the file; a missing
// last LF is added. It returns how many bytes of p are written: fewer than all
// with an error, which is that of the write, such as a full disk, or
// [ErrClosed]. p is never split over two files. If it lands behind a part of a
// line, which a process left that was killed or met a full disk, its first line
// is written again.
//
// It waits for the lock if the file was rotated or has to be, at most for
// Options.Wait. It keeps no reference to p.
func (a *Appender) Append(p []byte) (int, error) {
	n := len(p)
	if n > 0 && p[n-1] != '\n' {
		p = append(slices.Clip(p), '\n')
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return 0, ErrClosed
	}
	if n == 0 {
		return 0, nil
	}
	for range maxRepeats {
		written, glued, err := a.append(p)
		if err != nil {
			return min(written, n), err
		}
		if !glued {
			return n, nil
		}
		p = p[:bytes.IndexByte(p, '\n')+1] // the others stand by themselves
	}
	// Killed processes do not do this, so it is not for ever.
	a.trouble(fmt.Errorf("sharedfile: %s: another program writes parts of lines to it", a.path))
	return n, nil
}

// append writes p and reports whether it landed behind a fragment.
func (a *Appender) append(p []byte) (n int, glued bool, err error) {
	var t try
	if a.ledger.memory != nil {
		a.write(p, &t, true)
	}
	if !t.begun {
		if err := a.enterToWrite(); err != nil {
			a.trouble(err)
		} else {
			defer a.leave()
			if t.at, err = a.place(len(p), t.at); err != nil {
				a.trouble(err)
			}
		}
		a.write(p, &t, false)
	}
	switch {
	case t.err != nil:
		return t.n, false, fmt.Errorf("sharedfile: %w", t.err)
	case a.ledger.memory == nil:
		return t.n, false, nil
	}
	return t.n, !t.quiet && a.glued(t.n), nil
}

// A reservation is a place in the file, or none if it is zero.
type reservation struct {
	end   count
	n     int
	quiet bool // everything before it has been written
}

func (a *Appender) reserve(n int) (r reservation, err error) {
	defer fault(debug.SetPanicOnFault(true), &err)
	return a.ledger.add(n)
}

// fits reports whether r is a place in the file that is open, within the limit.
func (a *Appender) fits(r reservation) bool {
	if r.end.generation() != a.gen {
		return false
	}
	return a.opts.MaxBytes == 0 || r.end.bytes() <= a.opts.MaxBytes ||
		r.end.bytes()-int64(r.n) <= a.header
}

// A try is how far a write has got, also if the lock file was truncated under it.
type try struct {
	at    reservation
	begun bool
	n     int
	err   error
	quiet bool // nobody can have left a fragment before it
}

// write writes p, to a place that it reserves for it or else to t.at. It does
// not begin if the place that it reserves is not in the file that is open.
//
// Without memory, or where the lock could not be had, what is at the end of the
// file is looked at first. Else others write at the same time, and where p
// landed is known only afterwards. That look is spared if all reservations
// before this one were written when it was made, and none has been made since:
// then nobody can have died, or met a full disk, in the middle of a line.
func (a *Appender) write(p []byte, t *try, reserve bool) {
	// One guard for all, since it can be measured. What went wrong with the
	// ledger, the next one who needs it says.
	var damaged error
	defer fault(debug.SetPanicOnFault(true), &damaged)
	if reserve {
		at, err := a.ledger.add(len(p))
		if t.at = at; err != nil || !a.fits(at) {
			return
		}
	}
	t.begun = true
	if a.ledger.memory == nil {
		if _, t.err = mend(a.file); t.err != nil {
			return
		}
	}
	t.n, t.err = a.file.Write(p)
	switch {
	case t.at.n == 0: // it has no place
	case t.err != nil:
		// Else a disk that is full for long would have the file rotated again
		// and again, to the last backup that is kept. What is written stays
		// reserved and not written: all look where their lines land then.
		_ = a.ledger.cancel(t.at.end, t.at.n-t.n)
	case a.ledger.memory != nil:
		t.quiet = a.ledger.done(t.at.end, t.at.n) && t.at.quiet
	}
}

// glued reports whether the n bytes written last are behind something else than
// the end of a line.
func (a *Appender) glued(n int) bool {
	end, err := a.file.Seek(0, io.SeekCurrent)
	if err != nil || end <= int64(n) {
		return false
	}
	var before [1]byte
	_, err = a.file.ReadAt(before[:], end-int64(n)-1)
	return err == nil && before[0] != '\n'
}

// mend ends the last line of f if it has no end, and returns the size of f.
func mend(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return size, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return size, err
	}
	n, err := f.Write([]byte{'\n'})
	return size + int64(n), err
}

// Sync commits what has been written to stable storage.
func (a *Appender) Sync() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	return a.file.Sync()
}

// State is what an Appender knows of its file.
type State struct {
	Info   os.FileInfo // of the file that is open, as it was then
	Header int64       // how many bytes of it are the header

	// Size is how many bytes count towards MaxBytes now: those that are reserved,
	// written or not.
	Size int64

	// Since is when the file began as far as this process has seen: when it was
	// rotated last or, if it was opened by nobody before, when it was written to
	// last or else created.
	Since time.Time

	// Moved is how often this Appender was the first to find that somebody else
	// had moved or removed the file.
	Moved int
}

// State returns a snapshot. After Close it is the zero State.
func (a *Appender) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return State{}
	}
	s := State{Info: a.info, Header: a.header, Since: a.since, Moved: a.moved}
	if reserved, err := a.ledger.load(atReserved); err == nil {
		s.Size = count(reserved).bytes()
	}
	return s
}

// Close closes the file, once a write that goes on is over. The lock file stays,
// since others may use it. A second Close does nothing.
func (a *Appender) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	err := a.ledger.detach()
	if a.file != nil {
		err = errors.Join(err, release(a.file))
	}
	return errors.Join(err, a.lock.Close())
}

func (a *Appender) trouble(err error) {
	if a.opts.OnError != nil && err != errStalled {
		a.opts.OnError(err)
	}
}
