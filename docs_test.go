package slogworks_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest is how documents name the test that holds a promise: the directory
// of its package, a blank, and its name, in a code span.
var namedTest = regexp.MustCompile("`([a-z0-9/.-]+) (Test[A-Za-z0-9_]+)`")

func TestDocs_nameTestsThatAreThere(t *testing.T) {
	for _, document := range []string{"SECURITY.md", "docs/what-is-lost.md"} {
		content, err := os.ReadFile(filepath.FromSlash(document))
		if err != nil {
			t.Error(err)
			continue
		}
		named := namedTest.FindAllStringSubmatch(string(content), -1)
		if len(named) == 0 {
			t.Errorf("%s names no test", document)
		}
		for _, name := range named {
			if !hasTest(t, name[1], name[2]) {
				t.Errorf("%s names %s in %s, which is not there", document, name[2], name[1])
			}
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}

// A link to a file of this repository, as [text](path) without a scheme.
var localLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestDocs_linkToWhatIsThere(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "README.md", "SECURITY.md", "CONTRIBUTING.md", "bench/README.md") {
		content, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, link := range localLink.FindAllStringSubmatch(string(content), -1) {
			path := filepath.Join(filepath.Dir(document), filepath.FromSlash(link[1]))
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", document, link[1], err)
			}
		}
	}
}
