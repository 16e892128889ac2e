package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// JSON returns the document as it was written, as JSON, with *** in the place of
// secrets and of passwords in URLs. Variables are not put in.
func (d *Document) JSON() []byte {
	n := d.redacted()
	var b bytes.Buffer
	json.Indent(&b, n.appendJSON(nil, false), "", "  ") // is valid
	b.WriteByte('\n')
	return b.Bytes()
}

func (d *Document) redacted() *node {
	var walk func(n *node, s *shape, path string) *node
	walk = func(n *node, s *shape, path string) *node {
		c := *n
		switch n.form {
		case text:
			if c.text = withoutPasswords(n.text); s.isSecret() {
				c.text = redacted
			}
		case list:
			c.items = make([]*node, len(n.items))
			for i, item := range n.items {
				c.items[i] = walk(item, s.within(""), "")
			}
		case object:
			c.keys = slices.Clone(n.keys)
			for i, key := range n.keys {
				inner := s.within(key.name)
				if path == "handlers" {
					inner = d.byName[key.name].kind.options
				}
				c.keys[i].value = walk(key.value, inner, join(path, key.name))
			}
		}
		return &c
	}
	return walk(d.written, nil, "")
}

// within returns the shape of an element, or of the option of that name.
func (s *shape) within(name string) *shape {
	if s == nil {
		return nil
	}
	if s.meaning == asList || s.meaning == asMap {
		return s.element
	}
	for _, o := range s.options {
		if o.name == name {
			return o.shape
		}
	}
	return nil
}

// hide returns a message about a handler, or a part of its options, without the
// secrets among these and without what is in variables, which may be one. Who
// writes a kind should not have to think of it.
func hide(message string, n *node, opts reflect.Value, s *shape) string {
	_ = walk(opts, s, func(v reflect.Value) error { // which has no error
		if secret, ok := v.Interface().(Secret); ok {
			message = hideText(message, secret.text, redacted)
		}
		return nil
	})
	var texts func(n *node)
	texts = func(n *node) {
		if n.form == text {
			message = hideText(message, n.text, n.shown())
		}
		for _, item := range n.items {
			texts(item)
		}
		for _, key := range n.keys {
			texts(key.value)
		}
	}
	texts(n)
	return withoutPasswords(message)
}

// hideText replaces a text, quoted or not. What is as short as a word's part is
// left: to take it out would tell where it was.
func hideText(message, text, shown string) string {
	const shortest = 4
	if text == shown || len(text) < shortest {
		return message
	}
	message = strings.ReplaceAll(message, text, shown)
	if quoted := strconv.Quote(text); quoted[1:len(quoted)-1] != text {
		message = strings.ReplaceAll(message, quoted[1:len(quoted)-1], shown)
	}
	return message
}

// readSecret reads the file of a secret.
func readSecret(s Secret) (Secret, error) {
	const most = 64 << 10
	b, err := readFile(s.file, most)
	switch {
	case err != nil:
		return s, err
	case len(b) > most:
		return s, fmt.Errorf("%s has more than %d bytes", s.file, most)
	}
	t := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if t == "" {
		return s, fmt.Errorf("%s is empty", s.file)
	}
	return Secret{text: t, file: s.file}, nil
}

// readFile reads no more of a file than it takes to see that it has more than
// most bytes. A pipe is refused: to open it could take for ever, and it could be
// read once only.
func readFile(path string, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a pipe and has to be a file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}
