package buffer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

const (
	dirMode  = 0o700 // logs hold what is nobody else's business
	fileMode = 0o600

	journalPrefix = "journal-"
	batchPrefix   = "batch-"
	stateSuffix   = ".state"
	tempSuffix    = ".tmp"
	unknownSuffix = ".unknown"
	deadDir       = "dead"
	stateName     = "state.json"
	lockName      = "lock"
	senderName    = "sender"
)

// spool is a directory. Its methods are called with core.mu held, but for those
// that say otherwise.
//
// Files are opened through an os.Root because only then they can be renamed on
// Windows while they are open.
type spool struct {
	ledger
	*settings
	printer *printer
	root    *os.Root
	lock    *sharedfile.Lock
	sender  *sharedfile.Lock
	lease   lease

	current *segment // that Handle appends to; nil if that is not known
	file    *os.File // of current
	syncs   syncer

	shared  spoolState
	parcels []*parcel // batches, oldest first
}

var _ store = (*spool)(nil)

func openSpool(s *settings, p *printer, mu sync.Locker) (*spool, error) {
	dir, err := filepath.Abs(s.Dir)
	if err == nil {
		err = os.MkdirAll(dir, dirMode)
	}
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("buffer: open the spool: %w", err)
	}
	d := &spool{
		settings: s,
		printer:  p,
		root:     root,
		lock:     sharedfile.NewLock(filepath.Join(dir, lockName), fileMode),
		sender:   sharedfile.NewLock(filepath.Join(dir, senderName), fileMode),
		lease:    lease{mu: mu},
	}
	// What is there is read before the lock is taken, since it may be much; under
	// the lock it is read on from there.
	err = d.look(false)
	if err == nil {
		err = d.refresh()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	d.lease.others = time.Time{} // what was found may be from an earlier run
	return d, nil
}

func (d *spool) held() *ledger         { return &d.ledger }
func (d *spool) state() *spoolState    { return &d.shared }
func (d *spool) batches() []*parcel    { return d.parcels }
func (d *spool) name(n int64) string   { return journalPrefix + strconv.FormatInt(n, 10) }
func (d *spool) sync() error           { return d.syncs.sync() }
func (d *spool) awaitSync(t int) error { return d.syncs.await(t) }

// append stores lines together, in one journal, and how many records were lost
// with them. It returns a ticket for awaitSync.
func (d *spool) append(lines []byte, entries []entry, dropped int) (ticket int, err error) {
	err = d.locked(func() error {
		size, err := d.room(len(lines))
		if err != nil {
			return err
		}
		if size == 0 {
			lines = slices.Concat([]byte(header), lines)
		}
		// The count comes first: of a program that is killed in between, it may be
		// told for nothing, but not never. Who gets an error has the batch still,
		// and its count, to repeat both.
		if err := d.lose(dropped); err != nil {
			return err
		}
		if err := d.write(size, lines); err != nil {
			return errors.Join(err, d.lose(-dropped))
		}
		d.current.end = size + int64(len(lines))
		for _, e := range entries {
			d.add(d.current, e)
		}
		ticket = d.syncs.wrote(d.file)
		d.keepLock()
		return nil
	})
	return ticket, err
}

// lose counts records that were lost, for the next batch to tell.
func (d *spool) lose(n int) error {
	if n == 0 {
		return nil
	}
	return d.change(func(s *spoolState) { s.Dropped += n })
}

// write appends to the current journal, all or nothing.
func (d *spool) write(size int64, lines []byte) error {
	n, err := d.file.Write(lines)
	if err == nil {
		return nil
	}
	if n > 0 {
		// If this fails too, what is left has no line feed, and whoever writes next
		// will see to that.
		err = errors.Join(err, d.file.Truncate(size))
	}
	return fmt.Errorf("buffer: store a record: %w", err)
}

// room sees to it that there is a current journal that is read to its end and has
// room for n bytes, and returns its size.
func (d *spool) room(n int) (size int64, err error) {
	if d.lease.held && d.current != nil && d.fits(d.current, n) {
		return d.current.end, nil // nobody else could do anything
	}
	if d.current != nil {
		info, err := d.root.Stat(d.name(d.current.number))
		if err == nil && info.Size() == d.current.end && d.fits(d.current, n) {
			return d.current.end, nil
		}
	}
	// Others have written to it, or taken it, or it is full.
	if err := d.look(true); err != nil {
		return 0, err
	}
	if len(d.segments) > 0 {
		newest := d.segments[len(d.segments)-1]
		if d.fits(newest, n) {
			return newest.end, d.use(newest)
		}
	}
	if err := d.makeRoom(int64(n)); err != nil {
		return 0, err
	}
	return 0, d.begin()
}

func (d *spool) fits(s *segment, n int) bool {
	return s.end <= int64(len(header)) || s.end+int64(n) <= d.segmentBytes()
}

// use makes a segment the current one.
func (d *spool) use(s *segment) error {
	if d.current == s {
		return nil
	}
	f, err := d.root.OpenFile(d.name(s.number), os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("buffer: open a journal: %w", err)
	}
	d.leave()
	d.current, d.file = s, f
	return nil
}

// begin makes a journal. Its number is higher than any before, so that it is
// never taken for another one.
func (d *spool) begin() error {
	number := max(time.Now().UnixNano(), d.shared.Through+1)
	if len(d.segments) > 0 {
		number = max(number, d.segments[len(d.segments)-1].number+1)
	}
	f, err := d.root.OpenFile(d.name(number), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("buffer: begin a journal: %w", err)
	}
	if d.Sync == SyncAlways {
		// What is in a file is safe only if its name is.
		if err := d.syncDir(); err != nil {
			f.Close()
			return err
		}
	}
	d.leave()
	d.current, d.file = &segment{number: number}, f
	d.segments = append(d.segments, d.current)
	return nil
}

// leave lets go of the current journal.
func (d *spool) leave() {
	if d.file != nil {
		d.syncs.leave(d.file)
	}
	d.current, d.file = nil, nil
}

// makeRoom drops the oldest journals if there is no room for another one.
func (d *spool) makeRoom(n int64) error {
	drop := 0
	for size := d.size(); drop < len(d.segments) && size+max(n, d.segmentBytes()) > d.MaxBytes; drop++ {
		size -= d.segments[drop].end
	}
	if drop == 0 {
		return nil
	}
	// They are counted first and removed then: of a program that is killed in
	// between, the next run knows which are counted.
	shared := d.shared
	for _, s := range d.segments[:drop] {
		shared.Dropped += s.records
		shared.Through = s.number
	}
	if err := writeJSON(d.root, stateName, &shared); err != nil {
		return err
	}
	d.shared = shared
	for _, s := range slices.Clone(d.segments[:drop]) {
		d.dropped += s.records
		d.forget(s)
		if err := d.root.Remove(d.name(s.number)); err != nil && !notExist(err) {
			return fmt.Errorf("buffer: drop the oldest journal: %w", err)
		}
	}
	return nil
}

func (d *spool) forget(s *segment) {
	if d.current == s {
		d.leave()
	}
	d.remove(s)
}

// syncDir makes the names of files safe. Windows cannot do that, nor do some
// network drives, so there it is left to the system.
func (d *spool) syncDir() error {
	if d.Sync == SyncNone || runtime.GOOS == "windows" {
		return nil
	}
	dir, err := d.root.Open(".")
	if err != nil {
		return fmt.Errorf("buffer: sync: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("buffer: sync: %w", err)
	}
	return nil
}

func (d *spool) close() error {
	if d.lease.held {
		d.endLease()
	}
	d.leave()
	return errors.Join(d.syncs.close(), d.lock.Close(), d.sender.Close(), d.root.Close())
}

// claim makes this the only Handler that delivers, among all processes. Without
// wait the error is errElsewhere if another one does. It is called without
// core.mu.
func (d *spool) claim(ctx context.Context, wait bool) (release func(), err error) {
	if wait {
		err = d.sender.Lock(ctx)
	} else {
		var ok bool
		if ok, err = d.sender.TryLock(); err == nil && !ok {
			return nil, errElsewhere
		}
	}
	if err != nil {
		return nil, fmt.Errorf("buffer: deliver: %w", err)
	}
	return func() { _ = d.sender.Unlock() }, nil
}

// batchID returns the ID in the name of a batch.
func batchID(name string) (string, bool) {
	id, ok := strings.CutPrefix(name, batchPrefix)
	return id, ok && isID(id)
}

// notExist reports whether a file is gone, which another process may have done.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
