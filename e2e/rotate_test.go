package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/rotate"
)

// filesIn returns the contents of the files in a directory by their names.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		contents[entry.Name()] = string(content)
	}
	return contents
}

func sameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("the files are\n%q\nand those of Python\n%q", got, want)
	}
}

// openLog opens a file that is closed when the test ends.
func openLog(t *testing.T, path string, opts *rotate.Options) *rotate.File {
	t.Helper()
	f, err := rotate.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func writeLine(t *testing.T, f *rotate.File, line string) {
	t.Helper()
	if _, err := f.Write([]byte(line + "\n")); err != nil {
		t.Fatal(err)
	}
}

// Python rotates when a record would fill a file to maxBytes, and not only when
// it would not fit.
func TestRotate_leavesTheFilesOfRotatingFileHandler(t *testing.T) {
	python := real.Program(t, "python3")
	for _, test := range []struct{ maxBytes, backups int }{
		{20, 5}, // as in the cookbook
		{21, 5}, {2, 5}, {7, 3}, {19, 2}, {50, 1}, {1000, 5},
	} {
		t.Run(fmt.Sprintf("%d bytes, %d backups", test.maxBytes, test.backups), func(t *testing.T) {
			theirs, ours := t.TempDir(), t.TempDir()
			real.Output(t, "testdata", python, "rotating.py", theirs, strconv.Itoa(test.maxBytes), strconv.Itoa(test.backups))

			f := openLog(t, filepath.Join(ours, "logging_rotatingfile_example.out"), &rotate.Options{
				MaxBytes:   int64(test.maxBytes) - 1,
				MaxBackups: test.backups,
				Naming:     rotate.Numbered,
			})
			for i := range 20 {
				writeLine(t, f, fmt.Sprintf("i = %d", i))
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, filesIn(t, ours), filesIn(t, theirs))
		})
	}
}

// Where clocks are set between now and then, Python is early or late by as much.
func TestSchedule_isThatOfTimedRotatingFileHandler(t *testing.T) {
	python := real.Program(t, "python3")
	random := rand.New(rand.NewPCG(1, 2))
	for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/usr/share/zoneinfo/" + zone); err != nil {
			real.Missing(t, "the time zone "+zone)
		}
		for _, test := range []struct {
			args     []string
			schedule rotate.Schedule
		}{
			{[]string{"midnight"}, rotate.Daily(0, 0, loc)},
			{[]string{"midnight", "13:30"}, rotate.Daily(13, 30, loc)},
			{[]string{"W0", "13:30"}, rotate.Weekly(time.Monday, 13, 30, loc)},
			{[]string{"W6", "00:30"}, rotate.Weekly(time.Sunday, 0, 30, loc)},
		} {
			t.Run(zone+" "+strings.Join(test.args, " "), func(t *testing.T) {
				t.Setenv("TZ", zone)
				var input strings.Builder
				var after []int64
				for range 2000 {
					// Years whose rules are in every database of time zones.
					at := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).Unix() + random.Int64N(8*365*24*3600)
					if at%60 == 0 {
						at++ // at the very second of a rotation, Python's next is the same one
					}
					after = append(after, at)
					fmt.Fprintln(&input, at)
				}
				output := real.OutputOf(t, "testdata", strings.NewReader(input.String()), python, append([]string{"rollover.py"}, test.args...)...)
				lines := strings.Fields(output)
				if len(lines) != len(after) {
					t.Fatalf("%d answers to %d questions", len(lines), len(after))
				}
				compared := 0
				for i, at := range after {
					want, err := strconv.ParseInt(lines[i], 10, 64)
					if err != nil {
						t.Fatal(err)
					}
					from := time.Unix(at, 0).In(loc)
					got := test.schedule.Next(from).In(loc)
					if offset(from) != offset(got) {
						continue
					}
					compared++
					if got.Unix() != want {
						t.Fatalf("after %v we rotate at %v, Python at %v", from, got, time.Unix(want, 0).In(loc))
					}
				}
				if compared < len(after)*9/10 {
					t.Errorf("only %d of %d times were compared", compared, len(after))
				}
			})
		}
	}
}

// offset returns how far the clocks are from UTC then.
func offset(t time.Time) (seconds int) {
	_, seconds = t.Zone()
	return seconds
}

func TestFile_followsItsPathAsWatchedFileHandler(t *testing.T) {
	python := real.Program(t, "python3")
	theirs, ours := t.TempDir(), t.TempDir()
	real.Output(t, "testdata", python, "watched.py", theirs)

	path := filepath.Join(ours, "app.log")
	f := openLog(t, path, nil)
	// Python looks for its file with each record, we do so when it is time to or
	// when we are told to.
	writeAnew := func(line string) {
		t.Helper()
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
		writeLine(t, f, line)
	}
	writeLine(t, f, "before it is moved")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	writeAnew("after it is moved")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeAnew("after it is removed")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, filesIn(t, ours), filesIn(t, theirs))
}
