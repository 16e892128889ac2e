package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// readJSON reads what is valid JSON. A YAML parser would read most of it too,
// but not tabs everywhere, nor the escapes of characters that JSON writes in
// two.
func readJSON(data []byte, found *findings) *node {
	r := jsonReader{found: found, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		r.lines = append(r.lines, at)
	}
	return r.node("", 0)
}

// jsonError says where data is not JSON.
func jsonError(data []byte) (line int, message string) {
	var syntax *json.SyntaxError
	var any any
	if err := json.Unmarshal(data, &any); errors.As(err, &syntax) {
		offset := min(max(int(syntax.Offset)-1, 0), len(data))
		return 1 + bytes.Count(data[:offset], []byte("\n")), "not JSON: " + syntax.Error()
	}
	return 1, "not JSON"
}

type jsonReader struct {
	found   *findings
	decoder *json.Decoder
	lines   []int // where lines begin, from the second on
}

// line returns the line of the token that was read last: it does not go over a
// line's end.
func (r *jsonReader) line() int {
	at, _ := slices.BinarySearch(r.lines, int(r.decoder.InputOffset()))
	return 1 + at
}

func (r *jsonReader) node(path string, depth int) *node {
	token, err := r.decoder.Token()
	if err != nil { // readJSON is for what is valid
		r.found.add(r.line(), "", "not JSON: %v", err)
		return nil
	}
	n := &node{line: r.line()}
	switch t := token.(type) {
	case nil:
		n.form = nothing
	case bool:
		n.form, n.text = truth, map[bool]string{true: "true", false: "false"}[t]
	case json.Number:
		n.form, n.text = number, t.String()
	case string:
		n.form, n.text = text, t
	case json.Delim:
		if depth >= maxDepth {
			r.found.add(n.line, "", "more than %d levels deep", maxDepth)
			return nil
		}
		if t == '[' {
			n.form = list
			for i := 0; r.decoder.More(); i++ {
				item := r.node(index(path, i), depth+1)
				if item == nil {
					return nil
				}
				n.items = append(n.items, item)
			}
		} else {
			n.form = object
			keys := objectKeys{found: r.found, path: path}
			for r.decoder.More() {
				token, _ := r.decoder.Token()
				name, _ := token.(string) // JSON has no other keys
				line := r.line()
				first := keys.first(name, line)
				value := r.node(join(path, name), depth+1)
				if value == nil {
					return nil
				}
				if !first {
					r.found.repeated = append(r.found.repeated, value)
					continue
				}
				n.keys = append(n.keys, entry{name, line, value})
			}
		}
		r.decoder.Token() // the end of it
	}
	return n
}
