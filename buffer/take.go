package buffer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
)

// parcel is a journal that has become a batch.
type parcel struct {
	id      string
	records int // as far as is known, those accepted included
	corrupt int // lines that are known not to be readable
	state   batchState
	lines   []byte // where there is no file

	// busy is set while this Handler delivers it. Then nobody else changes it, in
	// no process, and who delivers reads it without core.mu.
	busy bool

	// rest is until when it is not tried because its state could not be written.
	rest time.Time
}

func (p *parcel) due(now time.Time) bool { return p.state.due(now) && !now.Before(p.rest) }

func (p *parcel) next() time.Time {
	if next := p.state.next(); next.After(p.rest) {
		return next
	}
	return p.rest
}

// waiting is how many records are not delivered yet.
func (p *parcel) waiting() int { return max(0, p.records-p.state.Accepted) }

// newID returns an ID that no other batch has, and that sorts behind those that
// were made before.
func newID(now time.Time) string {
	return strconv.FormatInt(now.UnixNano(), 36) + strings.ToLower(rand.Text())
}

// maxID is more than an ID of newID has, and leaves room in a file name for what
// follows it.
const maxID = 64

// isID reports whether id may be one of newID: it becomes part of a path.
func isID(id string) bool {
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) < 0
}

// lookAtBatches takes notice of the batches that other runs or processes have made
// or removed.
func (d *spool) lookAtBatches(ids []string, locked bool) error {
	d.parcels = slices.DeleteFunc(d.parcels, func(p *parcel) bool {
		if _, ok := slices.BinarySearch(ids, p.id); ok {
			return false
		}
		d.elsewhere += p.waiting()
		return true
	})
	for _, id := range ids {
		i := slices.IndexFunc(d.parcels, func(p *parcel) bool { return p.id == id })
		if i < 0 {
			p := &parcel{id: id}
			var err error
			p.records, p.corrupt, err = d.read(p, nil)
			if err == errForeign && locked {
				d.corrupt++
				if err := setAside(d.root, batchPrefix+id); err != nil {
					return err
				}
				continue
			}
			if err == errForeign || notExist(err) {
				continue
			}
			if err != nil {
				return err
			}
			d.adopted += p.records
			d.corrupt += p.corrupt
			d.parcels = append(d.parcels, p)
			i = len(d.parcels) - 1
		}
		p := d.parcels[i]
		if p.busy {
			continue
		}
		before := p.waiting()
		if err := readState(d, batchPrefix+id+stateSuffix, &p.state, locked); err != nil {
			return err
		}
		d.elsewhere += before - p.waiting()
	}
	slices.SortFunc(d.parcels, func(a, b *parcel) int { return strings.Compare(a.id, b.id) })
	return nil
}

// take makes a batch of the oldest journal. It returns nil if that is gone.
func (d *spool) take(now time.Time, cause string) (*parcel, error) {
	var p *parcel
	err := d.locked(func() error {
		if err := d.look(true); err != nil || len(d.segments) == 0 {
			return err
		}
		s := d.segments[0]
		p = &parcel{id: newID(now), records: s.records, corrupt: s.corrupt}
		p.state.Cause = cause
		if err := d.root.Rename(d.name(s.number), batchPrefix+p.id); err != nil {
			return fmt.Errorf("buffer: take a batch: %w", err)
		}
		d.forget(s)
		d.parcels = append(d.parcels, p)
		if d.shared.Dropped == 0 {
			return nil
		}
		// First the batch tells what was dropped and then the spool forgets it: it
		// may be told twice, but not never.
		p.state.Dropped = d.shared.Dropped
		shared := d.shared
		shared.Dropped = 0
		err := d.save(p)
		if err == nil {
			err = writeJSON(d.root, stateName, &shared)
		}
		if err != nil {
			p.state.Dropped = 0
			return nil // it is told next time
		}
		d.shared = shared
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// update changes state.json.
func (d *spool) update(f func(*spoolState)) error {
	return d.locked(func() error { return d.change(f) })
}

// change is update with the lock.
func (d *spool) change(f func(*spoolState)) error {
	if err := readState(d, stateName, &d.shared, true); err != nil {
		return err
	}
	shared := d.shared
	shared.Sent = slices.Clone(shared.Sent)
	f(&shared)
	if err := writeJSON(d.root, stateName, &shared); err != nil {
		return err
	}
	d.shared = shared
	return nil
}

func (d *spool) save(p *parcel) error {
	return writeJSON(d.root, batchPrefix+p.id+stateSuffix, &p.state)
}

// finish removes a batch that is delivered. The state goes last: without it the
// batch would be one that was never tried.
func (d *spool) finish(p *parcel) error {
	d.parcels = slices.DeleteFunc(d.parcels, func(other *parcel) bool { return other == p })
	err := d.root.Remove(batchPrefix + p.id)
	if err == nil {
		err = d.removeState(batchPrefix + p.id + stateSuffix)
	}
	if err == nil {
		err = d.syncDir()
	}
	if err != nil && !notExist(err) {
		return fmt.Errorf("buffer: remove a batch that is delivered: %w", err)
	}
	return nil
}

// removeState also removes what a process has left that was killed while it wrote
// the state.
func (d *spool) removeState(name string) error {
	for _, file := range []string{name + tempSuffix, name} {
		if err := d.root.Remove(file); err != nil && !notExist(err) {
			return err
		}
	}
	return nil
}

// bury moves a batch to the dead ones.
func (d *spool) bury(p *parcel) error {
	err := d.locked(func() error {
		if err := d.save(p); err != nil { // it may have to stay
			return err
		}
		err := d.root.Mkdir(deadDir, dirMode)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		name := batchPrefix + p.id
		return d.move(name, path.Join(deadDir, name), &p.state)
	})
	if err != nil {
		return fmt.Errorf("buffer: move a batch to %s: %w", deadDir, err)
	}
	d.parcels = slices.DeleteFunc(d.parcels, func(other *parcel) bool { return other == p })
	return nil
}

// move renames a batch, which has the state there. That is written first and
// removed here last, so that wherever the program is killed the batch has one: without,
// the recipients that have it would get it again. It is called with the lock, or
// what Requeue moves back could lose its state to who moved it here.
func (d *spool) move(from, to string, state *batchState) error {
	if err := writeJSON(d.root, to+stateSuffix, state); err != nil {
		return err
	}
	if err := d.root.Rename(from, to); err != nil {
		return errors.Join(err, d.removeState(to+stateSuffix))
	}
	return d.removeState(from + stateSuffix)
}

var (
	errForeign   = errors.New("buffer: not a journal")
	errElsewhere = errors.New("another process delivers")
)

// read calls f with each record of a batch and counts them. It is called without
// core.mu too: a batch does not change.
func (d *spool) read(p *parcel, f func(slogworks.Item)) (records, corrupt int, err error) {
	file, err := d.root.Open(batchPrefix + p.id)
	if err != nil {
		return 0, 0, fmt.Errorf("buffer: read a batch: %w", err)
	}
	defer file.Close()
	records, corrupt, err = readJournal(file, f)
	if err != nil && err != errForeign {
		err = fmt.Errorf("buffer: read a batch: %w", err)
	}
	return records, corrupt, err
}

// readJournal reads a whole journal.
func readJournal(f *os.File, each func(slogworks.Item)) (records, corrupt int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	what, err := kindOf(f, info.Size())
	if err == nil && what == foreign {
		err = errForeign
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil || what == empty {
		return 0, 0, err
	}
	first := true
	_, err = scan(f, true, func(line []byte) {
		header := first && isHeader(line)
		first = false
		if header {
			return
		}
		r, ok := parseLine(line)
		if !ok {
			corrupt++
			return
		}
		records++
		if each != nil {
			each(slogworks.Item{Context: context.Background(), Record: r})
		}
	})
	return records, corrupt, err
}

// secure makes a batch safe from a power failure before it goes out, so that what
// is delivered then is what is removed. It is called without core.mu.
func (d *spool) secure(p *parcel) error {
	if d.Sync == SyncNone {
		return nil
	}
	f, err := d.root.OpenFile(batchPrefix+p.id, os.O_RDWR, fileMode)
	if err != nil {
		return fmt.Errorf("buffer: sync: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("buffer: sync: %w", err)
	}
	return d.syncDir()
}
