package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/nearest"
	"github.com/slogworks/slogworks/internal/units"
)

// errHelp is returned after help was asked for and printed.
var errHelp = errors.New("help")

// usageError is a mistake on the command line.
type usageError struct {
	text string
	part string // " flush" if it is one of mail flush, whose help is another than that of mail
}

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// usageOf returns err with the part of a command that it is about.
func usageOf(part string, err error) error {
	var usage *usageError
	if errors.As(err, &usage) {
		usage.part = " " + part
	}
	return err
}

// flagSet is a flag.FlagSet that leaves printing to its caller, which knows
// where to, and that says what an unknown flag may have been meant to be.
type flagSet struct {
	*flag.FlagSet
	help string
}

func newFlags(help string) *flagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return &flagSet{fs, help}
}

// parse returns errHelp if args ask for help, which it prints to stdout, and
// otherwise a usageError if there is anything wrong with them.
func (f *flagSet) parse(args []string, stdout io.Writer) error {
	err := f.Parse(args)
	if err == nil {
		return nil
	}
	if errors.Is(err, flag.ErrHelp) {
		var b strings.Builder
		b.WriteString(f.help)
		f.SetOutput(&b)
		f.PrintDefaults()
		if _, err := io.WriteString(stdout, b.String()); err != nil {
			return err
		}
		return errHelp
	}
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var names []string
		f.VisitAll(func(known *flag.Flag) { names = append(names, "-"+known.Name) })
		return usagef("unknown flag -%s%s", name, hint("-"+name, names))
	}
	return usagef("%v", err)
}

// parseMixed is parse for a command whose flags may also stand behind arguments,
// which it returns. What follows -- is an argument, whatever it looks like.
func (f *flagSet) parseMixed(args []string, stdout io.Writer) (rest []string, err error) {
	for {
		if err := f.parse(args, stdout); err != nil {
			return nil, err
		}
		read := len(args) - f.NArg()
		if f.NArg() == 0 || read > 0 && args[read-1] == "--" {
			return append(rest, f.Args()...), nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// given returns which of the flags were given.
func (f *flagSet) given(names ...string) (given []string) {
	f.Visit(func(known *flag.Flag) {
		if slices.Contains(names, known.Name) {
			given = append(given, known.Name)
		}
	})
	return given
}

// noArgs returns a usageError if anything is left after the flags.
func (f *flagSet) noArgs() error {
	if f.NArg() > 0 {
		return usagef("unexpected argument %q", f.Arg(0))
	}
	return nil
}

// hint returns what to add to the complaint that name is unknown: the name that
// it may be a slip of, and if it is too far from all, what there is.
func hint(name string, known []string) string {
	if meant := nearest.Of(name, known); meant != "" {
		return fmt.Sprintf(" (did you mean %s?)", meant)
	}
	if len(known) > 0 {
		return fmt.Sprintf(" (there is %s)", strings.Join(known, ", "))
	}
	return ""
}

var errNotPositive = errors.New("not more than 0")

// countFlag is a flag that is a whole number, and no less than least.
func countFlag(flags *flagSet, to *int, least int, name, usage string) {
	flags.Func(name, usage, func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least {
			return fmt.Errorf("not a number from %d to %d", least, math.MaxInt)
		}
		*to = n
		return nil
	})
}

func sizeFlag(flags *flagSet, to *int64, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		if *to, err = units.Size(text); err == nil && *to == 0 {
			err = errNotPositive
		}
		return err
	})
}

var errEmpty = errors.New("empty")

// textFlag is a flag of which nothing is a mistake, such as a variable of the
// shell that is not set: --token-file "" is not to mean that no token is asked for.
func textFlag(flags *flagSet, to *string, name, usage string) {
	flags.Func(name, usage, func(text string) error {
		if text == "" {
			return errEmpty
		}
		*to = text
		return nil
	})
}

// listFlag is a textFlag that may be repeated.
func listFlag(flags *flagSet, to *[]string, name, usage string) {
	flags.Func(name, usage, func(text string) error {
		if text == "" {
			return errEmpty
		}
		*to = append(*to, text)
		return nil
	})
}

func durationFlag(flags *flagSet, to *time.Duration, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		if *to, err = units.Duration(text); err == nil && *to <= 0 {
			err = errNotPositive
		}
		return err
	})
}
