package sharedfile

import (
	"os"
	"testing"
)

// DieWriting leaves behind what a process does that reserved room for line and
// was killed after it had written n bytes of it.
func (a *Appender) DieWriting(t *testing.T, line string, n int) {
	t.Helper()
	if _, err := a.reserve(len(line)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.file.WriteString(line[:n]); err != nil {
		t.Fatal(err)
	}
}

// Mapped reports whether a shares memory with other processes.
func (a *Appender) Mapped() bool { return a.ledger.memory != nil }

// Interrupted writes line as Append does, but calls f when it has its place and
// has not written. It reports whether line landed behind a fragment.
func (a *Appender) Interrupted(t *testing.T, line string, f func()) (glued bool) {
	t.Helper()
	r, err := a.reserve(len(line))
	if err != nil || !a.fits(r) {
		t.Fatalf("no place for %q: %v", line, err)
	}
	f()
	w := try{at: r}
	a.write([]byte(line), &w, false)
	if w.err != nil {
		t.Fatal(w.err)
	}
	return !w.quiet && a.glued(w.n)
}

// WithoutSpace calls f while no write of a can succeed.
func (a *Appender) WithoutSpace(t *testing.T, f func()) {
	t.Helper()
	readOnly, err := os.Open(a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	file := a.file
	a.file = readOnly
	defer func() { a.file = file }()
	f()
}
