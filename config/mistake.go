package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Mistake is one thing that is wrong with a document.
type Mistake struct {
	File    string // of Options.File; may be empty
	Line    int    // counted from 1; 0 if it is about the document as a whole
	Path    string // such as handlers.mail.password; empty if it is about the document as a whole
	Message string
	Nearest string // what was perhaps meant instead; may be empty

	err error
}

// Error gives all of it: FILE:LINE: PATH: MESSAGE (did you mean "NEAREST"?).
func (m Mistake) Error() string {
	var b strings.Builder
	switch {
	case m.File != "" && m.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", m.File, m.Line)
	case m.File != "":
		fmt.Fprintf(&b, "%s: ", m.File)
	case m.Line > 0:
		fmt.Fprintf(&b, "line %d: ", m.Line)
	}
	if m.Path != "" {
		b.WriteString(m.Path + ": ")
	}
	b.WriteString(m.Message)
	if m.Nearest != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", m.Nearest)
	}
	return b.String()
}

// Unwrap returns the error that what was to be built has returned, if the
// mistake is that it did.
func (m Mistake) Unwrap() error { return m.err }

// Mistakes are all that is wrong with a document, in the order of its lines.
type Mistakes []Mistake

// Error gives them all, one on a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each as an error.
func (m Mistakes) Unwrap() []error {
	errs := make([]error, len(m))
	for i, mistake := range m {
		errs[i] = mistake
	}
	return errs
}

// maxMistakes is how many mistakes are told: whoever has more has given the
// wrong file.
const maxMistakes = 100

// findings are the mistakes that were found so far.
type findings struct {
	file     string
	mistakes Mistakes
	repeated []*node // values of keys that an object had before
}

func (f *findings) add(line int, path, format string, args ...any) {
	f.addMistake(Mistake{Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (f *findings) addMistake(m Mistake) {
	if !f.full() {
		m.File = f.file
		f.mistakes = append(f.mistakes, m)
	}
}

// full reports whether no further mistake is told.
func (f *findings) full() bool { return len(f.mistakes) == maxMistakes }

// err returns the mistakes as an error, nil if there are none.
func (f *findings) err() error {
	if len(f.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(f.mistakes, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
	return f.mistakes
}

// failed is a Mistake that tells of an error of what was to be built.
func failed(line int, path string, err error) Mistake {
	return Mistake{Line: line, Path: path, Message: err.Error(), err: err}
}

// join adds a key to a path.
func join(path, key string) string {
	if path == "" {
		return legible(key)
	}
	return path + "." + legible(key)
}

// legible returns a key as it is told: a mistake is one line, neither long nor such
// that it does something to a terminal.
func legible(key string) string {
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(abridged(key))
	}
	return key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// asMistakes returns the mistakes that err is made of, if it is.
func asMistakes(err error) (m Mistakes, ok bool) {
	ok = errors.As(err, &m)
	return m, ok
}
