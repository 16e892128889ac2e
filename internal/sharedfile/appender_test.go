package sharedfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

// inBothModes runs a test with shared memory and with a lock for each write.
func inBothModes(t *testing.T, test func(t *testing.T, each bool)) {
	t.Run("with shared memory", func(t *testing.T) { test(t, false) })
	t.Run("with a lock for each write", func(t *testing.T) { test(t, true) })
}

func logPath(t *testing.T) string { return filepath.Join(t.TempDir(), "app.log") }

// numbered renames path to the first path.N that is free.
func numbered(path string) func() error {
	return func() error {
		for n := 1; ; n++ {
			to := fmt.Sprintf("%s.%04d", path, n)
			if _, err := os.Lstat(to); err != nil {
				return os.Rename(path, to)
			}
		}
	}
}

// limited are the options that most tests use.
func limited(path string, each bool, maxBytes int64) *sharedfile.Options {
	return &sharedfile.Options{MaxBytes: maxBytes, LockEachWrite: each, Rename: numbered(path)}
}

// open opens an Appender that is closed at the end of the test.
func open(t *testing.T, path string, opts *sharedfile.Options) *sharedfile.Appender {
	t.Helper()
	a, err := sharedfile.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func put(t *testing.T, a *sharedfile.Appender, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if n, err := a.Append([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Append(%q): %d, %v", line, n, err)
		}
	}
}

// files returns the contents of the log's files by name, without app.log before
// what tells them apart.
func files(t *testing.T, path string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(p, path)] = string(b)
	}
	return got
}

func wantFiles(t *testing.T, path string, want map[string]string) {
	t.Helper()
	if got := files(t, path); !maps.Equal(got, want) {
		t.Errorf("files\n%q, want\n%q", got, want)
	}
}

func TestAppender_rotatesBeforeTheLimitIsExceeded(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a, b := open(t, path, limited(path, each, 10)), open(t, path, limited(path, each, 10))
		if a.Mapped() == each {
			t.Errorf("Mapped is %v", a.Mapped())
		}
		put(t, a, "1234\n")
		put(t, b, "6789\n")
		wantFiles(t, path, map[string]string{"": "1234\n6789\n"})
		put(t, b, "a\n")
		put(t, a, "b\n")
		wantFiles(t, path, map[string]string{".0001": "1234\n6789\n", "": "a\nb\n"})
		put(t, a, "longer than the limit\n")
		put(t, b, "c\n", "d\n")
		wantFiles(t, path, map[string]string{
			".0001": "1234\n6789\n", ".0002": "a\nb\n", ".0003": "longer than the limit\n", "": "c\nd\n"})
	})
}

func TestAppender_usesTheRoomThatIsLeft(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		handles := []*sharedfile.Appender{}
		for range 3 {
			handles = append(handles, open(t, path, limited(path, each, 30)))
		}
		for i := range 300 {
			put(t, handles[i%3], fmt.Sprintf("%04d\n", i))
		}
		got := files(t, path)
		if len(got) != 50 {
			t.Errorf("%d files, want 50", len(got))
		}
		for name, content := range got {
			if len(content) != 30 {
				t.Errorf("%q holds %d bytes, want 30", name, len(content))
			}
		}
	})
}

func TestAppender_takesGoroutines(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		const goroutines, lines, limit = 6, 300, 500
		var wg sync.WaitGroup
		shared := open(t, path, limited(path, each, limit))
		for g := range goroutines {
			a := shared
			if g%2 == 1 {
				a = open(t, path, limited(path, each, limit))
			}
			wg.Go(func() {
				for i := range lines {
					if _, err := a.Append(fmt.Appendf(nil, "%d-%d\n", g, i)); err != nil {
						t.Error(err)
					}
					if i%50 == 0 {
						if err := a.Check(); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		seen := map[string]int{}
		for name, content := range files(t, path) {
			if len(content) > limit {
				t.Errorf("%q holds %d bytes, over the limit of %d", name, len(content), limit)
			}
			for line := range strings.Lines(content) {
				seen[line]++
			}
		}
		for g := range goroutines {
			for i := range lines {
				if line := fmt.Sprintf("%d-%d\n", g, i); seen[line] != 1 {
					t.Errorf("%q is there %d times", line, seen[line])
				}
			}
		}
		if len(seen) != goroutines*lines {
			t.Errorf("%d different lines, want %d", len(seen), goroutines*lines)
		}
	})
}

func TestAppender_endsALineThatHasNoEnd(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 4))
		p := []byte("abcX")
		if n, err := a.Append(p[:3]); n != 3 || err != nil {
			t.Errorf("Append: %d, %v", n, err)
		}
		if string(p) != "abcX" {
			t.Errorf("the caller's bytes became %q", p)
		}
		put(t, a, "", "d\n")
		wantFiles(t, path, map[string]string{".0001": "abc\n", "": "d\n"})
	})
}

func TestAppender_writesTheHeaderOncePerFile(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		opts := limited(path, each, 8)
		opts.Header = func() []byte { return []byte("# h\n") }
		a, b := open(t, path, opts), open(t, path, opts)
		for range 2 {
			if ok, err := b.Rotate(t.Context(), time.Time{}); ok || err != nil {
				t.Errorf("a file with only its header: Rotate %v, %v", ok, err)
			}
		}
		put(t, a, "1\n")
		put(t, b, "2\n", "3\n", "too long\n")
		put(t, a, "4\n")
		wantFiles(t, path, map[string]string{".0001": "# h\n1\n2\n", ".0002": "# h\n3\n", ".0003": "# h\ntoo long\n", "": "# h\n4\n"})
	})
}

func TestAppender_headerOfAnEarlierRunDoesNotCountAsContent(t *testing.T) {
	path := logPath(t)
	opts := limited(path, false, 100)
	opts.Header = func() []byte { return []byte("# h\n") }
	if err := open(t, path, opts).Close(); err != nil {
		t.Fatal(err)
	}
	a := open(t, path, opts)
	if ok, err := a.Rotate(t.Context(), time.Time{}); ok || err != nil {
		t.Errorf("Rotate: %v, %v", ok, err)
	}
	wantFiles(t, path, map[string]string{"": "# h\n"})
}

func TestOpen_nilOptionsMeanZeroOnes(t *testing.T) {
	path := logPath(t)
	a, b := open(t, path, nil), open(t, path, &sharedfile.Options{})
	put(t, a, "a\n")
	put(t, b, "b\n")
	wantFiles(t, path, map[string]string{"": "a\nb\n"})
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), ".app.log.lock")); err != nil {
		t.Error(err)
	}
	if ok, err := a.Rotate(t.Context(), time.Time{}); ok || err != nil {
		t.Errorf("Rotate without Rename: %v, %v", ok, err)
	}
	put(t, b, "c\n")
	wantFiles(t, path, map[string]string{"": "a\nb\nc\n"})
}

func TestOpen_refusesOtherSettingsWhileOthersHaveTheFile(t *testing.T) {
	path := logPath(t)
	first := sharedfile.Options{MaxBytes: 100, Settings: "numbered 5"}
	for name, second := range map[string]sharedfile.Options{
		"MaxBytes":      {MaxBytes: 101, Settings: "numbered 5"},
		"Settings":      {MaxBytes: 100, Settings: "numbered 6"},
		"LockEachWrite": {MaxBytes: 100, Settings: "numbered 5", LockEachWrite: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, path, &first)
			same := open(t, path, &first)
			if _, err := sharedfile.Open(path, &second); !errors.Is(err, sharedfile.ErrSettings) {
				t.Errorf("Open: %v, want ErrSettings", err)
			}
			put(t, a, "still there\n")
			if err := errors.Join(a.Close(), same.Close()); err != nil {
				t.Fatal(err)
			}
			b := open(t, path, &second)
			put(t, b, "alone\n")
			if _, err := sharedfile.Open(path, &first); !errors.Is(err, sharedfile.ErrSettings) {
				t.Errorf("Open with the first: %v, want ErrSettings", err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOpen_refusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if a, err := sharedfile.Open(dir, nil); err == nil {
		a.Close()
		t.Error("a directory was opened")
	}
	if err := os.MkdirAll(filepath.Join(dir, ".app.log.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	if a, err := sharedfile.Open(filepath.Join(dir, "app.log"), nil); err == nil {
		a.Close()
		t.Error("a directory was used as the lock file")
	}
}

func TestOpen_createsDirectories(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "app.log")
	a := open(t, path, nil)
	put(t, a, "x\n")
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	put(t, a, "y\n")
	wantFiles(t, path, map[string]string{"": "y\n"})
}

func TestOpen_endsTheLastLine(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		if err := os.WriteFile(path, []byte("whole\ntor"), 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, open(t, path, limited(path, each, 100)), "next\n")
		wantFiles(t, path, map[string]string{"": "whole\ntor\nnext\n"})
	})
}

func TestOpen_countsTheFileAgainWhenNobodyHasIt(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 12))
		put(t, a, "1234567\n")
		a.DieWriting(t, "123\n", 0)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		put(t, open(t, path, limited(path, each, 12)), "abc\n", "d\n")
		wantFiles(t, path, map[string]string{".0001": "1234567\nabc\n", "": "d\n"})
	})
}

func TestAppender_writesAgainWhatLandedBehindAFragment(t *testing.T) {
	t.Run("with shared memory", func(t *testing.T) {
		path := logPath(t)
		a, b := open(t, path, limited(path, false, 1000)), open(t, path, limited(path, false, 1000))
		put(t, a, "first\n")
		b.DieWriting(t, "killed\n", 3)
		put(t, a, "second\n", "third\n")
		wantFiles(t, path, map[string]string{"": "first\nkilsecond\nsecond\nthird\n"})
	})
	t.Run("with a lock for each write", func(t *testing.T) {
		path := logPath(t)
		a, b := open(t, path, limited(path, true, 1000)), open(t, path, limited(path, true, 1000))
		put(t, a, "first\n")
		b.DieWriting(t, "killed\n", 3)
		put(t, a, "second\n", "third\n")
		wantFiles(t, path, map[string]string{"": "first\nkil\nsecond\nthird\n"})
	})
	t.Run("only the first of several lines", func(t *testing.T) {
		path := logPath(t)
		a := open(t, path, limited(path, false, 1000))
		put(t, a, "first\n")
		a.DieWriting(t, "killed\n", 3)
		put(t, a, "second\nthird\nfourth\n")
		wantFiles(t, path, map[string]string{"": "first\nkilsecond\nthird\nfourth\nsecond\n"})
	})
	t.Run("in a file that cannot take it twice", func(t *testing.T) {
		path := logPath(t)
		a, b := open(t, path, limited(path, false, 20)), open(t, path, limited(path, false, 20))
		put(t, a, "first\n")
		b.DieWriting(t, "killed\n", 3)
		put(t, a, "second\n")
		wantFiles(t, path, map[string]string{".0001": "first\nkilsecond\n", "": "second\n"})
	})
}

func TestAppender_noticesAFragmentThatComesBetween(t *testing.T) {
	path := logPath(t)
	a, b := open(t, path, limited(path, false, 1000)), open(t, path, limited(path, false, 1000))
	put(t, a, "first\n")
	if a.Interrupted(t, "second\n", func() {}) {
		t.Error("undisturbed, it is said to be behind a fragment")
	}
	if !a.Interrupted(t, "third\n", func() { b.DieWriting(t, "killed\n", 3) }) {
		t.Error("behind a fragment, it is said to be undisturbed")
	}
}

func TestAppender_lateWriterCountsInItsOwnFile(t *testing.T) {
	path := logPath(t)
	a, b := open(t, path, limited(path, false, 100)), open(t, path, limited(path, false, 100))
	put(t, b, "first\n")
	a.Interrupted(t, "late56\n", func() {
		if ok, err := b.Rotate(t.Context(), time.Time{}); !ok || err != nil {
			t.Fatalf("Rotate: %v, %v", ok, err)
		}
		put(t, b, "other\n")
	})
	// Were the late line among those written to the new file, it would stand for
	// this one, which is as long.
	b.DieWriting(t, "dead56\n", 3)
	put(t, b, "x\n")
	wantFiles(t, path, map[string]string{".0001": "first\nlate56\n", "": "other\ndeax\nx\n"})
}

func TestAppender_longLineInANewFileNeedsNoOther(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 4))
		put(t, a, "too long\n", "1\n")
		wantFiles(t, path, map[string]string{".0001": "too long\n", "": "1\n"})
	})
}

func TestAppender_leavesFaultsOfOthersAlone(t *testing.T) {
	path := logPath(t)
	put(t, open(t, path, limited(path, false, 4)), "1\n", "2\n", "3\n")
	if debug.SetPanicOnFault(false) {
		t.Error("a fault anywhere in this goroutine would be a panic now")
	}
}

func TestAppender_keepsTheBoundWhenAWriterDies(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a, b := open(t, path, limited(path, each, 12)), open(t, path, limited(path, each, 12))
		b.DieWriting(t, "killed\n", 0)
		put(t, a, "1234\n", "5678\n")
		wantFiles(t, path, map[string]string{".0001": "1234\n", "": "5678\n"})
	})
}

func TestAppender_writesOnIfRenameFails(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		broken := errors.New("broken")
		var reported []error
		opts := limited(path, each, 4)
		opts.Rename = func() error { return broken }
		opts.OnError = func(err error) { reported = append(reported, err) }
		a, b := open(t, path, opts), open(t, path, opts)
		put(t, a, "1\n", "2\n", "3\n")
		put(t, b, "4\n")
		if len(reported) != 1 || !errors.Is(reported[0], broken) {
			t.Errorf("reported %v", reported)
		}
		put(t, b, "5\n")
		put(t, a, "6\n")
		if len(reported) != 2 {
			t.Errorf("reported %d errors after another limit, want 2", len(reported))
		}
		for range 2 { // the second although nothing was written since
			if ok, err := a.Rotate(t.Context(), time.Time{}); ok || !errors.Is(err, broken) {
				t.Errorf("Rotate: %v, %v", ok, err)
			}
		}
		if err := a.Check(); err != nil {
			t.Error(err)
		}
		put(t, a, "7\n", "8\n")
		if len(reported) != 2 {
			t.Errorf("Check had it tried again at once: reported %v", reported)
		}
		wantFiles(t, path, map[string]string{"": "1\n2\n3\n4\n5\n6\n7\n8\n"})
	})
}

// A disk that is full must not have one file after the other rotated, and at
// last all backups replaced by empty ones.
func TestAppender_doesNotCountWhatCouldNotBeWritten(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 12))
		put(t, a, "1234\n")
		a.WithoutSpace(t, func() {
			for range 10 {
				if n, err := a.Append([]byte("5678\n")); n != 0 || err == nil {
					t.Fatalf("Append: %d, %v", n, err)
				}
			}
		})
		if got := a.State().Size; got != 5 {
			t.Errorf("%d bytes count, want 5", got)
		}
		put(t, a, "9abc\n")
		wantFiles(t, path, map[string]string{"": "1234\n9abc\n"})
	})
}

func TestAppender_noticesAnotherSize(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(path string) error
		want map[string]string
	}{
		"truncated": {
			func(path string) error { return os.Truncate(path, 0) },
			map[string]string{"": "# h\n1234\n5678\n"},
		},
		"truncated in a line": {
			func(path string) error { return os.Truncate(path, 6) },
			map[string]string{".0001": "# h\nol\n1234\n", "": "# h\n5678\n"},
		},
		"appended to": {
			func(path string) error {
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					return err
				}
				_, err = f.WriteString("others\n")
				return errors.Join(err, f.Close())
			},
			map[string]string{".0001": "# h\nold\nothers\n", "": "# h\n1234\n5678\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, each bool) {
				path := logPath(t)
				opts := limited(path, each, 15)
				opts.Header = func() []byte { return []byte("# h\n") }
				a, b := open(t, path, opts), open(t, path, opts)
				put(t, a, "old\n")
				if err := errors.Join(test.do(path), b.Check()); err != nil {
					t.Fatal(err)
				}
				put(t, a, "1234\n")
				put(t, b, "5678\n")
				wantFiles(t, path, test.want)
			})
		})
	}
}

func TestAppender_saysThatSomebodyMovedTheFile(t *testing.T) {
	path := logPath(t)
	a, b := open(t, path, limited(path, false, 6)), open(t, path, limited(path, false, 6))
	put(t, a, "1\n", "2\n", "3\n", "4\n")
	if err := errors.Join(b.Check(), os.Rename(path, path+".moved"), b.Check(), a.Check()); err != nil {
		t.Fatal(err)
	}
	if x, y := a.State().Moved, b.State().Moved; x != 0 || y != 1 {
		t.Errorf("moved %d and %d times, want 0 and 1", x, y)
	}
	wantFiles(t, path, map[string]string{".0001": "1\n2\n3\n", ".moved": "4\n", "": ""})
}

func TestAppender_rotatesOncePerTime(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		old := time.Now().Add(-72 * time.Hour).Truncate(time.Second)
		if err := errors.Join(os.WriteFile(path, []byte("old\n"), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
		due := time.Now().Add(-time.Hour)
		rotations := 0
		for i := range 4 {
			a := open(t, path, limited(path, each, 0))
			if i == 0 && !a.State().Since.Equal(old) {
				t.Errorf("Since %v, want %v", a.State().Since, old)
			}
			if ok, err := a.Rotate(t.Context(), due); err != nil {
				t.Error(err)
			} else if ok {
				rotations++
			}
			if a.State().Since.Before(due) {
				t.Errorf("Since %v is before %v", a.State().Since, due)
			}
			put(t, a, "new\n")
		}
		if rotations != 1 {
			t.Errorf("%d rotations, want 1", rotations)
		}
		wantFiles(t, path, map[string]string{".0001": "old\n", "": "new\nnew\nnew\nnew\n"})
	})
}

func TestAppender_doesNotRotateAnEmptyFile(t *testing.T) {
	path := logPath(t)
	a := open(t, path, limited(path, false, 0))
	due := time.Now().Add(time.Hour)
	before := a.State().Since
	if ok, err := a.Rotate(t.Context(), due); ok || err != nil {
		t.Errorf("Rotate: %v, %v", ok, err)
	}
	if !a.State().Since.After(before) {
		t.Error("its time did not begin again")
	}
	wantFiles(t, path, map[string]string{"": ""})
}

func TestAppender_goesOnWithoutTheLock(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		var reported []error
		opts := limited(path, each, 4)
		opts.Wait = time.Millisecond
		opts.OnError = func(err error) { reported = append(reported, err) }
		a := open(t, path, opts)
		put(t, a, "1\n", "2\n")
		other := newLock(t, filepath.Join(filepath.Dir(path), ".app.log.lock"))
		mustTry(t, other.TryLock, true)
		put(t, a, "3\n", "4\n")
		if len(reported) != 1 || !errors.Is(reported[0], context.DeadlineExceeded) {
			t.Errorf("reported %v, want one deadline exceeded", reported)
		}
		if err := a.Check(); err != nil {
			t.Errorf("Check: %v", err)
		}
		if err := a.Reopen(within(t, time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Reopen: %v", err)
		}
		if _, err := a.Rotate(within(t, time.Millisecond), time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Rotate: %v", err)
		}
		mustUnlock(t, other)
		if each {
			// What it wrote without the lock could not be counted.
			put(t, a, "5\n", "6\n")
		} else {
			put(t, a, "6\n")
		}
		if got := files(t, path); got[""] != "6\n" && got[""] != "5\n6\n" {
			t.Errorf("%q: not rotated once the lock was free", got)
		}
		if len(reported) != 1 {
			t.Errorf("reported %v", reported[1:])
		}
	})
}

func TestAppender_keepsTheMode(t *testing.T) {
	path := logPath(t)
	a := open(t, path, limited(path, false, 2))
	put(t, a, "1\n")
	wantMode := func(want os.FileMode) {
		t.Helper()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%v, %v; want %v", info.Mode(), err, want)
		}
	}
	wantMode(0o600)
	// umask takes the write bit for others away from a file that is created.
	if err := os.Chmod(path, 0o662); err != nil {
		t.Fatal(err)
	}
	put(t, a, "2\n")
	wantFiles(t, path, map[string]string{".0001": "1\n", "": "2\n"})
	wantMode(0o662)

	// Whoever created a file themselves chose its mode.
	if err := errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o640)); err != nil {
		t.Fatal(err)
	}
	put(t, a, "3\n")
	wantMode(0o640)
}

func TestAppender_reportsAProgramThatWritesPartsOfLines(t *testing.T) {
	path := logPath(t)
	var reported []error
	opts := limited(path, false, 5)
	opts.OnError = func(err error) { reported = append(reported, err) }
	opts.Rename = func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("part")
		return errors.Join(err, f.Close())
	}
	a := open(t, path, opts)
	put(t, a, "1234\n", "5678\n")
	if len(reported) != 1 || !strings.Contains(reported[0].Error(), "another program") {
		t.Errorf("reported %v, want one error", reported)
	}
	if got := strings.Count(files(t, path)[""], "part5678\n"); got != 4 {
		t.Errorf("the line was tried %d times, want 4", got)
	}
}

func TestAppender_isOverAfterClose(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 10))
		put(t, a, "1\n")
		if err := errors.Join(a.Sync(), a.Close(), a.Close()); err != nil {
			t.Fatal(err)
		}
		_, appended := a.Append([]byte("2\n"))
		_, rotated := a.Rotate(t.Context(), time.Time{})
		for name, err := range map[string]error{
			"Append": appended, "Rotate": rotated, "Check": a.Check(), "Sync": a.Sync(),
		} {
			if !errors.Is(err, sharedfile.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		wantFiles(t, path, map[string]string{"": "1\n"})
	})
}

func TestAppender_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	path := logPath(t)
	a := open(t, path, limited(path, false, 0))
	open(t, path, limited(path, false, 0)).DieWriting(t, "x\n", 0) // so that each write looks behind itself
	line := bytes.Repeat([]byte("x"), 199)
	line = append(line, '\n')
	if n := testing.AllocsPerRun(100, func() { a.Append(line) }); n != 0 {
		t.Errorf("%v allocations per write", n)
	}
}

func TestClaim_needsAFileThatNobodyWrites(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a, b := open(t, path, limited(path, each, 2)), open(t, path, limited(path, each, 2))
		put(t, a, "1\n")
		claim := func(want error) {
			t.Helper()
			f, err := sharedfile.Claim(path + ".0001")
			if err == nil {
				f.Close()
			}
			if !errors.Is(err, want) {
				t.Errorf("Claim: %v, want %v", err, want)
			}
		}
		if _, err := sharedfile.Claim(path); !errors.Is(err, sharedfile.ErrBusy) {
			t.Errorf("Claim of the log: %v, want ErrBusy", err)
		}
		claim(os.ErrNotExist)
		put(t, a, "2\n")
		claim(sharedfile.ErrBusy) // b has it open
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		claim(nil)

		f, err := sharedfile.Claim(path + ".0001")
		if err != nil {
			t.Fatal(err)
		}
		claim(sharedfile.ErrBusy)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		claim(nil)
	})
}

func TestCreateTemp_isClaimedUntilItIsClosed(t *testing.T) {
	dir := t.TempDir()
	f, err := sharedfile.CreateTemp(dir, "*.tmp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sharedfile.Claim(f.Name()); !errors.Is(err, sharedfile.ErrBusy) {
		t.Errorf("Claim: %v, want ErrBusy", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	claimed, err := sharedfile.Claim(f.Name())
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	claimed.Close()
	if _, err := sharedfile.CreateTemp(filepath.Join(dir, "missing"), "*.tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

func TestAppender_leavesNoDescriptor(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	path := logPath(t)
	before := count()
	for range 20 {
		a, err := sharedfile.Open(path, limited(path, false, 4))
		if err != nil {
			t.Fatal(err)
		}
		put(t, a, "1\n", "2\n", "3\n")
		if other, err := sharedfile.Open(path, nil); err == nil {
			other.Close()
			t.Fatal("opened with other settings")
		}
		os.Remove(filepath.Join(filepath.Dir(path), ".app.log.lock"))
		if err := errors.Join(a.Check(), a.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if !slices.Contains(slices.Collect(maps.Keys(files(t, path))), "") {
		t.Error("the log is gone")
	}
}

func TestAppender_writesOnWhenTheLockFileIsTruncatedMeanwhile(t *testing.T) {
	path := logPath(t)
	lock := filepath.Join(filepath.Dir(path), ".app.log.lock")
	a := open(t, path, limited(path, false, 0))
	put(t, a, "first\n")
	truncate := func() {
		if err := os.Truncate(lock, 0); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody can know that there is no fragment before it: that is looked at.
	if a.Interrupted(t, "second\n", truncate) {
		t.Error("the second line is said to be behind a fragment")
	}
	put(t, a, "third\n")
	wantFiles(t, path, map[string]string{"": "first\nsecond\nthird\n"})
}
