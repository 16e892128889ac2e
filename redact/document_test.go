package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/slogworks/slogworks/redact"
)

// FuzzHandler_JSON logs a document as text and compares what arrives with what
// encoding/json makes of it.
func FuzzHandler_JSON(f *testing.F) {
	for _, doc := range []string{
		`"{\"password\":\"x\"}"`, `"\"[{\\\"password\\\":1}]\""`, `"{\"password\":\"x`, `"plain"`, `"x`,
		`{"password":"x"}`, `{"a":{"password":{"b":[1,"]"]},"c":null}}`, `[ {"to\u006ben" : 1 , "b":true } ,2]`, `{"a":"{\"password\":1}"}`,
		`{"password":"x"`, `{}`, `[]`, `[[],{}]`, `{"":0}`, `{"password":-1.5e3,"password":"\\\""}`, "{\"\xff\":\"\xff\"}", `[{"password":1}, "a"`, "\t{\"cookie\"\n:\r{}}", "[",
		`{"a":[{"token":[{"x":"}"}]}],"b":1}`, strings.Repeat("[", 20000), `{"a":"\ufeff \u0000{\"token\":1}"}`, `{"pass\u0077ord":"x`,
	} {
		f.Add(doc, false)
		f.Add(doc, true)
	}
	f.Fuzz(func(t *testing.T, doc string, remove bool) {
		var line bytes.Buffer
		logger := slog.New(redact.New(slog.NewJSONHandler(&line, nil), &redact.Options{Keys: []string{"password", "token", "cookie"}, Text: "***", Remove: remove}))
		logger.Info("m", "doc", doc, "raw", json.RawMessage(doc), "bytes", []byte(doc))
		var got struct {
			Doc   string
			Raw   any
			Bytes []byte
		}
		if err := unmarshal(line.Bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, &line)
		}
		var tree any
		if unmarshal([]byte(doc), &tree) != nil {
			return
		}
		want, whole := expand(tree)
		if !whole {
			return
		}
		want = redacted(want, remove)
		results := []any{got.Raw}
		if begins(doc) {
			results = append(results, got.Doc, string(got.Bytes))
		}
		for _, result := range results {
			if is, _ := expand(result); !reflect.DeepEqual(is, want) {
				t.Errorf("%s is %v, want %v", doc, is, want)
			}
		}
	})
}

func begins(text string) bool {
	text = bare(text)
	return text != "" && strings.IndexByte("{[\"", text[0]) >= 0
}

// bare returns text without what is passed over in front of JSON.
func bare(text string) string {
	return strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\uFEFF' })
}

// expand puts what JSON text stands for in the place of the text. It reports
// false if there is text that only begins like JSON.
func expand(x any) (expanded any, whole bool) {
	whole = true
	switch x := x.(type) {
	case map[string]any:
		for key, value := range x {
			inner, ok := expand(value)
			x[key], whole = inner, whole && ok && !begins(key)
		}
	case []any:
		for i := range x {
			inner, ok := expand(x[i])
			x[i], whole = inner, whole && ok
		}
	case string:
		if begins(x) {
			var inner any
			if unmarshal([]byte(bare(x)), &inner) != nil {
				return x, false
			}
			return expand(inner)
		}
	}
	return x, whole
}

// unmarshal leaves numbers as they are written, for many are too large.
func unmarshal(doc []byte, x any) error {
	if !json.Valid(doc) {
		return errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	return dec.Decode(x)
}

// redacted is the plain way to redact what encoding/json read.
func redacted(x any, remove bool) any {
	switch x := x.(type) {
	case map[string]any:
		for key, value := range x {
			name := strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(key[strings.LastIndexByte(key, '.')+1:]))
			whole := strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "", ".", "").Replace(key))
			switch isSecret := map[string]bool{"password": true, "token": true, "cookie": true}; {
			case !isSecret[name] && !isSecret[whole]:
				x[key] = redacted(value, remove)
			case remove:
				delete(x, key)
			default:
				x[key] = "***"
			}
		}
	case []any:
		for i := range x {
			x[i] = redacted(x[i], remove)
		}
	}
	return x
}

func TestHandler_masksWhatLooksLikeJSONAndNamesASecret(t *testing.T) {
	for text, secret := range map[string]bool{
		`{"password":"x"`:                true,
		`[{"password":"x"},`:             true,
		"{\"password\":1}\n{\"a\":2}":    true,
		`{\"password\":\"x\"}`:           true,
		`{'password': 'x'}`:              true,
		`"{\"password\":\"x`:             true,
		`{"pass\u0077ord":"x`:            true,
		`"{\"pass\\u0077ord\":\"x`:       true,
		`[1, {"password":"x"`:            true,
		`["a",{"password":"x"`:           true,
		"\ufeff\n{\"password\":\"x":      true,
		`{"user":"x"`:                    false,
		`{"us\u0065r":"x"`:               false,
		`[1 of 3] token: expired`:        false,
		`[http] token: expired`:          false,
		`"quoted" words, token: expired`: false,
		`"`:                              false,
		`{`:                              false,
	} {
		want := text
		if secret {
			want = redact.Redacted
		}
		var line bytes.Buffer
		slog.New(redact.New(slog.NewJSONHandler(&line, nil), nil)).Info("m", "k", text)
		var got struct{ K string }
		if json.Unmarshal(line.Bytes(), &got); got.K != want {
			t.Errorf("%s became %s, want %s", text, got.K, want)
		}
	}
}

func TestHandler_looksAtJSONBehindAByteOrderMark(t *testing.T) {
	const doc = "\ufeff\r\n{\"password\":\"hunter2\",\"a\":1}"
	want := strings.Replace(doc, "hunter2", redact.Redacted, 1)
	var line bytes.Buffer
	logger := slog.New(redact.New(slog.NewJSONHandler(&line, nil), nil))
	logger.Info(doc, "text", doc, "bytes", []byte(doc), "raw", json.RawMessage(doc), "inside", map[string]any{"x": doc})
	var got struct {
		Msg, Text, Raw string
		Bytes          []byte
		Inside         struct{ X string }
	}
	if err := json.Unmarshal(line.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the message": got.Msg, "a string": got.Text, "bytes": string(got.Bytes), "raw JSON": got.Raw, "a string in a map": got.Inside.X} {
		if text != want {
			t.Errorf("%s became %q, want %q", what, text, want)
		}
	}
}
