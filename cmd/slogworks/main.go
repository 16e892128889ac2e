// Slogworks is the program that goes with the handlers of this module: it shows
// them at work. Run "slogworks -h" for its commands.
//
// Results go to stdout and everything else to stderr. The exit status is 0 when
// all is done, also after an interrupt; 1 if the command could not start or go
// on; 2 for a mistake on the command line; 3 if it ended in order but lost
// records that it had accepted; and 130 after another interrupt, a second or
// more after the first, which ends the program at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	exitDone = iota
	exitFailed
	exitUsage
	exitLost

	exitInterrupted = 130
)

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Stdout, os.Stderr))
}

// sameWish is for how long after the first signal others mean the same: timeout
// of coreutils, for one, signals the program and then its group.
var sameWish = time.Second

// interruptible returns a context that the first SIGINT or SIGTERM cancels. One
// that comes later ends the program, whatever it is still busy with.
func interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(fmt.Errorf("received %v", <-signals))
		for first := time.Now(); ; {
			<-signals
			if time.Since(first) >= sameWish {
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx
}

// outlive keeps signals from ending the program, with all that it has accepted
// and not yet written, until release is called. A write to a pipe that nobody
// reads is an error then, also on stdout and stderr.
func outlive(signals ...os.Signal) (release func()) {
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, signals...)
	return func() { signal.Stop(ignored) }
}

// endAtHangup returns a context that SIGHUP ends too, which the program gets when
// its terminal is closed, unless it was started to ignore that, as by nohup.
func endAtHangup(ctx context.Context) (hungUp context.Context, release func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// command is one thing the program does. A command ends in order when ctx does.
type command struct {
	name  string
	about string
	run   func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func commands() []command {
	return []command{
		{"config", "check documents, print their schema", configCommand},
		{"demo", "run a small service and watch its records", demo},
		{"live", "show the log of many processes in the browser", runLive},
		{"mail", "look into the spool of a mail buffer, or empty it", mailCommand},
		{"pipe", "put lines through the pipeline of a document", runPipe},
		{"receive", "write records from the network to a file, or through a document", receive},
		{"version", "print the version", version},
	}
}

// run does what args say and returns the exit status. stdout and stderr must be
// safe for concurrent use, as files are.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, err := dispatch(ctx, args, stdout, stderr)
	var usage *usageError
	var lost *lostError
	var told *toldError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitDone
	case errors.As(err, &told):
		return told.exit
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v; see %s%s -h\n", name, err, name, usage.part)
		return exitUsage
	case errors.As(err, &lost):
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return exitLost
	}
	tellLines(stderr, name, err)
	return exitFailed
}

// tellLines writes an error that may have several lines.
func tellLines(stderr io.Writer, name string, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(strings.TrimSuffix(line, "\n")))
	}
}

// toldError ends a command that has said on stderr why.
type toldError struct{ exit int }

func (e *toldError) Error() string { return "see above" }

// dispatch runs the command that args name, and says who is to be blamed for
// the error: the program or one of its commands.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) (name string, err error) {
	const program = "slogworks"
	known := commands()
	names := make([]string, len(known))
	help := "Usage: slogworks COMMAND [flags]\n\nCommands:\n"
	for i, c := range known {
		names[i] = c.name
		help += fmt.Sprintf("  %-10s%s\n", c.name, c.about)
	}
	help += "\nslogworks COMMAND -h, or slogworks help COMMAND, tells more about one. Flags take\none dash or two.\n"

	flags := newFlags(help)
	if err := flags.parse(args, stdout); err != nil {
		return program, err
	}
	if flags.NArg() == 0 {
		return program, usagef("no command%s", hint("", names))
	}
	if flags.Arg(0) == "help" {
		words := slices.DeleteFunc(slices.Clone(flags.Args()[1:]), func(word string) bool {
			return strings.HasPrefix(word, "-") // behind -- the last one would be no flag
		})
		return dispatch(ctx, append(words, "-h"), stdout, stderr)
	}
	for _, c := range known {
		if c.name == flags.Arg(0) {
			return program + " " + c.name, c.run(ctx, flags.Args()[1:], stdout, stderr)
		}
	}
	return program, usagef("unknown command %q%s", flags.Arg(0), hint(flags.Arg(0), names))
}

// fatalError says why a command cannot go on.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// fatalErrorIn returns the fatalError that has ended ctx, or nil.
func fatalErrorIn(ctx context.Context) error {
	var failed *fatalError
	if errors.As(context.Cause(ctx), &failed) {
		return failed
	}
	return nil
}

// lostError says that a command ended in order and records were lost.
type lostError struct{ records uint64 }

func (e *lostError) Error() string {
	if e.records == 1 {
		return "1 record was lost"
	}
	return fmt.Sprintf("%d records were lost", e.records)
}
