package buffer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// SyncPolicy says when records are made safe from a power failure. All policies
// are safe from the end of the program, however it comes. Without a directory
// there is nothing to sync.
type SyncPolicy int

const (
	// SyncInterval syncs a second after the first record that is not safe yet.
	SyncInterval SyncPolicy = iota
	// SyncAlways syncs before Handle returns. Goroutines that log at the same
	// time share what that costs.
	SyncAlways
	// SyncNone leaves it to Flush, Shutdown and the operating system.
	SyncNone
)

// syncer syncs what was written to files. Everybody who waits while a sync is
// under way is served by the next one, together.
type syncer struct {
	mu      sync.Mutex
	dirty   []*os.File // written to since they were last synced
	left    []*os.File // of these, the ones to close then
	ticket  int        // of the last write
	synced  int        // through which ticket
	running chan struct{}
	failed  failure
}

// failure is the last sync that failed, and for which tickets it was.
type failure struct {
	after, through int
	err            error
}

func (f failure) of(ticket int) error {
	if f.after < ticket && ticket <= f.through {
		return f.err
	}
	return nil
}

// maxLeft is how many files wait for a sync to be closed if nobody asks for one.
const maxLeft = 8

// wrote notes that f has to be synced and returns a ticket for that.
func (s *syncer) wrote(f *os.File) (ticket int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.dirty, f) {
		s.dirty = append(s.dirty, f)
	}
	s.ticket++
	return s.ticket
}

// leave closes f as soon as it is synced.
func (s *syncer) leave(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.dirty, f) && s.running == nil {
		f.Close()
		return
	}
	s.left = append(s.left, f)
	if len(s.left) > maxLeft && s.running == nil {
		_ = s.run()
	}
}

// sync makes safe all that was written.
func (s *syncer) sync() error {
	s.mu.Lock()
	ticket := s.ticket
	s.mu.Unlock()
	return s.await(ticket)
}

// await returns when what got the ticket is safe.
func (s *syncer) await(ticket int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.synced < ticket {
		if s.running == nil {
			return s.run()
		}
		running := s.running
		s.mu.Unlock()
		<-running
		s.mu.Lock()
	}
	return s.failed.of(ticket)
}

// run syncs. The lock is held on entry and on return.
func (s *syncer) run() error {
	files, ticket := s.dirty, s.ticket
	s.dirty, s.running = nil, make(chan struct{})
	s.mu.Unlock()
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Sync())
	}
	err := errors.Join(errs...)
	s.mu.Lock()
	if err != nil {
		// It is not tried again: the system has dropped what it could not write,
		// and would say next time that all is well.
		err = fmt.Errorf("buffer: sync: %w", err)
		s.failed = failure{after: s.synced, through: ticket, err: err}
	}
	s.synced = ticket
	close(s.running)
	s.running = nil
	s.left = slices.DeleteFunc(s.left, func(f *os.File) bool {
		if slices.Contains(s.dirty, f) {
			return false
		}
		f.Close()
		return true
	})
	return err
}

// close closes the files that were left.
func (s *syncer) close() error {
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.left {
		f.Close()
	}
	s.left = nil
	return err
}
