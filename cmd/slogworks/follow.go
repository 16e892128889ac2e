package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// pollEvery is how often a file is looked at; less and less often, down to
	// every maxPoll, if it cannot be read.
	pollEvery = 200 * time.Millisecond
	maxPoll   = 2 * time.Second
	// rotationTime is how long a name may be without a file before that is
	// worth a word.
	rotationTime = 2 * time.Second
)

// follower publishes the lines of a file, and of each that takes its name.
type follower struct {
	feed
	path     string
	existing int // how many lines are read of a file that is there; below 0: all
	every    time.Duration
	tell     func(error)

	file *tail // that has the name; nil if none was found
	old  *tail // that had it before, whose writer may not know that yet

	wasOpen bool      // since the start
	missing time.Time // since when there is no file
	isTold  bool      // that there is none
}

// begin publishes the lines that are there. It does not wait for more.
func (f *follower) begin(ctx context.Context) {
	if info, err := os.Stat(f.path); err != nil || info.Mode().IsRegular() { // to read a pipe may take for ever
		f.poll(ctx)
	}
	f.existing = -1
}

// run publishes lines until ctx is done, and then those that are written already.
func (f *follower) run(ctx context.Context) {
	defer func() {
		last, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		for _, t := range []*tail{f.old, f.file} {
			if t != nil {
				_ = t.read(last) // there is no later in which it may work
				t.close()
			}
		}
	}()
	for wait := f.every; ; {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if f.poll(ctx) {
			wait = f.every
		} else {
			wait = min(2*wait, maxPoll)
		}
	}
}

// poll reads what is new, and looks which file has the name now. It reports
// whether one has.
func (f *follower) poll(ctx context.Context) bool {
	err := f.readOld(ctx)
	if f.file != nil {
		err = errors.Join(err, f.file.read(ctx))
	}
	info, statErr := os.Stat(f.path)
	switch {
	case statErr != nil:
		err = errors.Join(err, statErr)
		// After any other error it may come back, and would be read from its
		// beginning again.
		if errors.Is(statErr, fs.ErrNotExist) {
			f.retire()
		}
	case !info.Mode().IsRegular():
		err = errors.Join(err, f.stream(ctx))
	case f.file == nil || !os.SameFile(info, f.file.info):
		err = errors.Join(err, f.follow(ctx, info))
	}
	f.isConnected.Store(err == nil)
	f.say(err)
	return err == nil
}

// follow begins with the file that has the name now.
func (f *follower) follow(ctx context.Context, info fs.FileInfo) error {
	if f.old != nil && os.SameFile(info, f.old.info) { // it was away for a moment
		f.file, f.old = f.old, f.file
		return nil
	}
	next, err := openTail(f.path, f.existing, f.line)
	if err != nil {
		return err
	}
	f.retire()
	f.file, f.wasOpen = next, true
	return next.read(ctx)
}

// retire goes on reading the file, now that it has lost its name: who writes to
// it may learn of that later.
func (f *follower) retire() {
	if f.file == nil {
		return
	}
	if f.old != nil {
		f.old.close()
	}
	f.file.heard = time.Now()
	f.old, f.file = f.file, nil
}

func (f *follower) readOld(ctx context.Context) error {
	if f.old == nil {
		return nil
	}
	err := f.old.read(ctx)
	if err != nil || f.old.isQuiet() {
		f.old.close()
		f.old = nil
	}
	return err
}

// stream publishes the lines of a pipe or a device until it ends.
func (f *follower) stream(ctx context.Context) error {
	// Without O_NONBLOCK, to open a pipe would wait for somebody who writes.
	file, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { file.Close() })
	f.isConnected.Store(true)
	err = readLines(file, f.line)
	if stop() {
		file.Close()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// say tells once that the file cannot be read.
func (f *follower) say(err error) {
	if err == nil {
		f.missing, f.isTold = time.Time{}, false
		return
	}
	if f.missing.IsZero() {
		f.missing = time.Now()
	}
	isRotation := f.wasOpen && time.Since(f.missing) < rotationTime
	if f.isTold || isRotation {
		return
	}
	f.isTold = true
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	f.tell(fmt.Errorf("%s: %w; it is followed as soon as it can be read", f.path, err))
}
