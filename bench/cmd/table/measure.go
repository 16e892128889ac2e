package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// measurement is what all rounds measured, and where.
type measurement struct {
	rounds   []round
	machine  string            // CPU, cores, system, Go, date
	versions map[string]string // of the peers, by path
	skipped  map[string]string // why, by the benchmark's name
}

// round is what one run measured: by the benchmark's name, then by unit as go
// test prints it.
type round map[string]map[string]float64

// measure compiles the benchmarks in the working directory and runs those of
// the tables. It reports its progress to stderr.
func measure(ctx context.Context, tables []table, o options, stderr io.Writer) (m measurement, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	binary, err := compile(ctx, dir)
	if err != nil {
		return m, err
	}
	if m.versions, err = versions(ctx, tables); err != nil {
		return m, err
	}

	cpu := ""
	m.skipped = map[string]string{}
	for i := range o.count {
		fmt.Fprintf(stderr, "round %d of %d\n", i+1, o.count)
		text, err := runRound(ctx, binary, pattern(tables), o.benchtime)
		if err != nil {
			return m, err
		}
		var r round
		if r, cpu, err = parse(text); err != nil {
			return m, err
		}
		maps.Copy(m.skipped, skips(text))
		m.rounds = append(m.rounds, r)
	}
	if cpu == "" {
		cpu = "unknown CPU"
	}
	m.machine = fmt.Sprintf("%s, %d cores, %s/%s, %s, %s", cpu, runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version(), time.Now().Format(time.DateOnly))
	return m, nil
}

// compile returns the path of the benchmarks' binary, in dir.
func compile(ctx context.Context, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "bench.test")
	_, err = output(exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "."))
	return binary, err
}

// versions returns the versions of the tables' peers by their paths.
func versions(ctx context.Context, tables []table) (map[string]string, error) {
	versions := map[string]string{}
	for _, t := range tables {
		for _, path := range t.peers {
			text, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", path))
			if err != nil {
				return nil, err
			}
			versions[path] = string(bytes.TrimSpace(text))
		}
	}
	return versions, nil
}

// runRound runs each benchmark once. It is a process of its own because where
// things happen to lie in memory, which can be felt, differs between processes
// and should be averaged like all else. Without -test.v nobody would learn what
// was skipped.
func runRound(ctx context.Context, binary, pattern, benchtime string) (text []byte, err error) {
	return output(exec.CommandContext(ctx, binary,
		"-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchtime, "-test.benchmem", "-test.v"))
}

var skip = regexp.MustCompile(`(?m)(?:^ +\S+:\d+: (?:skipped: )?(.+)\n)?^--- SKIP: Benchmark(\S+)`)

// skips returns which benchmarks were skipped, and why.
func skips(text []byte) map[string]string {
	why := map[string]string{}
	for _, match := range skip.FindAllSubmatch(text, -1) {
		why[string(match[2])] = string(match[1])
	}
	return why
}

// measured returns the tables of which no benchmark was skipped, and tells of the
// others.
func (m measurement) measured(tables []table, stderr io.Writer) (complete []table) {
	for _, t := range tables {
		rows := t.rows()
		i := slices.IndexFunc(rows, func(r row) bool { _, ok := m.skipped[r.bench]; return ok })
		if i < 0 {
			complete = append(complete, t)
			continue
		}
		fmt.Fprintf(stderr, "table %s is left as it is: benchmark %s was skipped: %s\n", t.name, rows[i].bench, m.skipped[rows[i].bench])
	}
	return complete
}

// output returns what the command prints to its standard output. If it fails,
// the error has all that it printed.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", filepath.Base(cmd.Path), err, &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}

// pattern selects the benchmark functions that the tables need. It selects no
// part of one, so that -only measures each row between the same neighbours.
func pattern(tables []table) string {
	var functions []string
	for _, t := range tables {
		for _, r := range t.rows() {
			function, _, _ := strings.Cut(r.bench, "/")
			functions = append(functions, function)
		}
	}
	slices.Sort(functions)
	return "^Benchmark(" + strings.Join(slices.Compact(functions), "|") + ")$"
}

// parse reads what a run of benchmarks printed. It returns what was measured
// and the CPU's name, if that is known.
func parse(text []byte) (r round, cpu string, err error) {
	r = round{}
	reader := benchfmt.NewReader(bytes.NewReader(text), "benchmarks")
	for reader.Scan() {
		switch result := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, "", result
		case *benchfmt.Result:
			cpu = result.GetConfig("cpu")
			name := benchmarkName(result.Name)
			if r[name] != nil {
				return nil, "", fmt.Errorf("benchmark %s ran twice in a round", name)
			}
			r[name] = map[string]float64{}
			for _, v := range result.Values {
				if v.OrigUnit != "" {
					v.Value, v.Unit = v.OrigValue, v.OrigUnit
				}
				r[name][v.Unit] = v.Value
			}
		}
	}
	return r, cpu, reader.Err()
}

// benchmarkName is the name without the number of processors.
func benchmarkName(n benchfmt.Name) string {
	base, parts := n.Parts()
	if last := len(parts) - 1; last >= 0 && parts[last][0] == '-' {
		parts = parts[:last]
	}
	return string(base) + string(bytes.Join(parts, nil))
}
