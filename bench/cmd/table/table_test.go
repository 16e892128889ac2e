package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// sources are a package with benchmarks that needs nothing else.
var sources = map[string]string{
	"go.mod": "module example.com/quick\n\ngo 1.26\n",
	"quick_test.go": `package quick

import "testing"

func BenchmarkOne(b *testing.B) { for b.Loop() {} }
func BenchmarkTwo(b *testing.B) { for b.Loop() {} }
`,
	"README.md": "# Benchmarks\n\n" + section("one", "old one") + "\n" + section("two", "old two") + "\nThe end.\n",
}

func inQuickModule(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range sources {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	declared := tables
	t.Cleanup(func() { tables = declared })
	tables = []table{
		{name: "one", intro: "The first.", parts: []part{{rows: []row{{name: "one", bench: "One"}}}}},
		{name: "two", intro: "The second.", parts: []part{{rows: []row{{name: "two", bench: "Two"}}}}},
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRun_replacesTheTables(t *testing.T) {
	inQuickModule(t)
	if err := run(t.Context(), []string{"-count", "6", "-benchtime", "1x"}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	text := readme(t)
	for _, want := range []string{"# Benchmarks\n", "\n| one | ", "\n| two | ", " 6 rounds of 1x a benchmark.", "\nThe end.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("README.md has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") {
		t.Errorf("README.md still has an old table:\n%s", text)
	}
}

func TestRun_replacesOneTableOnly(t *testing.T) {
	inQuickModule(t)
	if err := run(t.Context(), []string{"-only", "two", "-count", "6", "-benchtime", "1x"}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	text := readme(t)
	if !strings.Contains(text, section("one", "old one")) {
		t.Errorf("table one changed:\n%s", text)
	}
	if !strings.Contains(text, "\n| two | ") || strings.Contains(text, "old two") {
		t.Errorf("table two did not change:\n%s", text)
	}
}

func TestRun_printsAndWritesNothingWhenQuick(t *testing.T) {
	inQuickModule(t)
	var stdout strings.Builder
	if err := run(t.Context(), []string{"-quick", "-benchtime", "1x"}, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	if text := readme(t); text != sources["README.md"] {
		t.Errorf("README.md changed:\n%s", text)
	}
	for _, want := range []string{"\n| one | ", "\n| two | ", " 1 round of 1x ", "\t" + "go -C bench run ./cmd/table -only two -quick -benchtime 1x\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout has no %q:\n%s", want, stdout.String())
		}
	}
}

func TestRun_leavesTheReadmeAloneWhenABenchmarkFails(t *testing.T) {
	inQuickModule(t)
	failing := "package quick\n\nimport \"testing\"\n\nfunc BenchmarkOne(b *testing.B) { b.Fatal(\"no luck\") }\n"
	if err := os.WriteFile("quick_test.go", []byte(failing), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-count", "6", "-benchtime", "1x"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("error %v, want one with what the benchmark said", err)
	}
	if text := readme(t); text != sources["README.md"] {
		t.Errorf("README.md changed:\n%s", text)
	}
}

// What a benchmark needs may not be there.
func TestRun_leavesATableAloneWhenABenchmarkIsSkipped(t *testing.T) {
	inQuickModule(t)
	skipping := strings.Replace(sources["quick_test.go"], "BenchmarkOne(b *testing.B) { ", "BenchmarkOne(b *testing.B) { b.Skip(\"skipped: no server\"); ", 1)
	if err := os.WriteFile("quick_test.go", []byte(skipping), 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	if err := run(t.Context(), []string{"-count", "6", "-benchtime", "1x"}, io.Discard, &stderr); err != nil {
		t.Fatal(err)
	}
	if want := "table one is left as it is: benchmark One was skipped: no server\n"; !strings.Contains(stderr.String(), want) {
		t.Errorf("stderr has no %q:\n%s", want, stderr.String())
	}
	if text := readme(t); !strings.Contains(text, section("one", "old one")) || !strings.Contains(text, "\n| two | ") {
		t.Errorf("README.md:\n%s", text)
	}
}

func TestRun_needsTheReadme(t *testing.T) {
	t.Chdir(t.TempDir())
	err := run(t.Context(), []string{"-quick"}, io.Discard, io.Discard)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "go -C bench") {
		t.Errorf("error %v, want one that says where to run it", err)
	}
}

func TestRun_refuses(t *testing.T) {
	for _, test := range []struct{ name, args, want string }{
		{"too few rounds", "-count 5", "use -count 6 or more, or -quick"},
		{"an unknown table", "-only nothing", `no table "nothing": there are pipeline, ` + strings.Join(names(tables)[1:], ", ")},
		{"an argument", "fanout", `unexpected argument "fanout"`},
		{"an unknown flag", "-fast", "flag provided but not defined: -fast"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := run(t.Context(), strings.Fields(test.args), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h gives %v", err)
	}
}

func TestOptions_commandMeasuresTheSameAgain(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "go -C bench run ./cmd/table -only fanout"},
		{"-only fanout", "go -C bench run ./cmd/table -only fanout"},
		{"-count 20 -benchtime 1s", "go -C bench run ./cmd/table -only fanout -count 20 -benchtime 1s"},
	} {
		o, err := parseFlags(strings.Fields(test.args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.command("fanout"); got != test.want {
			t.Errorf("%s: %q, want %q", test.args, got, test.want)
		}
	}
}

func TestDeclare_putsTheWholeFirstAndTheRestInOrder(t *testing.T) {
	declared := tables
	t.Cleanup(func() { tables = declared })
	tables = nil
	for _, d := range []table{{name: "queue"}, {name: "all", overall: true}, {name: "fanout"}} {
		declare(d)
	}
	if got, want := names(tables), []string{"all", "fanout", "queue"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The tables and the benchmarks are two lists of the same: a row without a
// benchmark could not be measured, and a benchmark without a row is a figure
// that nobody sees.
func TestTables_haveARowForEachBenchmark(t *testing.T) {
	dir := t.TempDir()
	t.Chdir("../..")
	binary, err := compile(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := runRound(t.Context(), binary, ".", "1x")
	if err != nil {
		t.Fatal(err)
	}
	benchmarks, _, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	m := measurement{rounds: []round{benchmarks}, skipped: skips(text)}
	shown := map[string]bool{}
	for i, table := range tables {
		for _, p := range table.parts {
			here := map[string]bool{} // another part may show other figures of it
			for _, r := range p.rows {
				if _, isSkipped := m.skipped[r.bench]; benchmarks[r.bench] == nil && !isSkipped {
					t.Errorf("table %s, row %q: there is no benchmark %s", table.name, r.name, r.bench)
				}
				if here[r.bench] {
					t.Errorf("table %s, row %q: benchmark %s has a row already", table.name, r.name, r.bench)
				}
				here[r.bench], shown[r.bench] = true, true
				if r.against != "" && p.rowOf(r.against).bench == "" {
					t.Errorf("table %s, row %q: no row to compare with has the benchmark %s", table.name, r.name, r.against)
				}
				if r.name == "" {
					t.Errorf("table %s: the row of %s has no name", table.name, r.bench)
				}
			}
		}
		if len(m.measured(tables[i:i+1], t.Output())) == 0 {
			continue
		}
		// It fails if a column or a bar has no figures.
		if _, err := table.render(m, defaults); err != nil {
			t.Error(err)
		}
		for _, p := range table.parts {
			if p.chart == nil {
				continue
			}
			if _, err := p.chart.draw(m); err != nil {
				t.Error(err)
			}
		}
	}
	for name := range benchmarks {
		if !shown[name] {
			t.Errorf("no table has a row for benchmark %s", name)
		}
	}
}

func TestTables_nameModulesThatAreRequired(t *testing.T) {
	t.Chdir("../..")
	versions, err := versions(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for path, version := range versions {
		if version == "" {
			t.Errorf("%s has no version", path)
		}
	}
}
