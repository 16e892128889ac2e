package slogworks_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the files in api")

const updateCommand = "go test -run TestAPI -update ."

// TestAPI compares the public API, as go doc prints it, with the files in api,
// so that no change of it goes unnoticed. One Go release formats it differently
// from another.
func TestAPI(t *testing.T) {
	const release = "go1.26"
	if version := runtime.Version(); version != release && !strings.HasPrefix(version, release+".") {
		t.Skipf("the files in api are written by go doc of %s; this is %s", release, version)
	}
	want := map[string]string{}
	for _, name := range publicPackages(t) {
		path := module
		if name != "" {
			path += "/" + name
		}
		want[apiFile(name)] = string(runGo(t, []string{"GOOS=linux"}, "doc", "-all", path))
	}
	if *update {
		writeAPI(t, want)
		return
	}

	for _, file := range slices.Sorted(maps.Keys(want)) {
		doc := want[file]
		golden, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			t.Errorf("%s is missing", file)
		case err != nil:
			t.Error(err)
		case string(golden) != doc:
			t.Errorf("%s is not what go doc prints now:\n%s", file, difference(string(golden), doc))
		}
	}
	for _, file := range apiFiles(t) {
		if want[file] == "" {
			t.Errorf("%s is of no public package", file)
		}
	}
	if t.Failed() {
		t.Logf("if the API is to change: %s", updateCommand)
	}
}

// publicPackages returns the packages that users of the module import, as paths
// below the root, which is the empty string.
func publicPackages(t *testing.T) []string {
	t.Helper()
	var public []string
	for _, path := range strings.Fields(string(runGo(t, nil, "list", "./..."))) {
		name, _ := roomOf(path)
		elements := strings.Split(name, "/")
		if elements[0] != "cmd" && !isExample(name) && !slices.Contains(elements, "internal") {
			public = append(public, name)
		}
	}
	if len(public) == 0 {
		t.Fatal("go list knows no packages")
	}
	return public
}

// apiFile returns the file for a package: api/sinks_console.txt.
func apiFile(name string) string {
	if name == "" {
		name = "slogworks"
	}
	return filepath.Join("api", strings.ReplaceAll(name, "/", "_")+".txt")
}

func apiFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("api")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var files []string
	for _, entry := range entries {
		files = append(files, filepath.Join("api", entry.Name()))
	}
	return files
}

func writeAPI(t *testing.T, docs map[string]string) {
	t.Helper()
	if err := os.MkdirAll("api", 0o755); err != nil {
		t.Fatal(err)
	}
	for file, doc := range docs {
		if err := os.WriteFile(file, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range apiFiles(t) {
		if docs[file] == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// difference shows the lines between the first and the last that differ.
func difference(have, want string) string {
	const most = 15
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	a, b = a[first:], b[first:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var d strings.Builder
	fmt.Fprintf(&d, "line %d:\n", first+1)
	show := func(sign string, lines []string) {
		for _, line := range lines[:min(len(lines), most)] {
			fmt.Fprintf(&d, "%s %s\n", sign, line)
		}
		if more := len(lines) - most; more > 0 {
			fmt.Fprintf(&d, "%s … %d more lines\n", sign, more)
		}
	}
	show("-", a)
	show("+", b)
	return d.String()
}
