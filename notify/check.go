package notify

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slogworks/slogworks/internal/outbound"
)

// plan is a Command that was checked.
type plan struct {
	path    string // absolute
	args    []template
	stdin   template
	env     []template
	secrets outbound.Secrets // words, in no other forms
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
//     script: the argument after the -c of sh and psql or the -e of perl and
//     osascript, any argument of cmd, powershell, ssh, tmux and watch. The
//     programs that people reach for are known, and that sudo, env and the like
//     start another.
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
		if strings.Contains(arg, "\x00") {
			return nil, fmt.Errorf("argument %d has a NUL, which no program can be given", i+1)
		}
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
	// On Windows a.bat is found by the name a, too.
	return p, c.checkBatch(p.path, p.args)
}

func (p *plan) addVariable(variable string) error {
	name, value, ok := strings.Cut(variable, "=")
	if !ok || name == "" || strings.ContainsAny(name, "{}\x00") {
		return errors.New(`a variable of Env must be "KEY=value", without placeholders in KEY`)
	}
	if strings.Contains(value, "\x00") {
		return fmt.Errorf("variable %s has a NUL, which no program can be given", name)
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

func (c *Command) checkBatch(path string, args []template) error {
	isDynamic := func(t template) bool { _, dynamic := t.prefix(); return dynamic }
	// Windows looks for names without the dots and spaces at their end.
	switch ext := strings.ToLower(filepath.Ext(strings.TrimRight(path, ". "))); ext {
	case ".bat", ".cmd":
		if c.ArgsFunc != nil || slices.ContainsFunc(args, isDynamic) {
			return fmt.Errorf("cmd.exe, which runs %s files, has quoting rules of its own: give the text by Stdin or Env", ext)
		}
	}
	return nil
}

func (c *Command) checkArgs(args []template) error {
	if err := c.checkBatch(c.Path, args); err != nil {
		return err
	}
	ended := false // by an argument --
	for i, t := range args {
		prefix, dynamic := t.prefix()
		switch {
		case !dynamic:
			ended = ended || prefix == "--"
		case takesScript(c.Path, args[:i], prefix):
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

// scriptOptions are the options of interpreters that come before a script: the
// letters of short ones, and the long ones.
var scriptOptions = map[string]struct {
	letters string
	long    []string
}{
	"python":    {letters: "c"},
	"perl":      {letters: "eE"},
	"ruby":      {letters: "e"},
	"osascript": {letters: "e"},
	"lua":       {letters: "e"},
	"node":      {letters: "ep", long: []string{"--eval", "--print"}},
	"php":       {letters: "rBRE", long: []string{"--run", "--process-begin", "--process-code", "--process-end"}},
	"psql":      {letters: "c", long: []string{"--command"}},
	"mysql":     {letters: "e", long: []string{"--execute"}},
	"mariadb":   {letters: "e", long: []string{"--execute"}},
}

// takesScript reports whether an argument that begins with the prefix and comes
// after these is a script to the program, or to another that it starts. It knows
// the programs that people reach for.
func takesScript(path string, before []template, prefix string) bool {
	var args []string
	for _, t := range before {
		arg, _ := t.prefix()
		args = append(args, arg)
	}
	if isScript(path, args, prefix) {
		return true
	}
	switch programName(path) {
	case "sudo", "doas", "env", "nice", "nohup", "setsid", "timeout", "stdbuf", "flock", "sshpass", "busybox":
		for i, name := range args {
			if isScript(name, args[i+1:], prefix) {
				return true
			}
		}
	}
	return false
}

func isScript(path string, before []string, prefix string) bool {
	name := programName(path)
	switch name {
	case "cmd", "powershell", "pwsh", "ssh":
		return true // these join all their arguments
	case "watch":
		return true // which gives them to sh
	case "tmux":
		return true // which runs what stands in #()
	case "sh", "ash", "bash", "csh", "dash", "fish", "ksh", "su", "tcsh", "zsh":
		return isShellScript(before, prefix)
	}
	options, ok := scriptOptions[name]
	if !ok {
		return false
	}
	if len(before) > 0 {
		last := before[len(before)-1]
		if slices.Contains(options.long, last) || isShort(last) && strings.Contains(options.letters, last[len(last)-1:]) {
			return true
		}
	}
	if option, _, ok := strings.Cut(prefix, "="); ok && slices.Contains(options.long, option) {
		return true
	}
	// The script may be attached to the option, unless a script before made it
	// an option of its own.
	isOption := func(arg string) bool { return strings.HasPrefix(arg, "-") }
	return isShort(prefix) && strings.ContainsAny(prefix, options.letters) && !slices.ContainsFunc(before, func(arg string) bool { return !isOption(arg) })
}

// isShort reports whether arg is one or more options of a single letter.
func isShort(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg[1] != '-' }

// isShellScript reports whether the argument that begins with the prefix is the
// script of -c, which comes after all options, and after -- too.
func isShellScript(before []string, prefix string) bool {
	takesScript, takesValue := false, false
	for _, arg := range before {
		switch {
		case takesValue:
			takesValue = false
		case arg == "--command":
			takesScript = true
		case isShort(arg) || isShort(strings.Replace(arg, "+", "-", 1)):
			takesScript = takesScript || arg[0] == '-' && strings.Contains(arg, "c")
			takesValue = strings.HasSuffix(arg, "o") || strings.HasSuffix(arg, "O")
		case takesScript && !strings.HasPrefix(arg, "-"):
			return false // it was given
		}
	}
	return takesScript || strings.HasPrefix(prefix, "--command=")
}

// programName returns the name without directory and version: python for
// /usr/bin/python3.12.
func programName(path string) string {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".exe")
	return strings.TrimRight(name, ".0123456789")
}
