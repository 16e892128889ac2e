package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	for i := range o.count {
		fmt.Fprintf(stderr, "round %d of %d\n", i+1, o.count)
		var r round
		if r, cpu, err = runRound(ctx, binary, pattern(tables), o.benchtime); err != nil {
			return m, err
		}
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
// and should be averaged like all else.
func runRound(ctx context.Context, binary, pattern, benchtime string) (r round, cpu string, err error) {
	text, err := output(exec.CommandContext(ctx, binary,
		"-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchtime, "-test.benchmem"))
	if err != nil {
		return nil, "", err
	}
	return parse(text)
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
