package rotate_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slogworks/slogworks/rotate"
)

// smallDisk returns a directory on a file system of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("rotate-test", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("skipped: mount refused: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// A full disk costs the records that Write returns an error for, and no other:
// what was accepted is whole, and writing goes on when there is room.
func TestFile_survivesAFullDisk(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, buffer := range []int{0, 8 << 10} {
			dir := smallDisk(t)
			var told recorded[error]
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{
				Buffer: buffer, FlushEvery: -1, MaxBytes: 20 << 10, OnError: told.add, Compress: true,
			})
			opened(t, f, err)
			ballast := filepath.Join(dir, "ballast")
			fill := func() {
				t.Helper()
				// It takes all that is left.
				if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("the disk is not full: %v", err)
				}
			}
			accepted := map[string]bool{}
			refused := 0
			tail := strings.Repeat("x", 1000)
			for i := range 300 {
				switch i {
				case 60:
					fill()
				case 200:
					if err := os.Remove(ballast); err != nil {
						t.Fatal(err)
					}
				}
				record := strings.TrimSuffix(numbered(i), "\n") + tail + "\n"
				if i >= 200 {
					record = numbered(i)
				}
				n, err := f.Write([]byte(record))
				switch {
				case err == nil && n == len(record):
					accepted[record] = true
				case errors.Is(err, syscall.ENOSPC) && n == 0:
					refused++
					if text := err.Error(); strings.Count(text, "app.log") != 1 {
						t.Fatalf("the error does not name the file once: %s", text)
					}
				default:
					t.Fatalf("Write returned %d, %v", n, err)
				}
			}
			if _, err := f.Write([]byte(numbered(300))); err != nil {
				t.Errorf("with room again Write returned %v", err)
			}
			closed(t, f)
			whole := map[string]int{}
			for _, text := range read(t, dir) {
				for line := range strings.Lines(text) {
					whole[line]++
				}
			}
			lost, twice := 0, 0
			for record := range accepted {
				switch whole[record] {
				case 0:
					lost++
				case 1:
				default:
					twice++
				}
			}
			if lost > 0 || twice > 0 {
				t.Errorf("of %d accepted records, %d are not whole and %d are there twice", len(accepted), lost, twice)
			}
			if refused < 50 || len(accepted) < 150 {
				t.Errorf("%d records were refused and %d accepted: the disk was not full when it was to be", refused, len(accepted))
			}
			if s := f.Stats(); s.Dropped != uint64(refused) {
				t.Errorf("%d records were refused and the stats are %+v", refused, s)
			}
			if got := told.get(); len(got) == 0 || len(got) > 5 {
				t.Errorf("OnError got %v", got)
			}
		}
	})
}
