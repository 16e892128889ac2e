package httpsink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/wire"
)

// maxFields is how many a form may have, each of which costs more as an attribute
// than it does in a form.
const maxFields = 1024

// parseForm makes a record of a form, in the order of its fields.
func parseForm(form string) (intake.Record, error) {
	var attrs []slog.Attr
	for field := range strings.SplitSeq(form, "&") {
		if field == "" {
			continue
		}
		if len(attrs) == maxFields {
			return intake.Record{}, fmt.Errorf("more than %d fields", maxFields)
		}
		key, text, _ := strings.Cut(field, "=")
		attrs = append(attrs, slog.String(unescape(key), unescape(text)))
	}
	if len(attrs) == 0 {
		return intake.Record{}, errors.New("no fields")
	}
	if isLogRecord(attrs) {
		r := intake.Record{NamedFirst: true}
		r.Record, r.Origin = wire.FromLogRecord(pythonValues(attrs))
		return r, nil
	}
	var object bytes.Buffer
	for i, a := range attrs {
		object.WriteByte("{,"[min(i, 1)])
		key, _ := json.Marshal(a.Key) // a string cannot fail
		text, _ := json.Marshal(a.Value.String())
		object.Write(key)
		object.WriteByte(':')
		object.Write(text)
	}
	object.WriteByte('}')
	return intake.ReadJSON(object.Bytes())
}

// unescape returns text as it is if it is not well formed: it is only a text.
func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

func isLogRecord(attrs []slog.Attr) bool {
	for _, a := range attrs {
		if a.Key == "levelno" {
			_, err := strconv.ParseInt(a.Value.String(), 10, 64)
			return err == nil
		}
	}
	return false
}

// pythonValues returns the attributes of a LogRecord, of which a form has only
// what str() makes of them, with the values that the record is made of.
func pythonValues(attrs []slog.Attr) []slog.Attr {
	for i, a := range attrs {
		text := a.Value.String()
		switch a.Key {
		case "levelno", "lineno", "process":
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				attrs[i].Value = slog.Int64Value(n)
			}
		case "created":
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				attrs[i].Value = slog.Float64Value(f)
			}
		case "exc_info", "exc_text", "stack_info", "taskName", "threadName", "args":
			if text == "None" || text == "()" {
				attrs[i].Value = slog.Value{}
			}
		}
	}
	return attrs
}

// elementsOf returns the texts of the elements of a JSON array, as far as that
// can be told from brackets, quotes and commas. After an error there are none.
func elementsOf(array []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		depth, begin, isText := 0, 1, false
		for i := 1; i < len(array); i++ {
			c := array[i]
			switch {
			case isText && c == '\\':
				i++
			case c == '"':
				isText = !isText
			case isText:
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']' && depth > 0:
				depth--
			case depth == 0 && (c == ',' || c == ']'):
				element := bytes.TrimSpace(array[begin:i])
				if len(element) == 0 && (c == ',' || begin > 1) {
					yield(nil, fmt.Errorf("offset %d: want a value", i))
					return
				}
				if len(element) > 0 && !yield(element, nil) {
					return
				}
				if begin = i + 1; c == ']' {
					if begin < len(array) {
						yield(nil, fmt.Errorf("offset %d: something follows the array", begin))
					}
					return
				}
			}
			if depth < 0 {
				break
			}
		}
		yield(nil, errors.New("the array has no end"))
	}
}
