// Command table measures slogworks beside its peers and rebuilds the tables of
// bench/README.md. Run it on a machine that does nothing else:
//
//	go -C bench run ./cmd/table
//
// It compiles the benchmarks once and runs them in rounds, each of which runs
// every benchmark once, so that what changes on the machine meanwhile changes
// all of them alike. A comparison is made within each round; the table shows
// the median over the rounds with its 95 % confidence interval. Where there is
// a target, the table says whether it is met.
//
//	-only package     measure and replace one table, leave the others alone
//	-count rounds     10; at least 6, below which there is no interval
//	-benchtime time   how long a benchmark runs in each round, 100ms; as in go test
//	-quick            one round, printed instead of written to README.md
//
// Each file of tables declares what it shows and registers it with declare. A
// table may have charts, which are written with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// table is what README.md shows of a package.
type table struct {
	name    string   // the package's: the heading, and what -only takes
	overall bool     // not of one package but of all: stands before the others
	intro   string   // Markdown
	peers   []string // paths of the modules compared with, for their versions
	parts   []part
}

// part is a table with columns of its own, and perhaps a chart.
type part struct {
	intro string // Markdown; may be empty
	// units are what the benchmarks are measured in, the first of them being
	// what is compared: timeUnits if nil.
	units []string
	rows  []row
	chart *chart // nil: none
}

var timeUnits = []string{"ns/op", "B/op", "allocs/op"}

func (p part) columns() []string {
	if p.units == nil {
		return timeUnits
	}
	return p.units
}

// row is a benchmark in a table.
type row struct {
	name  string // Markdown
	bench string // the benchmark's, without "Benchmark"

	// against is the benchmark of the row that this one is compared with, if
	// any: by the ratio of their first figures, or by the difference in ns.
	against    string
	difference bool

	// atMost or atLeast is the target for the comparison, or for the first
	// figure of a row that is not compared. 0 is none.
	atMost, atLeast float64

	// limits are what other figures may be at most, by their units.
	limits map[string]float64
}

var tables []table

// declare is called from init functions, so that a table is in its file alone.
func declare(t table) {
	tables = append(tables, t)
	slices.SortFunc(tables, func(a, b table) int {
		if a.overall != b.overall {
			if a.overall {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
}

// rows returns those of all parts.
func (t table) rows() []row {
	var rows []row
	for _, p := range t.parts {
		rows = append(rows, p.rows...)
	}
	return rows
}

func names(tables []table) []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// options are the flags.
type options struct {
	only      string
	count     int
	benchtime string
	quick     bool
}

// command is what measures a table again.
func (o options) command(table string) string {
	command := "go -C bench run ./cmd/table -only " + table
	switch {
	case o.quick:
		command += " -quick"
	case o.count != defaults.count:
		command += fmt.Sprintf(" -count %d", o.count)
	}
	if o.benchtime != defaults.benchtime {
		command += " -benchtime " + o.benchtime
	}
	return command
}

var defaults = options{count: 10, benchtime: "100ms"}

// minCount is the number of rounds from which on the median of anything has an
// interval that holds it with 95 % confidence.
const minCount = 6

func main() {
	// So that an interrupt removes the temporary directory too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	selected := tables
	if o.only != "" {
		i := slices.Index(names(tables), o.only)
		if i < 0 {
			return fmt.Errorf("no table %q: there are %s", o.only, strings.Join(names(tables), ", "))
		}
		selected = tables[i : i+1]
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return fmt.Errorf("%w: run it in bench, as with go -C bench", err)
	}

	m, err := measure(ctx, selected, o, stderr)
	if err != nil {
		return err
	}
	selected = m.measured(selected, stderr)
	sections := map[string]string{}
	for _, t := range selected {
		sections[t.name], err = t.render(m, o)
		if err != nil {
			return err
		}
		if o.quick {
			fmt.Fprintln(stdout, sections[t.name])
		}
	}
	if o.quick {
		return nil
	}
	text, err := replaceSections(string(readme), names(tables), sections)
	if err != nil {
		return fmt.Errorf("README.md: %w", err)
	}
	return errors.Join(
		os.WriteFile("README.md", []byte(text), 0o644),
		writeCharts(selected, m))
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := defaults
	flags := flag.NewFlagSet("table", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", o.only, "measure and replace the table of this `package` alone")
	flags.IntVar(&o.count, "count", o.count, "number of `rounds`, at least 6")
	flags.StringVar(&o.benchtime, "benchtime", o.benchtime, "`time` that a benchmark runs in each round, as in go test")
	flags.BoolVar(&o.quick, "quick", o.quick, "run one round and print the tables instead of writing README.md")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.quick:
		o.count = 1
	case o.count < minCount:
		return o, fmt.Errorf("%d rounds are too few for a confidence interval: use -count %d or more, or -quick", o.count, minCount)
	}
	return o, nil
}
