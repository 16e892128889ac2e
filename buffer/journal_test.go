package buffer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/internal/sharedfile"
)

// journal returns the only journal in a spool, and its text.
func journal(t testing.TB, dir string) (path string, text []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "journal-*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("the journals are %q, %v", paths, err)
	}
	text, err = os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return paths[0], text
}

// asAnother calls f as another process would do something to the spool.
func asAnother(t testing.TB, dir string, f func()) {
	t.Helper()
	lock := sharedfile.NewLock(filepath.Join(dir, "lock"), 0)
	defer lock.Close()
	if err := lock.Lock(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	f()
}

// sample returns the text of a journal with records of the messages "0" to "3".
func sample(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	h := open(t, newSink(), manual(dir))
	logN(h, 4)
	closed(t, h)
	_, text := journal(t, dir)
	return text
}

const journalName = "journal-1700000000000000000"

// spoolOf returns a spool with a journal.
func spoolOf(t testing.TB, dir string, text []byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, journalName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unsynced is manual for tests that open very many.
func unsynced(dir string) buffer.Options {
	opts := manual(dir)
	opts.Sync = buffer.SyncNone
	return opts
}

// wantSubset checks that got holds nothing but what was logged, in order.
func wantSubset(t testing.TB, got, logged []string) {
	t.Helper()
	i := 0
	for _, message := range got {
		for i < len(logged) && logged[i] != message {
			i++
		}
		if i == len(logged) {
			t.Errorf("delivered %q of %q", got, logged)
			return
		}
		i++
	}
}

func TestJournal_format(t *testing.T) {
	text := sample(t)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	wantEqual(t, "the first line", lines[0], "slogspool/1")
	wantEqual(t, "lines", len(lines), 5)
	for i, line := range lines[1:] {
		if !strings.Contains(line, ` {"t":"`) || !strings.Contains(line, fmt.Sprintf(`"m":"%d"`, i)) {
			t.Errorf("line %d is %q", i, line)
		}
	}
}

// Wherever a journal breaks off, the records before that are delivered, and what
// is logged afterwards.
func TestJournal_survivesATornTail(t *testing.T) {
	text := sample(t)
	base := t.TempDir()
	logged := []string{"0", "1", "2", "3", "later"}
	for cut := range len(text) + 1 {
		whole := max(0, bytes.Count(text[:cut], []byte("\n"))-1)
		if cut < len(text) && text[cut] == '\n' && cut >= len("slogspool/1\n") {
			whole++ // only the line feed is missing
		}
		s := newSink()
		dir := spoolOf(t, filepath.Join(base, fmt.Sprint(cut)), text[:cut])
		h := open(t, s, unsynced(dir))
		slog.New(h).Info("later")
		o := h.Deliver(t.Context())
		wantOutcome(t, o, buffer.Sent)
		if want := append(slices.Clone(logged[:whole]), "later"); !slices.Equal(s.delivered(), want) {
			t.Errorf("cut at %d, it delivered %q, want %q", cut, s.delivered(), want)
		}
		if o.Corrupt > 1 || h.Stats().Corrupt != uint64(o.Corrupt) || s.tried()[0].Dropped != o.Corrupt {
			t.Errorf("cut at %d, the outcome is %+v and the stats are %+v", cut, o, h.Stats())
		}
		wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
		wantBalance(t, h)
		closed(t, h)
	}
}

// A process that dies while it writes does not spoil what another one appends that
// has the journal open.
func TestJournal_survivesTheTornTailOfAnother(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	h := open(t, s, manual(dir))
	logN(h, 2)
	path, text := journal(t, dir)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	asAnother(t, dir, func() {
		if _, err := f.Write(text[len(text)-30 : len(text)-9]); err != nil {
			t.Fatal(err)
		}
	})
	slog.New(h).Info("later")
	o := h.Deliver(t.Context())
	wantOutcome(t, o, buffer.Sent)
	wantMessages(t, s.delivered(), "0", "1", "later")
	wantEqual(t, "Corrupt", o.Corrupt, 1)
	wantEqual(t, "Stats.Corrupt", h.Stats().Corrupt, 1)
}

// A bit that flips costs at most the records on both sides of it, is counted, and
// never makes for a record that nobody logged.
func TestJournal_survivesAFlippedBit(t *testing.T) {
	text := sample(t)
	base := t.TempDir()
	logged := []string{"0", "1", "2", "3"}
	headerLen := len("slogspool/1\n")
	for i := range text {
		bits := 8
		if i >= headerLen {
			bits = 1 // each would take long, and the checksum sees all alike
		}
		for n := range bits {
			bit := byte(1) << ((i + 3*n) % 8)
			name := fmt.Sprintf("byte %d with %08b", i, bit)
			damaged := bytes.Clone(text)
			damaged[i] ^= bit
			s := newSink()
			dir := spoolOf(t, filepath.Join(base, name), damaged)
			h := open(t, s, unsynced(dir))
			o := h.Deliver(t.Context())
			got := s.delivered()
			wantSubset(t, got, logged)
			lost := len(logged) - len(got)
			if unknown, _ := filepath.Glob(filepath.Join(dir, "*.unknown")); len(unknown) == 1 {
				// The header says now that this is another version.
				kept, err := os.ReadFile(unknown[0])
				if err != nil || !bytes.Equal(kept, damaged) || i != headerLen-2 || h.Stats().Corrupt != 1 {
					t.Errorf("%s: set aside, with stats %+v, %v", name, h.Stats(), err)
				}
				continue
			}
			if lost > 2 || i < headerLen-1 && lost > 0 || i == headerLen-1 && lost > 1 {
				t.Errorf("%s: %d records lost", name, lost)
			}
			if (lost > 0 || i < headerLen) && o.Corrupt == 0 {
				t.Errorf("%s: %d records lost, and counted as %+v", name, lost, o)
			}
			wantEqual(t, "Stats.Corrupt", h.Stats().Corrupt, uint64(o.Corrupt))
			wantBalance(t, h)
			h.Close()
		}
	}
}

// What is damaged after it was stored, by whatever means, is counted too.
func TestJournal_countsWhatIsDamagedLater(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	h := open(t, s, manual(dir))
	logN(h, 3)
	path, text := journal(t, dir)
	text[bytes.LastIndex(text, []byte(`"m":"1"`))+5] = 'x'
	asAnother(t, dir, func() {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	o := h.Deliver(t.Context())
	wantOutcome(t, o, buffer.Sent)
	wantMessages(t, s.delivered(), "0", "2")
	wantEqual(t, "Corrupt", o.Corrupt, 1)
	wantEqual(t, "Stats", h.Stats(), buffer.Stats{Sent: 2, Corrupt: 1, Dropped: 1})
	wantBalance(t, h)
}

func TestJournal_ofAnotherVersionIsSetAside(t *testing.T) {
	ours := sample(t)
	for name, text := range map[string][]byte{
		"another version":    bytes.Replace(ours, []byte("slogspool/1"), []byte("slogspool/2"), 1),
		"a version far off":  append([]byte("slogspool/10\n"), ours[12:]...),
		"something else":     []byte("Dear diary,\ntoday I logged nothing.\n"),
		"something binary":   {0, 1, 2, 3, 0xff, 0xfe},
		"a long single line": bytes.Repeat([]byte("x"), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := spoolOf(t, t.TempDir(), text)
			for run := range 2 {
				s := newSink()
				h := open(t, s, manual(dir))
				slog.New(h).Info("new")
				wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
				wantMessages(t, s.delivered(), "new")
				wantEqual(t, "Corrupt", h.Stats().Corrupt, uint64(1-run))
				closed(t, h)
			}
			kept, err := os.ReadFile(filepath.Join(dir, journalName+".unknown"))
			if err != nil || !bytes.Equal(kept, text) {
				t.Errorf("the file has %d bytes, %v", len(kept), err)
			}
			// Another one of the name does not overwrite it.
			spoolOf(t, dir, []byte("another\n"))
			closed(t, open(t, newSink(), manual(dir)))
			info, err := buffer.Inspect(dir)
			if err != nil || !slices.Equal(info.Unknown, []string{journalName + "-1.unknown", journalName + ".unknown"}) {
				t.Errorf("set aside are %q, %v", info.Unknown, err)
			}
		})
	}
}

func TestSpool_leavesFilesOfOthersAlone(t *testing.T) {
	dir := t.TempDir()
	names := []string{
		"README", "journal-x", "journal-", "journal-01", "batch-", "batch-UP", "journal-5.bak",
		"batch-" + strings.Repeat("a", 249), "journal-9223372036854775807",
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "journal-7"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := newSink()
	h := open(t, s, manual(dir))
	logN(h, 1)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	closed(t, h)
	for _, name := range names {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != name {
			t.Errorf("%s has become %q, %v", name, text, err)
		}
	}
}

func TestSpool_setsAsideAStateThatIsNotUnderstood(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := open(t, newSink(), manual(dir))
	logN(h, 1)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	wantEqual(t, "Corrupt", h.Stats().Corrupt, 1)
	if text, err := os.ReadFile(filepath.Join(dir, "state.json.unknown")); err != nil || string(text) != "{torn" {
		t.Errorf("the file has become %q, %v", text, err)
	}
}

// A spool of lines that are all damaged is told of, once.
func TestSpool_tellsOfNothingButDamage(t *testing.T) {
	text := sample(t)
	for i := 20; i < len(text); i += 30 {
		if text[i] != '\n' {
			text[i] ^= 1
		}
	}
	dir := spoolOf(t, t.TempDir(), text)
	s := newSink()
	h := open(t, s, manual(dir))
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Empty)
	o := h.Deliver(t.Context())
	wantOutcome(t, o, buffer.Sent)
	wantEqual(t, "Records", o.Records, 0)
	wantEqual(t, "Corrupt", o.Corrupt, 4)
	wantEqual(t, "Dropped", s.tried()[0].Dropped, 4)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
}

// FuzzOpen opens whatever stands in a journal.
func FuzzOpen(f *testing.F) {
	text := sample(f)
	f.Add(text)
	f.Add(text[:40])
	f.Add([]byte("slogspool/1\n\n\n00000000 {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newSink()
		h := open(t, s, unsynced(spoolOf(t, t.TempDir(), text)))
		held := h.Stats().Held
		slog.New(h).Info("later")
		wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
		if got := s.delivered(); uint64(len(got)) != held+1 || got[len(got)-1] != "later" {
			t.Errorf("held %d and delivered %q", held, got)
		}
		wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
		wantBalance(t, h)
	})
}
