package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// Command is a [Sender] that runs a program for each message. It never starts a
// shell: the program gets the arguments as they are.
//
// In Args, Stdin and the values of Env these placeholders stand for parts of the
// message; {{ and }} are literal braces:
//
//	{title} {body} {json}   texts; {json} is a JSON object with all of the message,
//	                        too long for an argument
//	{level} {count} {time}  ERROR, how many records, RFC 3339 with seconds
//	{urgency}               low, normal (from Info on) or critical (from Error on)
//	{attr:key}              an attribute of the record that matters most, "" if
//	                        there is none; {attr:group.key} is one in a group
//
// What they stand for is text that strangers may have typed. It is inserted in
// a single pass, so that a placeholder in it is none. Invalid UTF-8 and control
// characters except line feed and tab become U+FFFD, and in an argument or in the
// environment it is cut at MaxArg bytes. [Command.Check] refuses templates in
// which it could become an option or a script. What a program does with text
// that is an argument of its own is the program's affair: curl reads the file
// that a -d @file names, and many a program understands markup; see Escape.
// Arguments are seen by all who can list processes: secrets belong in Env.
//
// The program has Timeout to end. It runs in a process group of its own, and
// when it has ended, or is ended, whatever is left of the group is killed, so
// that no process stays behind unless it left the group. On Windows only the
// program itself is killed.
//
// A Command that was checked or has sent must not be changed. It is safe for
// concurrent use. Its errors are of type [*ExitError] if the program was started.
type Command struct {
	// Path is the program. Without a slash it is looked for in PATH, once. A
	// program that PATH finds in the current directory is refused.
	Path string

	// Args are the arguments, without the program's name.
	Args []string

	// ArgsFunc makes the arguments instead of Args. What it returns is cleaned
	// and cut as placeholders are, and nothing keeps it from being taken for an
	// option: put "--" before what comes from a record.
	ArgsFunc func(m *Message) []string

	// Stdin is what the program reads; it need not. Its length has no limit.
	Stdin string

	// Env are further variables, as "KEY=value". What stands here is taken for
	// secret: where the program's output has a word of it or a part of a URL, of
	// eight bytes or more, an error has *** instead.
	Env []string

	// CleanEnv starts the program with Env only instead of adding it to the
	// environment of this process.
	CleanEnv bool

	// Dir is the working directory. Default: that of this process.
	Dir string

	// Timeout is how long the program may take. Default 10s; below 0: as long
	// as the context of Send allows.
	Timeout time.Duration

	// Grace is how long it may take to end after SIGTERM, until SIGKILL, and
	// how long its output is waited for when it has ended and somebody else
	// still holds it. Default 1s; below 0: 10ms.
	Grace time.Duration

	// MaxArg is how many bytes a placeholder can become in an argument or in the
	// environment. Default 8 KiB; Linux starts no program with one of 128 KiB.
	MaxArg int

	// Escape, if set, is called for each placeholder with its name as it stands
	// between the braces and with what it stands for, and returns what to insert
	// instead: the place to neutralise markup. It runs after cleaning, and with
	// less of the value if the result is longer than MaxArg.
	Escape func(name, value string) string

	// AllowDash turns off what Check says about options.
	AllowDash bool

	checked atomic.Pointer[plan]
}

// errTimeout is the cause of a context that ended after Command.Timeout.
var errTimeout = fmt.Errorf("command timed out: %w", context.DeadlineExceeded)

// Send runs the program and waits for its end. Without an earlier [Command.Check]
// it makes up for that. A program that is started and exits with a status other
// than 0, is killed, or takes too long is an [*ExitError].
func (c *Command) Send(ctx context.Context, m *Message) error {
	p, err := c.plan()
	if err != nil {
		return err
	}
	if c.Timeout >= 0 {
		timeout := c.Timeout
		if timeout == 0 {
			timeout = 10 * time.Second
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, p.path)
	if err := c.fill(cmd, p, m); err != nil {
		return fmt.Errorf("notify: command %s: %w", filepath.Base(p.path), err)
	}
	cmd.Dir = c.Dir
	switch {
	case c.Grace > 0:
		cmd.WaitDelay = c.Grace
	case c.Grace == 0:
		cmd.WaitDelay = time.Second
	default:
		cmd.WaitDelay = 10 * time.Millisecond // 0 would be for ever
	}
	var output tail
	cmd.Stdout, cmd.Stderr = &output, &output
	isolate(cmd)
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("notify: command %s: %w", filepath.Base(p.path), err)
	}
	err = cmd.Wait()
	killLeftovers(cmd)
	// ErrWaitDelay is what Wait returns for a program that ended well before ctx
	// did, and left behind a process that holds its output.
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return p.exitError(ctx, cmd, &output, err)
}

// fill sets arguments, environment and stdin.
func (c *Command) fill(cmd *exec.Cmd, p *plan, m *Message) (err error) {
	defer stage.Rescue(&err) // Escape and ArgsFunc are not ours
	limit := c.MaxArg
	if limit <= 0 {
		limit = 8 << 10
	}
	limited := func(name string) (string, error) {
		v, err := m.value(name)
		return c.escape(name, v, limit), err
	}
	if c.ArgsFunc != nil {
		for _, arg := range c.ArgsFunc(m) {
			cmd.Args = append(cmd.Args, cut(clean(arg), limit))
		}
	}
	for _, t := range p.args {
		arg, err := t.expand(limited)
		if err != nil {
			return err
		}
		cmd.Args = append(cmd.Args, arg)
	}
	if !c.CleanEnv {
		cmd.Env = os.Environ()
	}
	for _, t := range p.env {
		variable, err := t.expand(limited)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, variable)
	}
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be the environment of this process
	}
	if c.Stdin == "" {
		return nil
	}
	text, err := p.stdin.expand(func(name string) (string, error) {
		v, err := m.value(name)
		if c.Escape != nil {
			v = c.Escape(name, v)
		}
		return v, err
	})
	cmd.Stdin = strings.NewReader(text)
	return err
}

// escape returns the value escaped and in at most limit bytes.
func (c *Command) escape(name, value string, limit int) string {
	if c.Escape == nil {
		return cut(value, limit)
	}
	return cutEscaped(value, limit, func(s string) string { return c.Escape(name, s) })
}
