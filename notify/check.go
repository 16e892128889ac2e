package notify

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// plan is a Command that was checked.
type plan struct {
	path    string // absolute
	args    []template
	stdin   template
	env     []template
	secrets []string
}

// Check reports whether the Command can be run and is safe with any text: whether
// the program is there, placeholders are known, and no text can become an option
// or a script.
//
//   - An argument that begins with a placeholder must have an argument "--"
//     before it, unless literal text in front of the placeholder, as in
//     "title={title}", makes an option of it impossible.
//   - An argument that begins with "-" must have an "=" before its first
//     placeholder, as in "--title={title}", or an argument "--" before it.
//   - There is no placeholder in what a shell or another interpreter takes for a
//     script: the argument after the -c of sh or the -e of perl and osascript,
//     any argument of cmd and powershell.
//   - A program whose name ends in .bat or .cmd gets no placeholder as an
//     argument: cmd.exe, which runs it, has quoting rules of its own, and os/exec
//     does not follow them (golang.org/issue/27199).
//
// For what only looks dangerous to these rules there are AllowDash, which turns
// off the first two, and ArgsFunc, which turns off all. Check starts nothing.
func (c *Command) Check() error {
	_, err := c.plan()
	return err
}

func (c *Command) plan() (*plan, error) {
	if p := c.checked.Load(); p != nil {
		return p, nil
	}
	p, err := c.newPlan()
	if err != nil {
		return nil, fmt.Errorf("notify: command %s: %w", filepath.Base(c.Path), err)
	}
	c.checked.Store(p)
	return p, nil
}

func (c *Command) newPlan() (*plan, error) {
	if c.ArgsFunc != nil && c.Args != nil {
		return nil, errors.New("both Args and ArgsFunc are set: leave one nil")
	}
	p := new(plan)
	var err error
	for i, arg := range c.Args {
		t, err := parseTemplate(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		p.args = append(p.args, t)
	}
	if p.stdin, err = parseTemplate(c.Stdin); err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	for _, variable := range c.Env {
		if err := p.addVariable(variable); err != nil {
			return nil, err
		}
	}
	if err := c.checkArgs(p.args); err != nil {
		return nil, err
	}
	if p.path, err = exec.LookPath(c.Path); err != nil {
		return nil, fmt.Errorf("install the program or give its full path: %w", err)
	}
	if p.path, err = filepath.Abs(p.path); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *plan) addVariable(variable string) error {
	name, value, ok := strings.Cut(variable, "=")
	if !ok || name == "" || strings.ContainsAny(name, "{}\x00") {
		return errors.New(`a variable of Env must be "KEY=value", without placeholders in KEY`)
	}
	t, err := parseTemplate(value)
	if err != nil {
		return fmt.Errorf("variable %s: %w", name, err)
	}
	p.env = append(p.env, append(template{{literal: name + "="}}, t...))
	// A variable may hold several URLs, as APPRISE_URLS does, and a URL several
	// secrets.
	for _, separators := range []string{" \t\n,", " \t\n,:/@?&=;#"} {
		isSeparator := func(r rune) bool { return strings.ContainsRune(separators, r) }
		for _, part := range t {
			for _, word := range strings.FieldsFunc(part.literal, isSeparator) {
				if len(word) >= shortestSecret {
					p.secrets = append(p.secrets, word)
				}
			}
		}
	}
	return nil
}

// shortestSecret keeps what is said all the time, such as a port, readable.
const shortestSecret = 8

func (c *Command) checkArgs(args []template) error {
	switch ext := strings.ToLower(filepath.Ext(c.Path)); ext {
	case ".bat", ".cmd":
		if i := firstDynamic(args); i >= 0 || c.ArgsFunc != nil {
			return fmt.Errorf("cmd.exe, which runs %s files, has quoting rules of its own: give the text by Stdin or Env", ext)
		}
	}
	ended := false // by an argument --
	for i, t := range args {
		prefix, dynamic := t.prefix()
		switch {
		case !dynamic:
			ended = ended || prefix == "--"
		case takesScript(c.Path, args[:i]):
			return fmt.Errorf("argument %d, %q, would be run as a script with whatever text there is: give the text by Stdin or Env", i+1, c.Args[i])
		case c.AllowDash || ended:
		case prefix == "":
			return fmt.Errorf(`argument %d, %q, could become an option: put an argument "--" before it, if the program knows that, or literal text in front`, i+1, c.Args[i])
		case prefix[0] == '-' && !strings.Contains(prefix, "="):
			return fmt.Errorf(`argument %d, %q, could become any option: put a "=" before the placeholder, or make it an argument after "--"`, i+1, c.Args[i])
		}
	}
	return nil
}

func firstDynamic(args []template) int {
	for i, t := range args {
		if _, dynamic := t.prefix(); dynamic {
			return i
		}
	}
	return -1
}

// takesScript reports whether the argument that comes after these is a script to
// the program, or to another that it starts, as sudo does. It knows the programs
// that people reach for.
func takesScript(path string, before []template) bool {
	switch programName(path) {
	case "cmd", "powershell", "pwsh", "ssh":
		return true // these join all their arguments
	}
	if len(before) == 0 {
		return false
	}
	option, _ := before[len(before)-1].prefix()
	if len(option) < 2 || option[0] != '-' {
		return false
	}
	names := []string{path}
	for _, t := range before[:len(before)-1] {
		name, _ := t.prefix()
		names = append(names, name)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		last := option[len(option)-1:] // of several in one, as in -lc
		switch programName(name) {
		case "sh", "ash", "bash", "csh", "dash", "fish", "ksh", "su", "tcsh", "zsh", "python":
			return option == "--command" || option[1] != '-' && last == "c"
		case "perl", "ruby", "node", "osascript", "php", "lua":
			return option == "--eval" || option == "--print" || option[1] != '-' && strings.Contains("eEpr", last)
		}
		return false
	})
}

// programName returns the name without directory and version: python for
// /usr/bin/python3.12.
func programName(path string) string {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".exe")
	return strings.TrimRight(name, ".0123456789")
}
