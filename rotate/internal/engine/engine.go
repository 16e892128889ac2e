// Package engine is how package rotate reaches the file that it writes to, so
// that something else than an [os.File] can do it in its place.
package engine

import "io/fs"

// Engine writes to one file. Its methods are called one at a time.
type Engine interface {
	// Open opens path for appending and never truncates it; a missing file is
	// created with perm, less the umask. What was open before is closed if that
	// succeeds and stays open if it does not.
	Open(path string, perm fs.FileMode) (fs.FileInfo, error)

	// Write appends p in one write.
	Write(p []byte) (int, error)

	// Rename moves the file that is open, which stays open unless the system
	// cannot do that. A later Write without an Open goes to the file that was
	// moved or, if it had to be closed, to what is at the path then.
	Rename(from, to string) error

	// Sync waits until what was written is on the disk.
	Sync() error

	// Close closes the file. It may be called without one open.
	Close() error
}

// Open is rotate.Open on an engine. It takes a *rotate.Options and returns a
// *rotate.File; package rotate, which imports this one, sets it.
var Open func(path string, opts any, e Engine) (file any, err error)
