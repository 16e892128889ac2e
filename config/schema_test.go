package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/config"
)

// validate says whether the value is as the schema wants it, as far as JSON
// Schema goes that Schema uses.
func validate(t *testing.T, root map[string]any, schema, value any) error {
	s, ok := schema.(map[string]any)
	if !ok {
		if schema == false {
			return fmt.Errorf("%v is not permitted", value)
		}
		return nil
	}
	for word, want := range s {
		switch word {
		case "$schema", "$defs", "title", "description", "writeOnly", "properties":
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/$defs/")
			def, ok := root["$defs"].(map[string]any)[name]
			if !ok {
				t.Fatalf("nothing is at %s", want)
			}
			if err := validate(t, root, def, value); err != nil {
				return err
			}
		case "type":
			types, ok := want.([]any)
			if !ok {
				types = []any{want}
			}
			fits := false
			for _, typ := range types {
				switch v := value.(type) {
				case string:
					fits = fits || typ == "string"
				case bool:
					fits = fits || typ == "boolean"
				case float64:
					fits = fits || typ == "number" || typ == "integer" && v == float64(int64(v))
				case []any:
					fits = fits || typ == "array"
				case map[string]any:
					fits = fits || typ == "object"
				}
			}
			if !fits {
				return fmt.Errorf("%v is no %v", value, want)
			}
		case "const":
			if !reflect.DeepEqual(want, value) {
				return fmt.Errorf("%v is not %v", value, want)
			}
		case "enum":
			fits := false
			for _, w := range want.([]any) {
				fits = fits || w == value
			}
			if !fits {
				return fmt.Errorf("%v is none of %v", value, want)
			}
		case "oneOf", "anyOf", "allOf":
			n, of := 0, want.([]any)
			var last error
			for _, w := range of {
				if err := validate(t, root, w, value); err == nil {
					n++
				} else {
					last = err
				}
			}
			if n == 0 || word == "oneOf" && n != 1 || word == "allOf" && n != len(of) {
				return fmt.Errorf("%v fits %d of %s, last: %v", value, n, word, last)
			}
		case "required":
			object, _ := value.(map[string]any)
			for _, name := range want.([]any) {
				if _, ok := object[name.(string)]; object != nil && !ok {
					return fmt.Errorf("%v is missing", name)
				}
			}
		case "additionalProperties":
			properties, _ := s["properties"].(map[string]any)
			object, _ := value.(map[string]any)
			for name, v := range object {
				p, ok := properties[name]
				if !ok {
					p = want
				}
				if err := validate(t, root, p, v); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		case "propertyNames":
			object, _ := value.(map[string]any)
			for name := range object {
				if err := validate(t, root, want, name); err != nil {
					return err
				}
			}
		case "items":
			items, _ := value.([]any)
			for _, v := range items {
				if err := validate(t, root, want, v); err != nil {
					return err
				}
			}
		case "minItems":
			if items, ok := value.([]any); ok && float64(len(items)) < want.(float64) {
				return fmt.Errorf("%v has too few", value)
			}
		case "uniqueItems":
			items, _ := value.([]any)
			seen := map[string]bool{}
			for _, v := range items {
				if k := fmt.Sprint(v); seen[k] {
					return fmt.Errorf("%v is there twice", v)
				} else {
					seen[k] = true
				}
			}
		case "minLength":
			if text, ok := value.(string); ok && float64(len(text)) < want.(float64) {
				return fmt.Errorf("%q is too short", text)
			}
		case "minimum":
			if n, ok := value.(float64); ok && n < want.(float64) {
				return fmt.Errorf("%v is too small", n)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
				return fmt.Errorf("%q does not match %s", text, want)
			}
		default:
			t.Fatalf("the schema says %s, which this test does not know", word)
		}
	}
	return nil
}

func schemaOf(t *testing.T, r *config.Registry) map[string]any {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(config.Schema(r), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestSchema_acceptsWhatParseAccepts(t *testing.T) {
	t.Setenv("SLOGWORKS_TEST_TOKEN", "abc")
	r := config.NewRegistry()
	r.Middleware("same", func(h slog.Handler) slog.Handler { return h })
	root := schemaOf(t, r)
	for _, document := range []string{
		everyKind("/dir", "http://127.0.0.1:1"), routed, "version: 1\nroot: {to: []}\n",
		with(`h: {kind: file, path: x, max_size: 0, max_age: 0, format: text, schedule: hourly}`),
		with(`h: {kind: socket, address: "tcp://127.0.0.1:1", token_file: f}`),
	} {
		d, err := config.Parse([]byte(document), &config.Options{Registry: r})
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(d.JSON(), &value); err != nil {
			t.Fatal(err)
		}
		if err := validate(t, root, root, value); err != nil {
			t.Errorf("%s\n%v", d.JSON(), err)
		}
	}
}

func TestSchema_refusesMistakes(t *testing.T) {
	root := schemaOf(t, nil)
	for _, document := range []string{
		`{"version": 2, "root": {"to": []}}`,
		`{"version": 1}`,
		`{"version": 1, "root": {}}`,
		`{"version": 1, "root": {"to": []}, "logers": {}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "flie"}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "file"}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "file", "path": "x", "max_sise": 1}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "file", "path": "x", "max_size": "10 apples"}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "console", "color": "red"}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "queue", "to": []}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"h": {"kind": "live", "http": "127.0.0.1:1"}}}`,
		`{"version": 1, "root": {"to": ["h"]}, "handlers": {"": {"kind": "discard"}}}`,
		`{"version": 1, "root": {"to": ["h", "h"]}}`,
		`{"version": 1, "root": {"to": []}, "loggers": {"a": {"to": []}}}`,
	} {
		var value any
		if err := json.Unmarshal([]byte(document), &value); err != nil {
			t.Fatal(err)
		}
		if err := validate(t, root, root, value); err == nil {
			t.Errorf("%s is accepted", document)
		}
	}
}

func TestSchema_describesEveryOptionAndHidesSecrets(t *testing.T) {
	root := schemaOf(t, nil)
	kinds := 0
	for name, def := range root["$defs"].(map[string]any) {
		if !strings.HasPrefix(name, "kind_") {
			continue
		}
		kinds++
		d := def.(map[string]any)
		if d["description"] == nil {
			t.Errorf("%s has no description", name)
		}
		for option, o := range d["properties"].(map[string]any) {
			if option != "kind" && o.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s has no description", name, option)
			}
		}
	}
	if kinds < 20 {
		t.Errorf("%d kinds", kinds)
	}
	token := root["$defs"].(map[string]any)["kind_socket"].(map[string]any)["properties"].(map[string]any)["token"].(map[string]any)
	if token["writeOnly"] != true {
		t.Errorf("the token is %v", token)
	}
	if string(config.Schema(nil)) != string(config.Schema(config.NewRegistry())) {
		t.Error("a nil registry is another than NewRegistry's")
	}
}
