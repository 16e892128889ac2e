//go:build darwin || dragonfly || freebsd || linux || netbsd

package sharedfile

import (
	"os"
	"syscall"
)

// OpenBSD is missing on purpose: there memory and file are not the same pages.

func mapFile(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

func unmapFile(b []byte) error { return syscall.Munmap(b) }
