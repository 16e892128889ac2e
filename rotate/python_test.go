package rotate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

// The example of the logging cookbook: RotatingFileHandler(name, maxBytes=20,
// backupCount=5) and 20 records. What is wanted is what CPython 3.11 leaves.
// Python rotates when a record would fill a file to maxBytes, and not only when
// it would not fit, so that its 20 is a MaxBytes of 19.
func TestFile_rotatesAsRotatingFileHandler(t *testing.T) {
	const name = "logging_rotatingfile_example.out"
	eachEngine(t, func(t *testing.T, open openFunc) {
		if onLumberjack(t) {
			t.Skip("lumberjack does not number backups")
		}
		for maxBytes, want := range map[int64]map[string]string{
			19: {
				name:        "i = 19\n",
				name + ".1": "i = 17\ni = 18\n",
				name + ".2": "i = 15\ni = 16\n",
				name + ".3": "i = 13\ni = 14\n",
				name + ".4": "i = 11\ni = 12\n",
				name + ".5": "i = 9\ni = 10\n",
			},
			20: {
				name:        "i = 18\ni = 19\n",
				name + ".1": "i = 16\ni = 17\n",
				name + ".2": "i = 14\ni = 15\n",
				name + ".3": "i = 12\ni = 13\n",
				name + ".4": "i = 9\ni = 10\ni = 11\n",
				name + ".5": "i = 6\ni = 7\ni = 8\n",
			},
		} {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, name), &rotate.Options{MaxBytes: maxBytes, MaxBackups: 5, Naming: rotate.Numbered})
			opened(t, f, err)
			for i := range 20 {
				write(t, f, fmt.Sprintf("i = %d\n", i))
			}
			closed(t, f)
			same(t, dir, want)
		}
	})
}

// TimedRotatingFileHandler.computeRollover of CPython 3.11. Its weekly rotation
// without atTime is at the end of the day that it names.
func TestSchedule_agreesWithTimedRotatingFileHandler(t *testing.T) {
	const layout = time.DateTime
	for _, test := range []struct {
		python   string
		schedule rotate.Schedule
		next     map[string]string
	}{
		{"when='midnight'", rotate.Daily(0, 0, time.UTC), map[string]string{
			"2000-01-01 10:00:00": "2000-01-02 00:00:00",
			"2000-01-02 00:00:00": "2000-01-03 00:00:00",
			"2000-01-03 23:59:59": "2000-01-04 00:00:00",
		}},
		{"when='midnight', atTime=time(2, 30)", rotate.Daily(2, 30, time.UTC), map[string]string{
			"2000-01-01 10:00:00": "2000-01-02 02:30:00",
			"2000-01-02 00:00:00": "2000-01-02 02:30:00",
			"2000-01-03 23:59:59": "2000-01-04 02:30:00",
		}},
		{"when='W0'", rotate.Weekly(time.Tuesday, 0, 0, time.UTC), map[string]string{
			"2000-01-01 10:00:00": "2000-01-04 00:00:00",
			"2000-01-02 00:00:00": "2000-01-04 00:00:00",
			"2000-01-03 23:59:59": "2000-01-04 00:00:00",
		}},
		{"when='W6'", rotate.Weekly(time.Monday, 0, 0, time.UTC), map[string]string{
			"2000-01-01 10:00:00": "2000-01-03 00:00:00",
			"2000-01-02 00:00:00": "2000-01-03 00:00:00",
			"2000-01-03 23:59:59": "2000-01-10 00:00:00",
		}},
		{"when='W5', atTime=time(12)", rotate.Weekly(time.Saturday, 12, 0, time.UTC), map[string]string{
			"2000-01-01 10:00:00": "2000-01-01 12:00:00",
			"2000-01-02 00:00:00": "2000-01-08 12:00:00",
			"2000-01-03 23:59:59": "2000-01-08 12:00:00",
		}},
		{"when='H', for files begun on the hour", rotate.Every(time.Hour), map[string]string{
			"2000-01-01 10:00:00": "2000-01-01 11:00:00",
			"2000-01-02 00:00:00": "2000-01-02 01:00:00",
		}},
		{"when='M', for files begun on the minute", rotate.Every(time.Minute), map[string]string{
			"2000-01-01 10:00:00": "2000-01-01 10:01:00",
			"2000-01-02 00:00:00": "2000-01-02 00:01:00",
		}},
	} {
		t.Run(test.python, func(t *testing.T) {
			for after, want := range test.next {
				at, err := time.Parse(layout, after)
				if err != nil {
					t.Fatal(err)
				}
				if got := test.schedule.Next(at).UTC().Format(layout); got != want {
					t.Errorf("after %s it is %s, want %s", after, got, want)
				}
			}
		})
	}
}

// TimedRotatingFileHandler takes the time of an existing file for that of its
// last record, so that a program that was not running at midnight rotates with
// its first record.
func TestFile_goesByTheTimeOfTheFileAsTimedRotatingFileHandler(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			for _, test := range []struct {
				name    string
				written time.Duration // before now, which is midnight
				backups int
			}{
				{"yesterday", time.Second, 1},
				{"three days ago", 72 * time.Hour, 1},
				{"at midnight", 0, 0},
				{"later than now", -time.Hour, 0},
			} {
				if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				when := time.Now().Add(-test.written)
				if err := os.Chtimes(path, when, when); err != nil {
					t.Fatal(err)
				}
				f, err := open(path, &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC)})
				opened(t, f, err)
				write(t, f, "new\n")
				closed(t, f)
				backups := backupsOf(t, dir, "app.log")
				if len(backups) != test.backups {
					t.Errorf("written %s: %d backups, want %d", test.name, len(backups), test.backups)
				}
				clean(t, dir)
			}
		})
	})
}

func clean(t *testing.T, dir string) {
	t.Helper()
	for name := range read(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// WatchedFileHandler reopens its file before a record if it is not at its path
// any more. A File looks every ReopenEvery, which in this test has passed
// before each record.
func TestFile_watchesItsPathAsWatchedFileHandler(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			f, err := open(path, nil)
			opened(t, f, err)
			look := func() {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			write(t, f, "0\n")
			if err := os.Rename(path, path+".moved"); err != nil {
				t.Fatal(err)
			}
			look()
			write(t, f, "1\n")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			look()
			write(t, f, "2\n")
			same(t, dir, map[string]string{"app.log": "2\n", "app.log.moved": "0\n"})
			closed(t, f)
		})
	})
}
