package notify

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/slogworks/slogworks/internal/outbound"
)

// maxOutput is how much of what a program prints is kept for its error.
const maxOutput = 4 << 10

// tail keeps the end of what is written to it.
type tail struct {
	kept    []byte
	written int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-maxOutput):]...)
	if over := len(t.kept) - maxOutput; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.written += len(p)
	return len(p), nil
}

// text returns what was kept, without the secrets.
func (t *tail) text(secrets outbound.Secrets) string {
	kept := string(t.kept)
	if t.written > len(t.kept) {
		kept = kept[restOfSecret(kept, secrets):]
	}
	return secrets.Hide(strings.TrimSpace(clean(kept)))
}

// restOfSecret returns how many bytes at the beginning of text, from which
// something was cut, may be the rest of a secret.
func restOfSecret(text string, secrets []string) (n int) {
	for _, secret := range secrets {
		for i := 1; i < len(secret)-n; i++ {
			if strings.HasPrefix(text, secret[i:]) {
				n = len(secret) - i
			}
		}
	}
	return n
}

// ExitError says how a program ended that did not do its work. It has neither
// the arguments nor the environment, which may be secret.
type ExitError struct {
	Path     string // of the program, absolute
	Code     int    // exit status, -1 if it was killed
	Signal   string // the signal that killed it, "" if none did
	TimedOut bool   // it had taken longer than Timeout
	Output   string // the last 4 KiB of what it printed, without the values of Env
	Err      error  // context.DeadlineExceeded, the cause of the context's end, or an *exec.ExitError
}

// Error gives the program's name, what became of it, and the first 300 bytes of
// Output in one line.
func (e *ExitError) Error() string {
	text := "notify: command " + filepath.Base(e.Path) + ": " + e.Err.Error()
	if e.Output != "" {
		text += ": " + cut(oneLine(e.Output), 300)
	}
	return text
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

func (p *plan) exitError(ctx context.Context, cmd *exec.Cmd, output *tail, err error) error {
	e := &ExitError{Path: p.path, Code: cmd.ProcessState.ExitCode(), Signal: signalOf(cmd.ProcessState), Output: output.text(p.secrets), Err: err}
	if ctx.Err() != nil {
		// The program's end is the consequence and not the cause.
		e.Err = context.Cause(ctx)
		e.TimedOut = e.Err == errTimeout
	}
	return e
}
