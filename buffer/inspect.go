package buffer

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/sharedfile"
)

// Info is what [Inspect] finds in a spool.
type Info struct {
	State            // what waits and is in no batch yet; Distinct by the default fingerprint
	Corrupt int      // lines of that which cannot be read
	Dropped int      // records lost that no batch has told of yet
	Pending []Parcel // batches that are being delivered or wait to be tried again, oldest first
	Dead    []Parcel // batches that were refused for good or given up, oldest first
	Unknown []string // names of files that were set aside
}

// Parcel is a batch in a spool.
type Parcel struct {
	ID       string
	Records  int      // that can be read, those accepted included
	Corrupt  int      // lines that cannot
	Accepted int      // records, from the first on, that are delivered
	Done     []string // recipients that have the batch
	Dropped  int      // records that belong here and were lost before
	Attempt  int      // how often it was tried

	Oldest time.Time // when the oldest record that is not delivered was logged; zero if there is none

	First time.Time // when it was first tried; zero if it was not
	Next  time.Time // when it is tried again; zero if it was not tried
	Cause string    // what the trigger said
	Err   string    // what the last attempt met; "" if nothing is known of it
}

// Inspect looks into a spool, also while a program uses it. It changes nothing
// and takes no lock, so that what moves meanwhile may be missed. The error wraps
// fs.ErrNotExist if there is no such directory.
func Inspect(dir string) (Info, error) {
	var info Info
	root, err := os.OpenRoot(dir)
	if err != nil {
		return info, fmt.Errorf("buffer: inspect: %w", err)
	}
	defer root.Close()
	d := &spool{root: root, printer: newPrinter(nil)}
	// What is not understood here is set aside by who opens the spool.
	if _, err := readJSON(root, stateName, &d.shared); err != nil {
		return info, err
	}
	names, err := d.list()
	if err != nil {
		return info, err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, unknownSuffix) {
			info.Unknown = append(info.Unknown, name)
		} else if number, ok := journalNumber(name); ok && number > d.shared.Through {
			if err := d.readOn(number, false); err != nil && !notExist(err) {
				return info, err
			}
		}
	}
	info.State = d.held().state(d.shared.Last)
	info.Corrupt, info.Dropped = d.corrupt, d.shared.Dropped
	info.Pending, err = parcelsIn(root, names)
	if err != nil {
		return info, err
	}
	dead, err := root.OpenRoot(deadDir)
	switch {
	case notExist(err):
		return info, nil
	case err != nil:
		return info, fmt.Errorf("buffer: inspect: %w", err)
	}
	defer dead.Close()
	names, err = (&spool{root: dead}).list()
	if err == nil {
		info.Dead, err = parcelsIn(dead, names)
	}
	return info, err
}

func parcelsIn(root *os.Root, names []string) ([]Parcel, error) {
	var parcels []Parcel
	for _, name := range names {
		id, ok := batchID(name)
		if !ok {
			continue
		}
		p := Parcel{ID: id}
		var state batchState
		if _, err := readJSON(root, name+stateSuffix, &state); err != nil {
			return nil, err
		}
		left := -state.Accepted
		var err error
		p.Records, p.Corrupt, err = (&spool{root: root}).read(&parcel{id: id}, func(item slogworks.Item) {
			if left++; left > 0 && (p.Oldest.IsZero() || item.Record.Time.Before(p.Oldest)) {
				p.Oldest = item.Record.Time
			}
		})
		if notExist(err) || err == errForeign {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.Accepted, p.Done, p.Dropped, p.Attempt = state.Accepted, state.Done, state.Dropped, state.Attempt
		p.First, p.Next, p.Cause, p.Err = state.First, state.next(), state.Cause, state.Error
		parcels = append(parcels, p)
	}
	slices.SortFunc(parcels, func(a, b Parcel) int { return strings.Compare(a.ID, b.ID) })
	return parcels, nil
}

// Requeue has a dead batch tried again, as one that was never tried but keeps its
// ID and who has it already. A program that uses the spool sees that within
// Options.Every. The error wraps fs.ErrNotExist if there is no such batch.
func Requeue(dir, id string) error {
	if !isID(id) {
		return fmt.Errorf("buffer: requeue %q: %w", id, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("buffer: requeue: %w", err)
	}
	defer root.Close()
	name := batchPrefix + id
	dead := path.Join(deadDir, name)
	if _, err := root.Stat(dead); err != nil {
		return fmt.Errorf("buffer: requeue: %w", err) // and make no lock where there is no spool
	}
	lock := sharedfile.NewLock(filepath.Join(dir, lockName), fileMode)
	defer lock.Close()
	d := &spool{root: root, lock: lock}
	return d.locked(func() error {
		// Another Requeue may have been first, and then there is a state at name
		// that is not to be touched.
		if _, err := root.Stat(dead); err != nil {
			return fmt.Errorf("buffer: requeue: %w", err)
		}
		var before batchState
		if _, err := readJSON(root, dead+stateSuffix, &before); err != nil {
			return err
		}
		state := batchState{Accepted: before.Accepted, Done: before.Done, Dropped: before.Dropped, Cause: before.Cause}
		if err := d.move(dead, name, &state); err != nil {
			return fmt.Errorf("buffer: requeue: %w", err)
		}
		return nil
	})
}
