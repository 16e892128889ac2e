package rotate

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Naming says how backups are called. It can be read from a configuration
// document as "timestamp" or "numbered".
type Naming int

const (
	// Timestamp calls the backups of app.log app-2026-11-21T02-27-06.934.log,
	// by when they were made, in UTC: the names of lumberjack. A second one of
	// the same millisecond is app-2026-11-21T02-27-06.934-1.log.
	Timestamp Naming = iota

	// Numbered calls them app.log.1, app.log.2 and so on, app.log.1 being the
	// newest, so that each rotation renames them all: the names of Python's
	// RotatingFileHandler.
	Numbered
)

// String returns "timestamp" or "numbered". Other values are the same as
// Timestamp.
func (n Naming) String() string {
	if n == Numbered {
		return "numbered"
	}
	return "timestamp"
}

// MarshalText returns what String does.
func (n Naming) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText accepts "timestamp" and "numbered". An error leaves n as it is.
func (n *Naming) UnmarshalText(text []byte) error {
	for _, known := range []Naming{Timestamp, Numbered} {
		if string(text) == known.String() {
			*n = known
			return nil
		}
	}
	return fmt.Errorf("rotate: unknown naming %q: use timestamp or numbered", text)
}

const (
	stampFormat = "2006-01-02T15-04-05.000"
	zipped      = ".gz"
)

// backups knows the names of the backups of one file.
type backups struct {
	naming      Naming
	max         int // MaxBackups if they are numbered
	path, dir   string
	base        string // of the path
	prefix, ext string // what is around a timestamp

	// The name given last, so that the next is greater.
	stamp time.Time
	n     int
}

// backup is what a name says, if it is that of a backup.
type backup struct {
	name  string
	stem  string // name without .gz
	stamp time.Time
	n     int // number, or of those with the same timestamp
	info  fs.FileInfo
}

func newBackups(path string, s *settings) *backups {
	b := &backups{naming: s.Naming, max: s.MaxBackups, path: path}
	b.dir, b.base = filepath.Split(path)
	b.ext = filepath.Ext(b.base)
	b.prefix = strings.TrimSuffix(b.base, b.ext) + "-"
	return b
}

// parse reports whether a file of that name is a backup. It takes no name that
// would not be given, apart from those of lumberjack, which are the same.
func (b *backups) parse(name string) (backup, bool) {
	is := backup{name: name, stem: strings.TrimSuffix(name, zipped)}
	if b.naming == Numbered {
		digits, ok := strings.CutPrefix(is.stem, b.base+".")
		if !ok {
			return is, false
		}
		is.n, ok = number(digits)
		return is, ok
	}
	middle, ok := strings.CutPrefix(is.stem, b.prefix)
	if !ok {
		return is, false
	}
	if middle, ok = strings.CutSuffix(middle, b.ext); !ok || len(middle) < len(stampFormat) {
		return is, false
	}
	stamp, rest := middle[:len(stampFormat)], middle[len(stampFormat):]
	var err error
	if is.stamp, err = time.Parse(stampFormat, stamp); err != nil || is.stamp.Format(stampFormat) != stamp {
		return is, false
	}
	if rest == "" {
		return is, true
	}
	digits, ok := strings.CutPrefix(rest, "-")
	if !ok {
		return is, false
	}
	is.n, ok = number(digits)
	return is, ok
}

// number reads a number above 0 as it is written.
func number(digits string) (int, bool) {
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && strconv.Itoa(n) == digits
}

// newestFirst compares two backups.
func (b *backups) newestFirst(x, y backup) int {
	if b.naming == Numbered {
		return cmp.Compare(x.n, y.n)
	}
	return cmp.Or(y.stamp.Compare(x.stamp), cmp.Compare(y.n, x.n))
}

// next returns the path for a new backup, at which there is nothing.
func (b *backups) next(now time.Time) (string, error) {
	if b.naming == Numbered {
		return b.first()
	}
	stamp, n := now.UTC().Truncate(time.Millisecond), 0
	// The clock may have been set back a little: the order of names stays that
	// of the backups. If it was far off, it is better to forget that.
	if ahead := b.stamp.Sub(stamp); 0 <= ahead && ahead < time.Hour {
		stamp, n = b.stamp, b.n+1
	}
	for ; ; n++ {
		name := b.prefix + stamp.Format(stampFormat)
		if n > 0 {
			name += "-" + strconv.Itoa(n)
		}
		path := filepath.Join(b.dir, name+b.ext)
		taken, err := exists(path, path+zipped)
		if err != nil {
			return "", err
		}
		if !taken {
			b.stamp, b.n = stamp, n
			return path, nil
		}
	}
}

// spare is how many numbered backups there may be beyond those to keep, until
// they are removed in the background.
const spare = 8

// first makes the number 1 free.
func (b *backups) first() (string, error) {
	free := 1
	for ; ; free++ {
		taken, err := exists(b.numbered(free), b.numbered(free)+zipped)
		if err != nil {
			return "", err
		}
		if !taken {
			break
		}
		if free == b.max+spare {
			for _, path := range []string{b.numbered(free), b.numbered(free) + zipped} {
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return "", err
				}
			}
			break
		}
	}
	for n := free - 1; n > 0; n-- {
		for _, suffix := range []string{"", zipped} {
			err := os.Rename(b.numbered(n)+suffix, b.numbered(n+1)+suffix)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	return b.numbered(1), nil
}

func (b *backups) numbered(n int) string { return b.path + "." + strconv.Itoa(n) }

// exists reports whether there is a file at one of the paths. If something else
// is there it returns an error, since nobody asked to have that moved.
func exists(paths ...string) (bool, error) {
	found := false
	for _, path := range paths {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return false, err
		case !info.Mode().IsRegular():
			return false, &fs.PathError{Op: "rename", Path: path, Err: errors.New("something that is no file has that name")}
		default:
			found = true
		}
	}
	return found, nil
}
