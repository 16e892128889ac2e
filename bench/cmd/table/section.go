package main

import (
	"fmt"
	"strings"
)

// A section of README.md begins and ends with a line of its own, which
// Markdown does not show. What stands outside of sections is not ours.

func beginMark(name string) string { return "<!-- table " + name + " -->" }
func endMark(name string) string   { return "<!-- end " + name + " -->" }

// replaceSections returns the text with the sections in it. One that is new
// comes after its nearest predecessor in order that the text has, else before
// the first section, else at the end.
func replaceSections(text string, order []string, sections map[string]string) (string, error) {
	at := len(text)
	if i := strings.Index(text, "<!-- table "); i >= 0 {
		at = i
	}
	for _, name := range order {
		section, isNew := sections[name]
		begin, end, err := findSection(text, name)
		switch {
		case err != nil:
			return "", err
		case begin < 0 && isNew:
			before := strings.TrimRight(text[:at], "\n")
			if before != "" {
				before += "\n\n"
			}
			after := strings.TrimLeft(text[at:], "\n")
			if after != "" {
				after = "\n" + after
			}
			text = before + section + after
			at = len(before) + len(section)
		case begin < 0:
		case isNew:
			text = text[:begin] + section + text[end:]
			at = begin + len(section)
		default:
			at = end
		}
	}
	return text, nil
}

// findSection returns where a section begins and where the line after it does;
// begin is negative if there is no such section.
func findSection(text, name string) (begin, end int, err error) {
	begin = strings.Index(text, beginMark(name)+"\n")
	if begin < 0 {
		return -1, 0, nil
	}
	mark := endMark(name) + "\n"
	length := strings.Index(text[begin:], mark)
	if length < 0 {
		return 0, 0, fmt.Errorf("no line %q after %q", endMark(name), beginMark(name))
	}
	return begin, begin + length + len(mark), nil
}
