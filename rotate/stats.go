package rotate

import (
	"os"

	"github.com/slogworks/slogworks"
)

// Stats is what has become of the records of a [File] and of the file, since
// Open.
type Stats struct {
	Records   uint64 // written to the file
	Bytes     uint64 // written to the file, headers among them
	Buffered  uint64 // records that are in the buffer
	Dropped   uint64 // records that could not be written, or came after Shutdown
	Rotations uint64 // those that made a backup, not those by other processes
	Reopens   uint64 // by Reopen, or because the file was not at its path
	Errors    uint64 // failures of any kind, those among them that cost no record
	Size      int64  // of the file, in bytes
	LastError error  // the last of Errors, however long ago
}

// counts are what Stats and Account are made of. They belong to the File's lock.
type counts struct {
	accepted, written, failed, closed uint64 // records
	bytes                             uint64
	rotations, reopens, errors        uint64
	last                              error
}

// Stats returns a snapshot.
func (f *File) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Stats{
		Records:   f.counts.written,
		Bytes:     f.counts.bytes,
		Buffered:  records(f.ends, 0),
		Dropped:   f.counts.failed + f.counts.closed,
		Rotations: f.counts.rotations,
		Reopens:   f.counts.reopens,
		Errors:    f.counts.errors,
		Size:      f.length(),
		LastError: f.counts.last,
	}
}

// length returns the size of the file. The lock is held.
func (f *File) length() int64 {
	if f.shared != nil && f.info != nil {
		if info, err := os.Stat(f.path); err == nil {
			return info.Size()
		}
	}
	return f.size
}

func (f *File) account() slogworks.Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slogworks.Account{
		Stage:     "rotate",
		Accepted:  f.counts.accepted,
		Delivered: f.counts.written,
		Held:      records(f.ends, 0),
		Dropped:   map[string]uint64{"error": f.counts.failed, "closed": f.counts.closed},
	}
}

// failed counts a record that its handler could not encode.
func (f *File) failed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.accepted++
	f.counts.failed++
}
