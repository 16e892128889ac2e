package lumberjack_test

import (
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	lj "gopkg.in/natefinch/lumberjack.v2"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/lumberjack"
)

// temporary is a directory for an example, and what removes it.
func temporary() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "lumberjack")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

func TestOptions_areThoseOfTheLogger(t *testing.T) {
	for name, test := range map[string]struct {
		logger *lj.Logger
		path   string
		want   rotate.Options
	}{
		"of a zero Logger": {
			new(lj.Logger),
			filepath.Join(os.TempDir(), filepath.Base(os.Args[0])+"-lumberjack.log"),
			rotate.Options{MaxBytes: 100 << 20},
		},
		"of one with everything": {
			&lj.Logger{Filename: "x", MaxSize: 5000, MaxAge: 30, MaxBackups: 4, Compress: true, LocalTime: true},
			"x",
			rotate.Options{MaxBytes: 5000 << 20, MaxAge: 720 * time.Hour, MaxBackups: 4, Compress: true},
		},
	} {
		path, got := lumberjack.Options(test.logger)
		if path != test.path || got.MaxBytes != test.want.MaxBytes || got.MaxAge != test.want.MaxAge || got.MaxBackups != test.want.MaxBackups || got.Compress != test.want.Compress {
			t.Errorf("%s: %q, %+v", name, path, got)
		}
	}
}

func texts(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// The file a lumberjack left behind is appended to, and its backups are under
// retention.
func TestOptions_changeOver(t *testing.T) {
	dir := t.TempDir()
	logger := &lj.Logger{Filename: filepath.Join(dir, "app.log"), MaxBackups: 2, LocalTime: true}
	write := func(w interface{ Write([]byte) (int, error) }, text string) {
		t.Helper()
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"0\n", "1\n", "2\n"} {
		write(logger, text)
		if err := logger.Rotate(); err != nil {
			t.Fatal(err)
		}
		// Its names have a resolution of a millisecond: two backups of the same one
		// would be one.
		for named := time.Now().UnixMilli(); time.Now().UnixMilli() == named; {
			runtime.Gosched()
		}
	}
	write(logger, "3\n")
	if err := logger.Close(); err != nil {
		t.Fatal(err)
	}

	path, opts := lumberjack.Options(logger)
	file, err := rotate.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	write(file, "4\n")
	if err := file.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, dir); len(got) != 3 || got[1] != "3\n4\n" && got[0] != "3\n4\n" || strings.Contains(strings.Join(got, ""), "1\n") {
		t.Errorf("the files are %q", got)
	}
}

func TestOpen_hasTheLimitsOfTheLogger(t *testing.T) {
	record := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for name, test := range map[string]struct {
		opts *rotate.Options
		want int // files
	}{
		"without options":                 {nil, 2},
		"with options that set no limit":  {&rotate.Options{Buffer: 10}, 2},
		"with options that set their own": {&rotate.Options{MaxBackups: 2}, 3},
		"with another size":               {&rotate.Options{MaxBytes: 8 << 20}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, err := lumberjack.Open(&lj.Logger{Filename: filepath.Join(dir, "app.log"), MaxSize: 1, MaxBackups: 1}, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if _, err := file.Write(record); err != nil {
					t.Fatal(err)
				}
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			if got := len(texts(t, dir)); got != test.want {
				t.Errorf("there are %d files, want %d", got, test.want)
			}
		})
	}
}

func TestOpen_refusesWhatLumberjackCannotDo(t *testing.T) {
	for name, open := range map[string]func(l *lj.Logger) (*rotate.File, error){
		"Numbered": func(l *lj.Logger) (*rotate.File, error) {
			return lumberjack.Open(l, &rotate.Options{Naming: rotate.Numbered})
		},
		"Shared": func(l *lj.Logger) (*rotate.File, error) {
			return lumberjack.Open(l, &rotate.Options{Shared: true})
		},
		"no Logger": func(*lj.Logger) (*rotate.File, error) { return lumberjack.Open(nil, nil) },
		"a directory": func(l *lj.Logger) (*rotate.File, error) {
			l.Filename = filepath.Dir(l.Filename)
			return lumberjack.Open(l, nil)
		},
	} {
		file, err := open(&lj.Logger{Filename: filepath.Join(t.TempDir(), "app.log")})
		if err == nil {
			file.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// What the program still writes to its Logger, though it should not, is in the
// same file, and whole.
func TestOpen_takesTheLoggerOver(t *testing.T) {
	dir := t.TempDir()
	logger := &lj.Logger{Filename: filepath.Join(dir, "app.log"), MaxSize: 1}
	if _, err := logger.Write([]byte("0\n")); err != nil {
		t.Fatal(err)
	}
	file, err := lumberjack.Open(logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("1\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := logger.Write([]byte("2\n")); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, dir); len(got) != 1 || got[0] != "0\n1\n2\n" {
		t.Errorf("the files are %q", got)
	}
}
