package buffer

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refresh reads what other processes have done since it was last called.
func (d *spool) refresh() error {
	return d.locked(func() error { return d.look(true) })
}

// look reads what other processes have done. Without the lock, what it sees may be
// under way: then it reads whole lines and changes nothing.
func (d *spool) look(locked bool) error {
	if err := readState(d, stateName, &d.shared, locked); err != nil {
		return err
	}
	names, err := d.list()
	if err != nil {
		return err
	}
	var journals []int64
	var batches []string
	for _, name := range names {
		if number, ok := journalNumber(name); ok {
			journals = append(journals, number)
		} else if id, ok := batchID(name); ok {
			batches = append(batches, id)
		}
	}
	if locked {
		if err := d.removeOrphans(names); err != nil {
			return err
		}
	}
	slices.Sort(journals)
	slices.Sort(batches)
	if err := d.lookAtJournals(journals, locked); err != nil {
		return err
	}
	return d.lookAtBatches(batches, locked)
}

// readState reads one of the files with a state, and sets aside what is not
// understood.
func readState[T spoolState | batchState](d *spool, name string, v *T, locked bool) error {
	understood, err := readJSON(d.root, name, v)
	if err != nil || understood || !locked {
		return err
	}
	d.corrupt++
	return setAside(d.root, name)
}

// removeOrphans removes the state of a batch that is gone: it was delivered by a
// process that was killed before it was through.
func (d *spool) removeOrphans(names []string) error {
	for _, name := range names {
		batch, ok := strings.CutSuffix(name, stateSuffix)
		if _, isBatch := batchID(batch); !ok || !isBatch || slices.Contains(names, batch) {
			continue
		}
		if err := d.removeState(name); err != nil {
			return fmt.Errorf("buffer: remove the state of a batch that is gone: %w", err)
		}
	}
	return nil
}

// list returns the names of the regular files.
func (d *spool) list() ([]string, error) {
	dir, err := d.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("buffer: list the spool: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("buffer: list the spool: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// maxNumber is the time of the year 2116. There is room for higher numbers behind
// it, or a file of that name would leave none for those that are begun.
const maxNumber = 1 << 62

func journalNumber(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, journalPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, err == nil && number >= 0 && number <= maxNumber && strconv.FormatInt(number, 10) == digits
}

func (d *spool) lookAtJournals(numbers []int64, locked bool) error {
	for _, s := range slices.Clone(d.segments) {
		if _, ok := slices.BinarySearch(numbers, s.number); !ok && locked {
			d.elsewhere += s.records
			d.forget(s)
		}
	}
	for _, number := range numbers {
		if number <= d.shared.Through {
			// Whoever dropped it was killed before it was removed.
			if locked {
				if err := d.root.Remove(d.name(number)); err != nil {
					return fmt.Errorf("buffer: drop the oldest journal: %w", err)
				}
			}
			continue
		}
		if err := d.readOn(number, locked); err != nil && (locked || !notExist(err)) {
			return err
		}
	}
	if locked {
		return d.removeEmpty()
	}
	return nil
}

// removeEmpty removes journals without a record, which a process leaves that is
// killed before it wrote one, so that they make no batch. The newest may get some.
func (d *spool) removeEmpty() error {
	if len(d.segments) < 2 {
		return nil
	}
	for _, s := range slices.Clone(d.segments[:len(d.segments)-1]) {
		if s.records+s.corrupt > 0 {
			continue
		}
		d.forget(s)
		if err := d.root.Remove(d.name(s.number)); err != nil && !notExist(err) {
			return fmt.Errorf("buffer: remove an empty journal: %w", err)
		}
	}
	return nil
}

// readOn reads what has come to a journal since it was last read.
func (d *spool) readOn(number int64, locked bool) error {
	name := d.name(number)
	s := d.find(number)
	info, err := d.root.Stat(name)
	if err == nil && s != nil && info.Size() == s.end {
		return nil
	}
	var f *os.File
	if err == nil {
		f, err = d.root.Open(name)
	}
	if err != nil {
		return fmt.Errorf("buffer: read a journal: %w", err)
	}
	defer f.Close()
	size := info.Size()
	if s == nil {
		what, err := kindOf(f, size)
		switch {
		case err != nil:
			return fmt.Errorf("buffer: read a journal: %w", err)
		case what != ours && !locked:
			return nil
		case what == empty:
			return d.root.Remove(name)
		case what == foreign:
			d.corrupt++
			return setAside(d.root, name)
		}
		s = &segment{number: number}
		d.segments = append(d.segments, s)
		slices.SortFunc(d.segments, func(a, b *segment) int { return int(min(max(a.number-b.number, -1), 1)) })
	}
	if size < s.end { // which nobody here does
		s.end = size
		return nil
	}
	begin := s.end
	if _, err := f.Seek(begin, io.SeekStart); err != nil {
		return fmt.Errorf("buffer: read a journal: %w", err)
	}
	whole, err := scan(io.LimitReader(f, size-begin), false, func(line []byte) { d.found(s, line) })
	if err != nil {
		return fmt.Errorf("buffer: read a journal: %w", err)
	}
	s.end = begin + whole
	if s.end == info.Size() || !locked {
		return nil
	}
	return d.mend(s, f, info.Size())
}

// found accounts for a line that this Handler did not write.
func (d *spool) found(s *segment, line []byte) {
	if s.records+s.corrupt == 0 && isHeader(line) {
		return
	}
	r, ok := parseLine(line)
	if !ok {
		s.corrupt++
		d.corrupt++
		return
	}
	d.adopted++
	d.lease.others = time.Now()
	d.add(s, d.printer.entry(r, len(line)+1))
}

// mend ends a torn line, the last one of a process that was killed while it wrote,
// so that what is appended is not torn too. It may even be a whole record.
func (d *spool) mend(s *segment, tail *os.File, size int64) error {
	f, err := d.root.OpenFile(d.name(s.number), os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("buffer: mend a journal: %w", err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("\n")); err != nil {
		return fmt.Errorf("buffer: mend a journal: %w", err)
	}
	if _, err := tail.Seek(s.end, io.SeekStart); err != nil {
		return fmt.Errorf("buffer: mend a journal: %w", err)
	}
	if _, err := scan(tail, false, func(line []byte) { d.found(s, line) }); err != nil {
		return fmt.Errorf("buffer: mend a journal: %w", err)
	}
	s.end = size + 1
	return nil
}
