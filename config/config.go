// Package config makes a pipeline of what an operator wrote in a document, YAML
// or JSON, and changes it while the program runs.
//
// Use it where those who run a program, and not those who write it, say where
// its log goes. Where the program knows, put the pipeline together in Go: the
// compiler finds mistakes sooner, and nothing here can do what Go cannot. For one
// handler whose level changes, a *slog.LevelVar in slog.HandlerOptions does.
//
// A document names handlers, each of a kind and with the options that the kind
// has in Go, in snake_case; what wraps another names it by to. Then it says which
// of them the records of which logger go to, and from which level on:
//
//	version: 1
//	handlers:
//	  people:   {kind: console, level: warn}
//	  all:      {kind: file, path: app.log, max_size: 100MB, max_backups: 5}
//	  behind:   {kind: queue, to: all, capacity: 4096}
//	root: {level: info, to: [people, behind]}
//	loggers:
//	  shop.db: {level: debug}
//	  audit:   {to: [behind], bubble: false}
//
// A logger is known by the name that slogworks.Named gives it; the rule a.b is
// for a.b and a.b.c, not for a.bc. Its records go to the handlers of the longest
// rule that covers it and, unless that has bubble: false, to those of the shorter
// ones and of root, each handler once. A rule without a level has that of the
// next shorter one, root's is info if it has none. A level at a handler is a
// floor: of what is sent there, it gets only that and above. root alone may send
// nowhere, by to: [].
//
// Secrets stand in files, as password_file: PATH, or in variables, as password:
// "${SLOGWORKS_PASSWORD}". Variables are put into text only, after the document
// was read, and what is in them is text; $${ is a ${ that stands for itself. Only
// those that begin with SLOGWORKS_ and those of Options.Env are read. Anchors and
// aliases of YAML are not read.
//
// [Parse] finds all mistakes at once, each with its line, its path and what was
// perhaps meant, and opens nothing. [Document.Build] opens everything or nothing.
// A [Manager] does both again when the document changes, and keeps what runs if
// anything is wrong.
//
// A record costs what it costs in the pipeline put together in Go, plus a look
// at the logger's name, and a few atomic operations in a Manager and in front of a
// file, so that it is known who is there when that changes; With a name costs a
// walk up its dots. Nothing is allocated per record. Goroutines, blocking and what is lost when the program
// ends are those of the handlers: see their packages. A record that no rule sends
// anywhere is gone, which is meant and not counted.
//
// The smallest program:
//
//	m, err := config.Open(ctx, "pipeline.yaml", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer m.Close()
//	slog.SetDefault(slog.New(m.Handler()))
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/slogworks/slogworks/levels"
)

// Options are options for Parse. A zero Options consists entirely of default
// values.
type Options struct {
	// Registry has the kinds of handlers. Default NewRegistry().
	Registry *Registry

	// File is the name of the document in mistakes. Default "": none.
	File string

	// Env are the names of variables of the environment that the document may
	// read, beside those that begin with SLOGWORKS_.
	Env []string

	// NamesOnRecords is for pipelines whose records carry the name of their
	// logger themselves, such as behind a receiver: see
	// [levels.Options.NamesOnRecords]. In a layout, {host}, {process} and {pid}
	// are then those of the record, if it has attributes of these names in no
	// group, and this program's otherwise.
	NamesOnRecords bool

	// OnError is called with errors that no caller sees, such as those of a
	// queue's handler, as "handlers.NAME: …". It may be called by several
	// goroutines at once and must not log to the pipeline. Default nil: what is
	// lost is counted in slogworks.Books.
	OnError func(error)

	// keep is the document that holds at present: where the new one says "***",
	// its secret stands.
	keep *Document
}

// Document is a document without a mistake. It does not change and is safe for
// concurrent use.
type Document struct {
	options  Options
	written  *node // as it was written
	resolved *node // with variables put in and secrets kept
	handlers []*declaration
	byName   map[string]*declaration
	root     rule
	loggers  []rule         // in the order of the document
	ruleOf   map[string]int // their places by their names
}

// declaration is a handler of the document.
type declaration struct {
	name  string
	line  int
	kind  *kind
	node  *node       // resolved
	level *slog.Level // the floor, if there is one
	uses  []reference
}

// reference is where a handler is named.
type reference struct {
	name string
	node *node
	path string
}

// rule says where the records of a logger go.
type rule struct {
	logger string // "" is the root
	level  *slog.Level
	to     []string
	bubble bool
}

func (d *declaration) path() string { return join("handlers", d.name) }

// fingerprint is equal for documents that say the same, secrets included, in
// whatever order and format. Files that hold secrets are not read for it.
func (d *Document) fingerprint() string {
	sum := sha256.Sum256(d.resolved.appendJSON(nil, true))
	return hex.EncodeToString(sum[:])
}

// setLevels makes the rules of the table those of the document. Rules that end
// by themselves stay, and then give way to the document's.
func (d *Document) setLevels(t *levels.Table) {
	base := slog.LevelInfo
	if d.root.level != nil {
		base = *d.root.level
	}
	set := map[string]bool{"": true}
	for _, r := range d.loggers {
		set[r.logger] = r.level != nil
	}
	for _, r := range t.Rules() {
		if !set[r.Logger] {
			t.Reset(r.Logger)
		}
	}
	t.Set("", base, 0)
	for _, r := range d.loggers {
		if r.level != nil {
			t.Set(r.logger, *r.level, 0)
		}
	}
}
