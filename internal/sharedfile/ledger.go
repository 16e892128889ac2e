package sharedfile

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"
)

// The lock file holds seven words in the byte order of the machine.
const (
	atMagic    = 0
	atSettings = 8  // hash of the settings that all processes share
	atReserved = 16 // count: bytes that writers have reserved
	atWritten  = 24 // count: bytes of those reservations that have been written
	atHeader   = 32 // how many of the bytes are the header
	atSince    = 40 // when the file began, in Unix nanoseconds
	atBase     = 48 // bytes of the file that are not counted, since a rotation failed

	ledgerSize = 56
)

// magic tells our lock files from others, and this layout from those to come.
var magic = binary.NativeEndian.Uint64([]byte("slogshr2"))

// A count is a number of bytes in a generation of the file: a rotation begins
// the next. Both are in one word so that a writer, by one atomic addition, gets
// its place and learns whether the file it has open is still the current one.
// No generation has the number 0, which is what a file of zeros reads as.
type count uint64

const (
	bytesBits = 40
	bytesMask = 1<<bytesBits - 1

	// maxBytes leaves as much room again for reservations beyond the limit.
	maxBytes = 1 << (bytesBits - 1)
)

func makeCount(generation, bytes int64) count {
	return count(generation<<bytesBits | bytes&bytesMask)
}

func (c count) generation() int64 { return int64(c >> bytesBits) }
func (c count) bytes() int64      { return int64(c & bytesMask) }

// nextGeneration returns the one after g; 24 bits of it are kept.
func nextGeneration(g int64) int64 { return g%(1<<(64-bytesBits)-1) + 1 }

// anyGeneration returns one that a process is unlikely to have open.
func anyGeneration() int64 { return rand.Int64N(1<<(64-bytesBits)-1) + 1 }

// A ledger is the words in a lock file. While it is mapped, add and done may be
// called by anybody; everything else needs the lock.
type ledger struct {
	file   *os.File
	memory []byte // nil if it cannot be had: then the words are read and written
}

// attach makes l the ledger in file, which begins as fresh if there is none in
// it or if it is damaged.
func (l *ledger) attach(file *os.File, mapped bool, fresh func() [ledgerSize]byte) error {
	if l.file != file {
		// The others may still have the file that was ours. A zero there is no
		// generation of theirs: they look for the lock file at their next write.
		if l.memory != nil {
			l.store(atReserved, 0)
		}
		if err := l.detach(); err != nil {
			return err
		}
		l.file = file
	}
	if !l.valid() {
		words := fresh()
		if _, err := file.WriteAt(words[:], 0); err != nil {
			return fmt.Errorf("sharedfile: lock file: %w", err)
		}
	}
	if mapped && l.memory == nil {
		// Without memory all works as well, with a lock for each write.
		l.memory, _ = mapFile(file, ledgerSize)
	}
	return nil
}

func (l *ledger) valid() bool {
	var words [ledgerSize]byte
	if _, err := l.file.ReadAt(words[:], 0); err != nil {
		return false
	}
	return binary.NativeEndian.Uint64(words[atMagic:]) == magic &&
		count(binary.NativeEndian.Uint64(words[atReserved:])).generation() != 0
}

func (l *ledger) detach() error {
	if l.memory == nil {
		return nil
	}
	memory := l.memory
	l.memory = nil
	if err := unmapFile(memory); err != nil {
		return fmt.Errorf("sharedfile: unmap lock file: %w", err)
	}
	return nil
}

func (l *ledger) word(at int) *uint64 { return (*uint64)(unsafe.Pointer(&l.memory[at])) }

// fault is deferred by what touches the memory: if somebody has truncated the
// file the kernel sends SIGBUS, which would end the process. old is what
// SetPanicOnFault, which counts for the goroutine, returned.
func fault(old bool, err *error) {
	debug.SetPanicOnFault(old)
	switch p := recover().(type) {
	case nil:
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		*err = fmt.Errorf("sharedfile: lock file is truncated: %w", fs.ErrInvalid)
	default:
		panic(p)
	}
}

// touch reads a word. The race detector does atomic operations in C, where a
// fault cannot be recovered from: there this is where it is met, but for the
// rare one in between.
//
//go:noinline
func touch(w *uint64) uint64 { return *w }

// add reserves n bytes. The caller defers fault.
func (l *ledger) add(n int) (r reservation, err error) {
	if l.memory == nil {
		old, err := l.load(atReserved)
		if err != nil {
			return r, err
		}
		r = reservation{end: count(old) + count(n), n: n}
		if err := l.store(atReserved, uint64(r.end)); err != nil {
			return reservation{}, err
		}
		return r, nil
	}
	touch(l.word(atReserved))
	end := count(atomic.AddUint64(l.word(atReserved), uint64(n)))
	written := count(atomic.LoadUint64(l.word(atWritten)))
	return reservation{end: end, n: n, quiet: written == end-count(n)}, nil
}

// done notes that the n bytes reserved up to the given count have been written,
// and reports whether nobody has reserved any since. There has to be memory, and
// the caller defers fault.
func (l *ledger) done(reserved count, n int) (quiet bool) {
	touch(l.word(atReserved))
	quiet = count(atomic.LoadUint64(l.word(atReserved))) == reserved
	for {
		written := count(atomic.LoadUint64(l.word(atWritten)))
		if written.generation() != reserved.generation() ||
			atomic.CompareAndSwapUint64(l.word(atWritten), uint64(written), uint64(written)+uint64(n)) {
			return quiet
		}
	}
}

// cancel takes back n of the bytes that were reserved up to the given count. If
// the file was rotated meanwhile they count no more.
func (l *ledger) cancel(reserved count, n int) (err error) {
	if l.memory == nil {
		now, err := l.load(atReserved)
		if err != nil || count(now).generation() != reserved.generation() {
			return err
		}
		return l.store(atReserved, now-uint64(n))
	}
	defer fault(debug.SetPanicOnFault(true), &err)
	touch(l.word(atReserved))
	for {
		now := atomic.LoadUint64(l.word(atReserved))
		if count(now).generation() != reserved.generation() ||
			atomic.CompareAndSwapUint64(l.word(atReserved), now, now-uint64(n)) {
			return nil
		}
	}
}

func (l *ledger) load(at int) (v uint64, err error) {
	if l.memory == nil {
		var b [8]byte
		if _, err := l.file.ReadAt(b[:], int64(at)); err != nil {
			return 0, fmt.Errorf("sharedfile: lock file: %w", err)
		}
		return binary.NativeEndian.Uint64(b[:]), nil
	}
	defer fault(debug.SetPanicOnFault(true), &err)
	touch(l.word(at))
	return atomic.LoadUint64(l.word(at)), nil
}

func (l *ledger) store(at int, v uint64) (err error) {
	if l.memory == nil {
		var b [8]byte
		binary.NativeEndian.PutUint64(b[:], v)
		if _, err := l.file.WriteAt(b[:], int64(at)); err != nil {
			return fmt.Errorf("sharedfile: lock file: %w", err)
		}
		return nil
	}
	defer fault(debug.SetPanicOnFault(true), &err)
	touch(l.word(at))
	atomic.StoreUint64(l.word(at), v)
	return nil
}

// begin starts a generation of a file that has the bytes of c already, base not
// counted, with n more reserved.
func (l *ledger) begin(c count, n int, header, base, since int64) error {
	for _, w := range []struct {
		at int
		v  uint64
	}{
		{atHeader, uint64(header)},
		{atBase, uint64(base)},
		{atSince, uint64(since)},
		{atWritten, uint64(c)},
		{atReserved, uint64(c) + uint64(n)}, // last: from now on writers look at the rest
	} {
		if err := l.store(w.at, w.v); err != nil {
			return err
		}
	}
	return nil
}

// newLedger returns the words of a lock file.
func newLedger(settings uint64, c count, header, since int64) (words [ledgerSize]byte) {
	binary.NativeEndian.PutUint64(words[atMagic:], magic)
	binary.NativeEndian.PutUint64(words[atSettings:], settings)
	binary.NativeEndian.PutUint64(words[atReserved:], uint64(c))
	binary.NativeEndian.PutUint64(words[atWritten:], uint64(c))
	binary.NativeEndian.PutUint64(words[atHeader:], uint64(header))
	binary.NativeEndian.PutUint64(words[atSince:], uint64(since))
	return words
}
