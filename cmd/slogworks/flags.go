package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// errHelp is returned after help was asked for and printed.
var errHelp = errors.New("help")

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
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
	best, nearest := math.MaxInt, ""
	for _, k := range known {
		d := distance(name, k)
		if d <= max(len(name), len(k))/3 && d < best {
			best, nearest = d, k
		}
	}
	switch {
	case nearest != "":
		return fmt.Sprintf(" (did you mean %s?)", nearest)
	case len(known) > 0:
		return fmt.Sprintf(" (there is %s)", strings.Join(known, ", "))
	}
	return ""
}

// distance counts the letters to add, drop or change, and the neighbours to
// swap, that make b of a: the optimal string alignment distance.
func distance(a, b string) int {
	above, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			row[j+1] = min(changed, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above[j-1]+1)
			}
		}
		above, last = last, row
	}
	return last[len(b)]
}

// parseDuration reads what time.ParseDuration does, and days before it: 7d,
// 1d12h. It refuses what is not more than 0.
func parseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	notOne := errors.New("not a duration such as 10s, 1h30m or 7d")

	var total time.Duration
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // 179 years, far from overflow
		if err != nil {
			return 0, notOne
		}
		total, text = time.Duration(n)*day, cmp.Or(rest, "0s")
	}
	rest, err := time.ParseDuration(text)
	if err != nil {
		return 0, notOne
	}
	if total += rest; total <= 0 {
		return 0, errors.New("not more than 0")
	}
	return total, nil
}

// checkLoopback accepts HOST:PORT where only this machine can reach it.
func checkLoopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("not HOST:PORT, such as 127.0.0.1:0")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	if strings.EqualFold(host, "localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("host %q is not this machine alone; use 127.0.0.1, [::1] or localhost", host)
	}
	return nil
}
