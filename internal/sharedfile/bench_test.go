package sharedfile_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

var line = append(bytes.Repeat([]byte("x"), 199), '\n')

// BenchmarkFile is the floor: what os.File alone costs.
func BenchmarkFile(b *testing.B) {
	f, err := os.OpenFile(b.TempDir()+"/app.log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		f.Write(line)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, each := range map[string]bool{"memory": false, "lock": true} {
		b.Run(name, func(b *testing.B) {
			path := b.TempDir() + "/app.log"
			a, err := sharedfile.Open(path, limited(path, each, 0))
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Append(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	for name, each := range map[string]bool{"memory": false, "lock": true} {
		b.Run(name, func(b *testing.B) {
			path := b.TempDir() + "/app.log"
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				a, err := sharedfile.Open(path, limited(path, each, 0))
				if err != nil {
					b.Error(err)
					return
				}
				defer a.Close()
				for pb.Next() {
					if _, err := a.Append(line); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkLock(b *testing.B) {
	l := sharedfile.NewLock(b.TempDir()+"/lock", 0)
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := l.TryLock(); !ok {
			b.Fatal(err)
		}
		l.Unlock()
	}
}
