package sharedfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

// faults are what may be done to a lock file that is in use.
var faults = map[string]func(path string) error{
	"deleted":              os.Remove,
	"truncated":            func(path string) error { return os.Truncate(path, 0) },
	"truncated to a part":  func(path string) error { return os.Truncate(path, 20) },
	"overwritten":          func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("pid 4711\n"), 10), 0o600) },
	"overwritten by zeros": func(path string) error { return os.WriteFile(path, make([]byte, 100), 0o600) },
	"replaced": func(path string) error {
		return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
	},
}

func TestAppender_healsTheLockFile(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, each bool) {
				for _, check := range []bool{false, true} {
					path := logPath(t)
					lock := filepath.Join(filepath.Dir(path), ".app.log.lock")
					opts := limited(path, each, 20)
					opts.OnError = func(err error) { t.Errorf("reported: %v", err) }
					a, b := open(t, path, opts), open(t, path, opts)
					put(t, a, "111\n")
					put(t, b, "222\n")
					if err := fault(lock); err != nil {
						t.Fatal(err)
					}
					if check {
						if err := a.Check(); err != nil {
							t.Fatal(err)
						}
					}
					// As many as fit, from both: then one has to rotate, in a
					// lock file that both see.
					put(t, a, "333\n")
					put(t, b, "444\n")
					put(t, a, "555\n")
					put(t, b, "666\n", "777\n")
					put(t, a, "888\n", "999\n", "aaa\n", "bbb\n")
					wantFiles(t, path, map[string]string{
						".0001": "111\n222\n333\n444\n555\n", ".0002": "666\n777\n888\n999\naaa\n", "": "bbb\n"})
				}
			})
		})
	}
}

func TestAppender_takesBackALockFileThatReturns(t *testing.T) {
	path := logPath(t)
	lock := filepath.Join(filepath.Dir(path), ".app.log.lock")
	a, b := open(t, path, limited(path, false, 8)), open(t, path, limited(path, false, 8))
	put(t, a, "1\n", "2\n")
	put(t, b, "3\n")
	if err := errors.Join(os.Rename(lock, lock+".old"), a.Check(), os.Rename(lock+".old", lock), b.Check(), a.Check()); err != nil {
		t.Fatal(err)
	}
	put(t, a, "4\n")
	put(t, b, "5\n")
	wantFiles(t, path, map[string]string{".0001": "1\n2\n3\n4\n", "": "5\n"})
}

func TestAppender_knowsItsHeaderWithoutTheLockFile(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		opts := limited(path, each, 0)
		opts.Header = func() []byte { return []byte("# h\n") }
		a := open(t, path, opts)
		since := a.State().Since
		if err := errors.Join(os.Remove(filepath.Join(filepath.Dir(path), ".app.log.lock")), a.Check()); err != nil {
			t.Fatal(err)
		}
		if !a.State().Since.Equal(since) {
			t.Errorf("Since was %v, is %v", since, a.State().Since)
		}
		if ok, err := a.Rotate(t.Context(), time.Time{}); ok || err != nil {
			t.Errorf("Rotate: %v, %v", ok, err)
		}
	})
}

func TestAppender_writesOnWhileADirectoryIsInPlaceOfTheLockFile(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		lock := filepath.Join(filepath.Dir(path), ".app.log.lock")
		var reported []error
		opts := limited(path, each, 4)
		opts.OnError = func(err error) { reported = append(reported, err) }
		a := open(t, path, opts)
		put(t, a, "1\n")
		if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := a.Check(); err == nil {
			t.Error("Check found nothing")
		}
		put(t, a, "2\n", "3\n")
		if len(reported) == 0 {
			t.Error("nothing was reported")
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		reported = nil
		put(t, a, "4\n")
		wantFiles(t, path, map[string]string{".0001": "1\n2\n3\n", "": "4\n"})
		if len(reported) != 0 {
			t.Errorf("reported after it was gone: %v", reported)
		}
	})
}

func TestAppender_followsALogThatSomebodyMoved(t *testing.T) {
	moves := map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".1") },
		"renamed and created": func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600))
		},
	}
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, each bool) {
				path := logPath(t)
				a, b := open(t, path, limited(path, each, 12)), open(t, path, limited(path, each, 12))
				put(t, a, "111\n", "222\n")
				put(t, b, "333\n")
				if err := move(path); err != nil {
					t.Fatal(err)
				}
				if err := a.Check(); err != nil {
					t.Fatal(err)
				}
				put(t, b, "444\n")
				put(t, a, "555\n", "666\n", "777\n")
				wantFiles(t, path, map[string]string{
					".1": "111\n222\n333\n", ".0001": "444\n555\n666\n", "": "777\n"})
			})
		})
	}
}

func TestAppender_doesNotRotateALogThatIsNotItsOwn(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		a := open(t, path, limited(path, each, 8))
		put(t, a, "111\n", "222\n")
		if err := errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, []byte("new\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		put(t, a, "333\n")
		wantFiles(t, path, map[string]string{".1": "111\n222\n", "": "new\n333\n"})
	})
}

func TestAppender_keepsTheFileIfTheNextCannotBeOpened(t *testing.T) {
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		var reported []error
		opts := limited(path, each, 4)
		rename := opts.Rename
		opts.Rename = func() error { return errors.Join(rename(), os.Mkdir(path, 0o700)) }
		opts.OnError = func(err error) { reported = append(reported, err) }
		a := open(t, path, opts)
		put(t, a, "1\n", "2\n", "3\n", "4\n")
		if len(reported) == 0 {
			t.Error("nothing was reported")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		opts.Rename = nil
		put(t, a, "5\n")
		wantFiles(t, path, map[string]string{".0001": "1\n2\n3\n4\n", "": "5\n"})
	})
}

func TestAppender_reportsSettingsThatDifferLater(t *testing.T) {
	path := logPath(t)
	var reported []error
	report := func(err error) { reported = append(reported, err) }
	a := open(t, path, &sharedfile.Options{MaxBytes: 4, Rename: numbered(path), OnError: report})
	b := open(t, path, &sharedfile.Options{MaxBytes: 4, Rename: numbered(path)})
	put(t, b, "1\n", "2\n", "3\n")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	// a has not written since the rotation: nobody has the current file open.
	c := open(t, path, &sharedfile.Options{MaxBytes: 400, Rename: numbered(path)})
	put(t, a, "4\n")
	if len(reported) != 1 || !errors.Is(reported[0], sharedfile.ErrSettings) {
		t.Errorf("reported %v, want ErrSettings", reported)
	}
	put(t, c, "5\n")
	var all strings.Builder
	for _, name := range []string{".0001", ""} {
		all.WriteString(files(t, path)[name])
	}
	if all.String() != "1\n2\n3\n4\n5\n" {
		t.Errorf("lines %q", &all)
	}
}
