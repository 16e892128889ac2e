package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
)

// maxComplaints is how many lines about errors are written in a second.
const maxComplaints = 10

// complaints writes errors, each on a line and not too many of them: who sends
// nonsense must not fill the disk of the one who refuses it.
type complaints struct {
	w    io.Writer
	name string

	mu      sync.Mutex
	written int // in this second
	more    int // that were not
	timer   *time.Timer
	stopped bool
}

func newComplaints(w io.Writer, name string) *complaints { return &complaints{w: w, name: name} }

// tell writes err, or counts it.
func (c *complaints) tell(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Second, c.endSecond)
	}
	if c.written >= maxComplaints {
		c.more++
		return
	}
	c.written++
	text := inOneLine(err.Error())
	var refusal intake.Refused
	if errors.As(err, &refusal) {
		peer, reason, detail := refusal.Refused()
		if peer != "" {
			peer += " "
		}
		if detail != "" {
			detail = ": " + detail
		}
		text = "refused " + peer + reason + detail
	}
	fmt.Fprintf(c.w, "%s: %s\n", c.name, oneLine(text))
}

// tellOrEnd returns tell for the errors of a command that writes records to
// stdout. When nobody reads that any more, fail is called with a fatalError.
func (c *complaints) tellOrEnd(fail func(error)) func(error) {
	return func(err error) {
		c.tell(err)
		var failed *fs.PathError
		if errors.As(err, &failed) && failed.Path == os.Stdout.Name() && errors.Is(failed, syscall.EPIPE) {
			fail(&fatalError{errors.New("nobody reads stdout any more")})
		}
	}
}

func (c *complaints) endSecond() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tellMore()
	c.timer = nil
}

// tellMore says how many were not written. The lock is held.
func (c *complaints) tellMore() {
	if c.more > 0 {
		fmt.Fprintf(c.w, "%s: and %d more\n", c.name, c.more)
	}
	c.written, c.more = 0, 0
}

// stop says what there is still to be said. Later complaints are ignored.
func (c *complaints) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.tellMore()
}

// inOneLine makes one line of a text that has several on purpose.
func inOneLine(text string) string { return oneLine(strings.ReplaceAll(text, "\n", "; ")) }

// oneLine keeps a text, which may quote what somebody sent, on its line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
