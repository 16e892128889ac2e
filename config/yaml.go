package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readYAML reads one document of YAML.
func readYAML(data []byte, found *findings) *node {
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decode(decoder, &doc)
	if err == nil && len(doc.Content) == 1 {
		if err = decode(decoder, &more); err == nil {
			found.add(more.Line, "", "a second document begins here: a file has one")
			return nil
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		line, message := yamlError(err)
		if tab := tabFrom(data, line); strings.HasSuffix(message, "cannot start any token") && tab == line ||
			strings.HasSuffix(message, "violates indentation") { // whose line is where the text in front of the tab begins
			line = max(line, tab)
			message += " (a tab: indent with blanks)"
		}
		found.add(line, "", "%s", message)
		return nil
	}
	if len(doc.Content) != 1 {
		found.add(1, "", "the document is empty")
		return nil
	}
	y := yamlReader{found: found}
	n := y.node(doc.Content[0], "", 0)
	if y.tooDeep {
		return nil
	}
	return n
}

// decode keeps a panic of the YAML library from being the program's end: what
// it reads may come over the network.
func decode(d *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: cannot be read: %v", p)
		}
	}()
	return d.Decode(n)
}

var (
	yamlLine = regexp.MustCompile(`^line (\d+): `)

	// yamlBehind are the complaints for which the library counts lines from 0.
	yamlBehind = regexp.MustCompile(`did not find expected (<document start>|node content|'-' indicator|key|',' or '[\]}]')$|^found (undefined tag handle|duplicate|incompatible)`)
)

// yamlError takes apart what the library says.
func yamlError(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits
		message = message[len(m[0]):]
	}
	if yamlBehind.MatchString(message) {
		line++
	}
	return max(line, 1), "not YAML: " + message
}

// tabFrom returns the first line, of those from line on, whose indentation has a
// tab; 0 if there is none.
func tabFrom(data []byte, line int) int {
	n := 0
	for text := range bytes.Lines(data) {
		if n++; n >= line && bytes.HasPrefix(bytes.TrimLeft(text, " -"), []byte("\t")) {
			return n
		}
	}
	return 0
}

type yamlReader struct {
	found   *findings
	tooDeep bool
}

// node returns a broken node where it has found a mistake.
func (r *yamlReader) node(y *yaml.Node, path string, depth int) *node {
	if r.tooDeep {
		return &node{form: broken}
	}
	if depth > maxDepth {
		r.tooDeep = true
		r.found.add(y.Line, "", "more than %d levels deep", maxDepth)
		return &node{form: broken}
	}
	if y.Kind == yaml.AliasNode || y.Anchor != "" {
		// A document is short, and a reader of it should not have to look up
		// what a value is; nor can a few lines then become a billion.
		r.found.add(y.Line, path, "anchors (&) and aliases (*) are not read here: write the value out")
	}
	n := &node{line: y.Line, form: broken} // which an alias stays
	if tag := y.ShortTag(); y.Kind == yaml.SequenceNode && tag != "!!seq" || y.Kind == yaml.MappingNode && tag != "!!map" {
		r.found.add(y.Line, path, "the tag %s is not read here", abridged(tag))
	}
	switch y.Kind {
	case yaml.ScalarNode:
		r.scalar(y, n, path)
	case yaml.SequenceNode:
		n.form = list
		for i, item := range y.Content {
			n.items = append(n.items, r.node(item, index(path, i), depth+1))
		}
	case yaml.MappingNode:
		n.form = object
		keys := objectKeys{found: r.found, path: path}
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, value := y.Content[i], y.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.Anchor != "" {
				r.found.add(key.Line, path, "a key has to be a plain text")
				continue
			}
			if key.ShortTag() == "!!merge" {
				r.found.add(key.Line, path, "merge keys (<<) are not read here: write the values out")
				continue
			}
			first := keys.first(key.Value, key.Line)
			v := r.node(value, join(path, key.Value), depth+1)
			if !first {
				r.found.repeated = append(r.found.repeated, v)
				continue
			}
			n.keys = append(n.keys, entry{key.Value, key.Line, v})
		}
	}
	return n
}

func (r *yamlReader) scalar(y *yaml.Node, n *node, path string) {
	n.form, n.text = text, y.Value
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp", "!!merge":
	case "!!null":
		n.form = nothing
	case "!!bool":
		n.form, n.text = truth, strings.ToLower(y.Value)
		if n.text != "true" && n.text != "false" {
			n.form = text // an explicit tag on something else
		}
	case "!!int":
		// What begins with 0 is written for somebody who counts otherwise than
		// in tens, as the mode of a file is, and stays as it is written.
		plain := strings.ReplaceAll(y.Value, "_", "")
		digits := strings.TrimLeft(plain, "+-")
		if i, ok := new(big.Int).SetString(plain, 10); ok && (digits == "0" || !strings.HasPrefix(digits, "0")) {
			n.form, n.text = number, i.String()
		}
	case "!!float":
		plain := strings.ReplaceAll(y.Value, "_", "")
		if json.Valid([]byte(plain)) {
			n.form, n.text = number, plain
		} else if f, err := strconv.ParseFloat(plain, 64); err == nil {
			if b, err := json.Marshal(f); err == nil { // not an infinity
				n.form, n.text = number, string(b)
			}
		}
	default:
		r.found.add(y.Line, path, "the tag %s is not read here", abridged(tag))
		n.form = broken
	}
}

// objectKeys finds the keys that an object has twice, and those that nobody has
// written by hand.
type objectKeys struct {
	found *findings
	path  string
	lines map[string]int
}

// first reports whether the key is to be read.
func (k *objectKeys) first(name string, line int) bool {
	if len(name) > maxKey {
		k.found.add(line, k.path, "has a key of %d bytes, and there may be %d", len(name), maxKey)
		return false
	}
	if before, ok := k.lines[name]; ok {
		k.found.add(line, join(k.path, name), "stands here a second time, first on line %d", before)
		return false
	}
	if k.lines == nil {
		k.lines = map[string]int{}
	}
	k.lines[name] = line
	return true
}
