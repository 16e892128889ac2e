package slogworks_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const maxReadmeLines = 200

// readmeBlock is a fenced block of README.md.
type readmeBlock struct {
	line     int // of its first fence, from 1
	language string
	example  string // the file that has the same code
	lines    []string
}

// exampleComment may stand before a block whose code is the example of a
// package: <!-- fanout/example_test.go -->. Other blocks are of the root.
var exampleComment = regexp.MustCompile(`^<!--\s*(\S*example\S*_test\.go)\s*-->$`)

func readReadme(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

func readmeBlocks(t *testing.T, lines []string) []readmeBlock {
	t.Helper()
	var blocks []readmeBlock
	var open *readmeBlock
	example := "example_test.go"
	for i, line := range lines {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &readmeBlock{line: i + 1, language: language, example: example}
		case fence:
			blocks = append(blocks, *open)
			open, example = nil, "example_test.go"
		case open != nil:
			open.lines = append(open.lines, line)
		default:
			if m := exampleComment.FindStringSubmatch(line); m != nil {
				example = m[1]
			}
		}
	}
	if open != nil {
		t.Errorf("README.md:%d: the block has no end", open.line)
	}
	return blocks
}

func TestReadme_isShort(t *testing.T) {
	lines := readReadme(t)
	if len(lines) > maxReadmeLines {
		t.Errorf("README.md has %d lines; at most %d are read", len(lines), maxReadmeLines)
	}
	blocks := readmeBlocks(t, lines)
	if len(blocks) == 0 || blocks[0].line > 30 {
		t.Error("README.md has no code block that starts in the first 30 lines")
	}
}

func TestReadme_startsWithTheDemoAndTheTests(t *testing.T) {
	want := []string{"go run ./cmd/slogworks demo", "go test ./..."}
	var commands []string
	for _, block := range readmeBlocks(t, readReadme(t)) {
		commands = append(commands, block.commands()...)
	}
	if got := commands[:min(len(commands), len(want))]; !slices.Equal(got, want) {
		t.Errorf("the first commands in README.md are %q; want %q", got, want)
	}
}

// commands returns the commands in a block, without comments: each line of sh,
// and in console, which has output too, those after a prompt.
func (b readmeBlock) commands() []string {
	if b.language != "sh" && b.language != "console" {
		return nil
	}
	var commands []string
	for _, line := range b.lines {
		if b.language == "console" {
			command, prompt := strings.CutPrefix(line, "$ ")
			if !prompt {
				continue
			}
			line = command
		}
		if command, _, _ := strings.Cut(" "+line, " #"); strings.TrimSpace(command) != "" {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

func TestReadme_codeIsThatOfExamples(t *testing.T) {
	for _, block := range readmeBlocks(t, readReadme(t)) {
		if block.language != "go" {
			continue
		}
		content, err := os.ReadFile(filepath.FromSlash(block.example))
		if err != nil {
			t.Errorf("README.md:%d: the code has no example: %v", block.line, err)
			continue
		}
		if n := findIndented(strings.Split(string(content), "\n"), block.lines); n < len(block.lines) {
			t.Errorf("README.md:%d: the code is not in %s, where this line is another or missing:\n%s",
				block.line+1+n, block.example, block.lines[n])
		}
	}
}

// findIndented returns how many lines of block stand in lines, one after the
// other from the first on, where the block may be indented as a whole.
func findIndented(lines, block []string) (most int) {
	if len(block) == 0 {
		return 0
	}
	for start := range lines {
		indent, ok := strings.CutSuffix(lines[start], block[0])
		if !ok || strings.TrimSpace(indent) != "" {
			continue
		}
		n := 0
		for n < len(block) && start+n < len(lines) && sameLine(lines[start+n], indent, block[n]) {
			n++
		}
		most = max(most, n)
	}
	return most
}

func sameLine(line, indent, want string) bool {
	if want == "" {
		return strings.TrimSpace(line) == ""
	}
	return line == indent+want
}

// packageCell is the first cell of a row of a table that begins with a package:
// | `sinks/console` | or | [sinks/console](sinks/console) |.
var packageCell = regexp.MustCompile("^\\|\\s*\\[?`?([a-z][a-z0-9/]*)`?\\]?[^|]*\\|")

func TestReadme_hasARowForEachPackage(t *testing.T) {
	rows := map[string]int{}
	inTable := false
	for i, line := range readReadme(t) {
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case regexp.MustCompile(`(?i)^\|\s*package\s*\|`).MatchString(line):
			inTable = true
		case inTable:
			if m := packageCell.FindStringSubmatch(line); m != nil {
				rows[m[1]] = i + 1
			}
		}
	}
	if len(rows) == 0 {
		t.Fatal("README.md has no table whose first column is called Package")
	}
	for _, name := range publicPackages(t) {
		if name == "" {
			name = "slogworks"
		}
		if rows[name] == 0 {
			t.Errorf("README.md: the table of packages has no row that begins with | `%s` |", name)
		}
		delete(rows, name)
	}
	for name, line := range rows { // what is left
		t.Errorf("README.md:%d: there is no public package %s", line, name)
	}
}

func TestFindIndented(t *testing.T) {
	file := strings.Split("func Example() {\n\ta := 1\n\tif a > 0 {\n\n\t\tb()\n\t}\n}", "\n")
	tests := []struct {
		block string
		want  int
	}{
		{"a := 1\nif a > 0 {\n\n\tb()\n}", 5},
		{"\ta := 1", 1},
		{"if a > 0 {", 1},
		{"a := 1\nif a > 1 {", 1},
		{"a := 1\n\nif a > 0 {", 1},
		{"if a > 0 {\n\n\tb()\n}\n}\nmore", 4},
		{"if a > 0 {\n\nb()", 2},
		{":= 1", 0},
		{"c()", 0},
	}
	for _, tt := range tests {
		if got := findIndented(file, strings.Split(tt.block, "\n")); got != tt.want {
			t.Errorf("findIndented finds %d lines of %q; want %d", got, tt.block, tt.want)
		}
	}
}

func TestReadmeBlock_commands(t *testing.T) {
	tests := []struct {
		language, text string
		want           []string
	}{
		{"sh", "go run . # see\n\n# not this\ngo test ./...", []string{"go run .", "go test ./..."}},
		{"console", "$ go run .\noutput\n$ ls", []string{"go run .", "ls"}},
		{"go", "a := 1", nil},
	}
	for _, tt := range tests {
		got := readmeBlock{language: tt.language, lines: strings.Split(tt.text, "\n")}.commands()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q; want %q", tt.language, got, tt.want)
		}
	}
}

// The package comment of the root has a list of the packages.
func TestPackageComment_namesEachPackage(t *testing.T) {
	comment, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range publicPackages(t) {
		if name != "" && !regexp.MustCompile(`[ ,;]`+regexp.QuoteMeta(name)+`[:,]`).Match(comment) {
			t.Errorf("doc.go does not say what %s is for", name)
		}
	}
}
