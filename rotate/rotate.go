// Package rotate writes to a file that starts anew when it has grown too large
// or too old, and keeps the ones before it as backups.
//
// Use it for the log file of a service when nothing outside does the rotating,
// or together with logrotate, whose moves it notices. Use none where the output
// goes to a terminal or to a collector that reads stdout, and an *os.File from
// os.OpenFile with os.O_APPEND where logrotate does it all and the program is
// restarted. One process may write to a file, or several on one machine with
// Shared; processes on several machines need a collector.
//
// A Write costs what the system call costs, plus a lock and about 50ns for the
// clock if there is a Schedule, and allocates nothing; with Buffer there is one
// system call for many records. A Write that rotates also renames a file (with
// Numbered: one for each backup) and creates one. Compressing and deleting is
// done in the background by a goroutine that ends when it is done; there is none
// while nothing is rotated.
//
// With Shared a Write still costs the one system call, plus two more while other
// processes write at the same time. A lock file beside the file, .app.log.lock,
// is locked to rotate, to look for the file and to remove a backup; the processes
// share a page of it in memory. Where memory cannot be shared (Windows, OpenBSD)
// each Write takes the lock, which costs about ten times as much. A process that
// hangs with the lock makes each other one wait for 5 seconds, once; then they
// write on, above MaxBytes if need be. Shared is for local disks: NFS and SMB
// neither append nor share memory and locks as it needs, and there records can
// be lost. It is unproven on Windows.
//
// What Write has returned for is with the system: os.Exit, a panic and SIGKILL
// lose nothing of it, a power failure may, without Fsync. With Buffer they lose
// what is in it, at most Buffer bytes and what was logged in the last
// FlushEvery. Write fails only when the file cannot be written, on a full disk
// for instance; such a record is lost, counted and reported, and the next one
// is tried again. A rotation that fails loses nothing: writing goes on in the
// file as it is. With Shared, a process that is killed within Write leaves at
// most a part of its own record, and a line that another one wrote behind that
// is there again, whole.
//
// On Windows, a file that is open can be renamed and removed only if it was
// opened for that, as it is here. That this works is unproven on Windows.
//
// The smallest program:
//
//	file, err := rotate.Open("app.log", &rotate.Options{MaxBytes: 100 << 20, MaxBackups: 5})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer file.Close()
//	slog.SetDefault(slog.New(slog.NewJSONHandler(file, nil)))
package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// ErrClosed is what is returned after Shutdown or Close. It is an
// [os.ErrClosed].
var ErrClosed = fmt.Errorf("rotate: %w", os.ErrClosed)

// Options are options for a [File]. A zero Options consists entirely of default
// values: a file that is never rotated by itself. Numbers below 0 count as 0
// unless said otherwise.
type Options struct {
	// MaxBytes is how large a file may become. A record that does not fit goes
	// into a new one; a longer record has a file to itself. Default 0: no limit.
	MaxBytes int64

	// Schedule says when to rotate whatever the size, as [Every], [Hourly],
	// [Daily] and [Weekly] do. Default nil: never.
	Schedule Schedule

	// MaxBackups is how many backups are kept. Default 0: all of them, or 9 if
	// they are Numbered.
	MaxBackups int

	// MaxAge is how long backups are kept, from the last time that they were
	// written to. It is checked when the file is opened or rotated, and every
	// hour. Default 0: for ever.
	MaxAge time.Duration

	// MaxTotal is how many bytes the file and its backups may have together;
	// the file counts as MaxBytes while it is smaller. It is checked when the
	// file is opened or rotated. Default 0: no limit.
	MaxTotal int64

	// Naming is how backups are called. Default Timestamp.
	Naming Naming

	// Compress replaces backups by what gzip makes of them, level 1, with .gz
	// after the name. It is done in the background with pauses, so that those
	// who log have half of a processor at least. A .gz is complete when it
	// appears; one that could not be completed is done again by a later Open.
	Compress bool

	// Mode is the mode of a file that is created where there was none, less
	// the umask. One that follows another has the mode of that. Default 0o600.
	Mode fs.FileMode

	// Lazy leaves it to the first Write to open the file.
	Lazy bool

	// ReopenEvery is how often to look whether the file is still at its path,
	// and to open it anew if someone moved or removed it. It is looked for
	// before the next record only; until then records go to the file that was
	// moved, so that logrotate needs its option delaycompress. Default 1s;
	// below 0: never.
	ReopenEvery time.Duration

	// Buffer is how many bytes of whole records are gathered before they are
	// written. Default 0: each record is written at once.
	Buffer int

	// FlushEvery is how long a record may wait in the buffer. Default 1s; below
	// 0: until the buffer is full or Flush is called.
	FlushEvery time.Duration

	// Fsync has the system put what is written on the disk before Write
	// returns or, with Buffer, each time that the buffer is written. How long
	// that takes is up to the disk.
	Fsync bool

	// Shared is for several processes on one machine that write to one file, all
	// of them with Shared and by the same path. MaxBytes, Schedule, MaxBackups,
	// MaxAge, MaxTotal, Naming and Compress have to be the same in all: Open
	// returns an error for one that differs. A Schedule of your own is compared
	// by its type and, if it has one, by its String method.
	//
	// MaxBytes holds for all of them together, and one of them rotates, writes
	// the Header and calls OnRotate. Another may compress or remove the backup
	// before OnRotate has returned. Compress leaves the two newest backups as
	// they are, and those that a process has open; each lets go of them within
	// ReopenEvery, for which a timer wakes it up also while it writes nothing.
	//
	// What is written at once, a record or a Buffer of them, has its place in
	// the file when it is written and is not divided; it gets a newline at its
	// end if it has none. A path that is no regular file is an error of Open,
	// and so is the process's standard output. The zero value is for one process.
	Shared bool

	// Header returns what each new file begins with, such as a heading of
	// columns, and with a newline at its end. It counts towards MaxBytes, and a
	// file with nothing else counts as empty. It is called with the file locked:
	// it must not log to the file. Default nil: nothing.
	Header func() []byte

	// OnRotate is called after each rotation, in order, on a goroutine of the
	// file's own. The backup is compressed or removed only when OnRotate has
	// returned, so that it can be copied; with Numbered, another rotation may
	// rename it, and remove it if there are 8 more than MaxBackups. OnRotate may
	// log to the file, and must not shut it down.
	OnRotate func(Event)

	// OnError is called when something begins to fail that Stats counts as
	// Errors, and then not until that has worked again. It runs where OnRotate
	// does, with the same rules. Default nil.
	OnError func(error)
}

// Reason is why a file was rotated.
type Reason string

// The reasons for an [Event].
const (
	BySize   Reason = "size"     // MaxBytes
	ByTime   Reason = "time"     // Schedule
	ByCall   Reason = "manual"   // File.Rotate
	External Reason = "external" // somebody else moved or removed the file
)

// Event tells of a rotation.
type Event struct {
	Backup string    // path of what was the file; empty if External
	Reason Reason    // why
	Bytes  int64     // size of what was the file, as far as known
	Time   time.Time // when it was
}

const (
	defaultMode     = 0o600
	directoryMode   = 0o755
	defaultReopen   = time.Second
	defaultFlush    = time.Second
	defaultNumbered = 9
)

// settings are the options with their defaults.
type settings struct {
	Options
	limit int64 // MaxBytes, or as good as no limit
}

func settingsOf(opts *Options) settings {
	var s settings
	if opts != nil {
		s.Options = *opts
	}
	s.limit = maxSize
	if s.MaxBytes > 0 {
		s.limit = s.MaxBytes
	}
	s.MaxBackups = max(0, s.MaxBackups)
	if s.Naming == Numbered && s.MaxBackups == 0 {
		s.MaxBackups = defaultNumbered
	}
	s.MaxAge = max(0, s.MaxAge)
	s.MaxTotal = max(0, s.MaxTotal)
	s.Mode = s.Mode.Perm()
	if s.Mode == 0 {
		s.Mode = defaultMode
	}
	if s.ReopenEvery == 0 {
		s.ReopenEvery = defaultReopen
	}
	s.Buffer = max(0, s.Buffer)
	if s.FlushEvery == 0 {
		s.FlushEvery = defaultFlush
	}
	return s
}

func init() {
	engine.Open = func(path string, opts any, e engine.Engine) (any, error) {
		return open(path, opts.(*Options), e)
	}
}

// Open opens the file at path for appending, or creates it, and its directory
// if that is missing. If path is a symbolic link, it is the file behind it that
// is written, rotated and backed up; where the link leads is looked up once. A
// path that is no regular file, such as /dev/stdout or a named pipe, is written
// to and never rotated, and so is the file that is the process's standard
// output or error; opening a pipe waits for a reader.
//
// If the file does not end in a newline, because a process or a machine died
// while writing, one is written before the next record.
//
// An empty path is an error, before anything is made.
func Open(path string, opts *Options) (*File, error) {
	return open(path, opts, new(engine.File))
}

func open(path string, opts *Options, e engine.Engine) (*File, error) {
	if path == "" { // filepath.Abs would make the working directory of it
		return nil, errors.New("rotate: no path: name the file to write")
	}
	real, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("rotate: open %s: %w", path, err)
	}
	f := &File{
		opts:    settingsOf(opts),
		name:    path,
		path:    real,
		engine:  e,
		closing: make(chan struct{}),
	}
	if f.opts.Shared {
		f.shared = &shared{f: f, reason: BySize}
		f.engine = f.shared
	}
	f.backups = newBackups(f.path, &f.opts)
	f.limit = f.opts.limit
	if f.opts.Lazy {
		return f, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.start(); err != nil {
		return nil, err
	}
	return f, nil
}

// resolve returns where the file behind path is, as long as no working
// directory changes, and makes its directory.
func resolve(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return "", &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
		}
		// A link such as /dev/stdout need not lead to a path that exists.
		return filepath.Abs(path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	// EvalSymlinks follows no link to a file that is not there yet.
	const maxLinks = 40 // as in Linux
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, directoryMode); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}
