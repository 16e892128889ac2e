package slogworks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/slogworks/slogworks"

// room is what a package of this module may depend on.
type room struct {
	floor        int    // it imports only packages of lower floors
	standardOnly bool   // it depends on the standard library and this module only
	imports      string // the module that it imports, and no other package does
}

// rooms are all packages, those to come among them. The packages in internal
// are on floor 1 with the root, which they may import; they need a row only to
// import a module.
var rooms = map[string]room{
	"":                       {floor: 1, standardOnly: true},
	"internal/sharedfile":    {floor: 1, standardOnly: true},
	"rotate/internal/engine": {floor: 1, standardOnly: true},

	"buffer":         {floor: 2, standardOnly: true},
	"context":        {floor: 2, standardOnly: true},
	"fanout":         {floor: 2, standardOnly: true},
	"fingerscrossed": {floor: 2, standardOnly: true},
	"handlertest":    {floor: 2, standardOnly: true},
	"levels":         {floor: 2, standardOnly: true},
	"limit":          {floor: 2, standardOnly: true},
	"notify":         {floor: 2, standardOnly: true},
	"queue":          {floor: 2, standardOnly: true},
	"redact":         {floor: 2, standardOnly: true},
	"rotate":         {floor: 2, standardOnly: true},
	"sinks/console":  {floor: 2, imports: "github.com/lmittmann/tint"},
	"sinks/httpsink": {floor: 2, standardOnly: true},
	"sinks/live":     {floor: 2, standardOnly: true},
	"sinks/memory":   {floor: 2, standardOnly: true},
	"sinks/redis":    {floor: 2, imports: "github.com/redis/go-redis/v9"},
	"sinks/socket":   {floor: 2, standardOnly: true},
	"sinks/syslog":   {floor: 2, standardOnly: true},

	"buffer/mail":       {floor: 3, imports: "github.com/wneessen/go-mail"},
	"context/httplog":   {floor: 3, standardOnly: true},
	"rotate/lumberjack": {floor: 3, imports: "gopkg.in/natefinch/lumberjack.v2"},

	"config":        {floor: 4, imports: "go.yaml.in/yaml/v3"},
	"cmd/slogworks": {floor: 5},
}

// apart are pairs of packages of which the first must not depend on the second
// although its floor would allow it: a program registers the second with it.
var apart = [][2]string{
	{"config", "sinks/redis"},
	{"config", "buffer/mail"},
}

// companion is a module that people use together with this one, as tests show;
// nothing is built on it.
const companion = "github.com/samber/slog-multi"

// sinksFrom is the lowest floor that may import sinks.
const sinksFrom = 4

// goPackage is what go list says about a package.
type goPackage struct {
	ImportPath                         string
	Standard                           bool
	Module                             *struct{ Path string }
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// roomOf returns the name of the package in the table, and whether the package
// is one of this module.
func roomOf(importPath string) (name string, ours bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// isExample reports whether the package is a program as users write them, which
// may import whatever the module requires.
func isExample(name string) bool { return strings.HasPrefix(name, "examples/") }

func findRoom(name string) (room, bool) {
	r, ok := rooms[name]
	if !ok && strings.HasPrefix(name, "internal/") {
		return room{floor: 1}, true
	}
	if !ok && isExample(name) {
		return room{floor: 5}, true
	}
	return r, ok
}

func TestRooms_importOnlyWhatTheyMay(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) { checkRooms(t, listPackages(t, goos)) })
	}
}

func checkRooms(t *testing.T, packages map[string]goPackage) {
	owners := map[string]string{}
	for name, r := range rooms {
		if r.imports != "" {
			owners[r.imports] = name
		}
	}
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		p := packages[path]
		name, ours := roomOf(p.ImportPath)
		if !ours {
			continue
		}
		r, ok := findRoom(name)
		if !ok {
			t.Errorf("package %s is not in the table of deps_test.go: add it with its floor", name)
			continue
		}
		label := name
		if name == "" {
			label = "the root"
		}

		importsIts := false
		for _, path := range p.Imports {
			if other, ours := roomOf(path); ours {
				o, _ := findRoom(other)
				fromInternal := strings.HasPrefix(name, "internal/") && o.floor == r.floor
				if o.floor >= r.floor && !fromInternal {
					t.Errorf("%s (floor %d) imports %s (floor %d): only lower floors may be imported", label, r.floor, path, o.floor)
				}
				if strings.HasPrefix(other, "sinks/") && r.floor < sinksFrom {
					t.Errorf("%s imports %s: only what is put together from sinks may import one", label, path)
				}
			} else if m := packages[path].Module; m != nil && !isExample(name) {
				if owner, known := owners[m.Path]; !known || owner != name {
					t.Errorf("%s imports %s: %s", label, path, allowed(m.Path, owner))
				}
				importsIts = importsIts || m.Path == r.imports
			}
		}
		if r.imports != "" && !importsIts {
			t.Errorf("%s does not import %s, which it is to be built on", label, r.imports)
		}
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			if m := packages[path].Module; m != nil && m.Path != module && owners[m.Path] == "" && m.Path != companion {
				t.Errorf("the tests of %s import %s: tests need the standard library only", label, path)
			}
		}

		for _, path := range p.Deps {
			m := packages[path].Module
			if r.standardOnly && m != nil && m.Path != module {
				t.Errorf("%s depends on %s: it may depend on the standard library and this module only", label, path)
			}
			if (path == "testing" || strings.HasPrefix(path, "testing/")) && name != "handlertest" && name != "internal/peertest" {
				t.Errorf("%s depends on %s, which would become part of every program", label, path)
			}
			for _, pair := range apart {
				if other, ours := roomOf(path); ours && pair == [2]string{name, other} {
					t.Errorf("%s depends on %s: the program is to register it", label, path)
				}
			}
		}
	}
}

func allowed(modulePath, owner string) string {
	if owner == "" {
		return "no package may import " + modulePath
	}
	return "only " + owner + " may import " + modulePath
}

// listPackages returns the packages of this module and all they depend on, by
// import path.
func listPackages(t *testing.T, goos string) map[string]goPackage {
	t.Helper()
	out := runGo(t, []string{"GOOS=" + goos, "CGO_ENABLED=0"},
		"list", "-deps", "-test", "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports,Deps", "./...")
	packages := map[string]goPackage{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		// With -test come variants of packages as they are tested: p [p.test],
		// p_test [p.test] and the program p.test.
		if strings.Contains(p.ImportPath, " ") || strings.HasSuffix(p.ImportPath, ".test") {
			continue
		}
		packages[p.ImportPath] = p
	}
	if _, ok := packages[module]; !ok {
		t.Fatalf("go list does not know %s", module)
	}
	return packages
}

// runGo runs the go command and returns its output. The test fails if it does.
func runGo(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes()
}
