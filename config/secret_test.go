package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/slogworks/slogworks/config"
)

const withToken = `
version: 1
handlers:
  s: {kind: socket, address: "tcp://127.0.0.1:1", token: %q}
root: {to: s}
`

// cause is what a kind's build has said; the mistake that it becomes hides what
// may be secret.
func cause(err error) string {
	var all config.Mistakes
	if !errors.As(err, &all) || len(all) != 1 {
		return fmt.Sprint(err)
	}
	err = all[0]
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

func TestParse_putsVariablesIntoTextOnce(t *testing.T) {
	t.Setenv("SLOGWORKS_A", "${SLOGWORKS_B} and {more: yaml}\nversion: 2")
	t.Setenv("SLOGWORKS_B", "no")
	t.Setenv("OTHER_TEST", "allowed")
	t.Setenv("SLOGWORKS_N", "7")
	r := newWorkshop()
	d, err := config.Parse([]byte(`
version: 1
handlers:
  w: {kind: tool, fail: "${SLOGWORKS_A}|${OTHER_TEST}|$${SLOGWORKS_B}|$x|$"}
root: {to: w}
`), &config.Options{Registry: r.Registry, Env: []string{"OTHER_TEST"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Build(t.Context())
	want := "${SLOGWORKS_B} and {more: yaml}\nversion: 2|allowed|${SLOGWORKS_B}|$x|$"
	if got := cause(err); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if out := string(d.JSON()); !strings.Contains(out, "${SLOGWORKS_A}") || strings.Contains(out, "more") {
		t.Errorf("JSON tells what is in a variable:\n%s", out)
	}

	// A number is not text, and a variable not a number.
	expect(t, with(`h: {kind: memory, max_records: "${SLOGWORKS_N}"}`), `d:3: handlers.h.max_records: is "${SLOGWORKS_N}" and has to be a whole number`)
	expect(t, with(`h: {kind: memory, level: "${SLOGWORKS_N}"}`))
}

func TestParse_readsNoOtherVariables(t *testing.T) {
	t.Setenv("OTHER_TEST", "x")
	expect(t, with(`h: {kind: file, path: "${OTHER_TEST}/${SLOGWORKS_NOT_SET}"}`),
		`d:3: handlers.h.path: the variable "OTHER_TEST" is not for documents: only SLOGWORKS_… are, and those that the program allows`,
		`d:3: handlers.h.path: the variable SLOGWORKS_NOT_SET is not set`)
}

func TestSecret_printsAsStars(t *testing.T) {
	w := newWorkshop()
	var key config.Secret
	config.Register(w.Registry, "safe", newSafe(&key))
	if _, err := w.parse(t, "version: 1\nhandlers: {s: {kind: safe, key: hunter2}}\nroot: {to: s}\n").Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if key.Reveal() != "hunter2" {
		t.Fatalf("got %q", key.Reveal())
	}
	j, err := json.Marshal(map[string]any{"k": key, "p": &key})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "k", key)
	for _, out := range []string{string(j), b.String(), key.String(), fmt.Sprintf("%v %+v %#v %s %q", key, key, key, key, key)} {
		if strings.Contains(out, "hunter2") || !strings.Contains(out, "***") {
			t.Errorf("prints %s", out)
		}
	}
	if (config.Secret{}).String() != "" {
		t.Error("no secret prints as one")
	}
}

func TestSecret_isReadFromItsFile(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{"a b": "a b", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", strings.Repeat("x", 64<<10): strings.Repeat("x", 64<<10)} {
		file := filepath.Join(dir, "key")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		w := newWorkshop()
		var key config.Secret
		config.Register(w.Registry, "safe", newSafe(&key))
		d := w.parse(t, "version: 1\nhandlers: {s: {kind: safe, key_file: "+file+"}}\nroot: {to: s}\n")
		if _, err := d.Build(t.Context()); err != nil {
			t.Fatal(err)
		}
		if key.Reveal() != want {
			t.Errorf("%.20q gives %.20q", content, key.Reveal())
		}
		if !strings.Contains(string(d.JSON()), file) {
			t.Error("the path of the file is hidden")
		}
	}
	file := filepath.Join(dir, "long")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", 64<<10+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := parse(t, fmt.Sprintf(strings.ReplaceAll(withToken, "token:", "token_file:"), file)).Build(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has more than 65536 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestDocument_JSON_hidesSecretsAndPasswordsInURLs(t *testing.T) {
	w := newWorkshop()
	d := w.parse(t, `
version: 1
handlers:
  t: {kind: tool, key: hunter2, fail: "redis://bob:hunter2@localhost:6379/0"}
  u: {kind: tool, fail: "https://:hunter2@h/?a:b@c"}
  v: {kind: tool, fail: "see http://h/a:b@c"}
  n: {kind: notify, via: apprise, urls: ["mailto://bob:hunter2@h", "x"], command: {env: {KEY: hunter2}}}
root: {to: [t, u, v, n]}
`)
	out := string(d.JSON())
	if strings.Contains(out, "hunter2") {
		t.Errorf("a secret is told:\n%s", out)
	}
	for _, want := range []string{`"redis://bob:***@localhost:6379/0"`, `"https://:***@h/?a:b@c"`, `"see http://h/a:b@c"`, `"KEY": "***"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}

func TestOptions_keepsSecretsThatAreStars(t *testing.T) {
	t.Setenv("SLOGWORKS_TEST_TOKEN", "hunter3")
	old := parse(t, fmt.Sprintf(withToken, "${SLOGWORKS_TEST_TOKEN}"))
	t.Setenv("SLOGWORKS_TEST_TOKEN", "another") // the present one is kept, not read again
	again, err := config.ParseAfter(old.JSON(), config.Options{}, old)
	if err != nil {
		t.Fatal(err)
	}
	if config.Fingerprint(again) != config.Fingerprint(old) {
		t.Error("what JSON shows is another document than it was made of")
	}
	if strings.Contains(string(again.JSON()), "hunter3") {
		t.Error("what was kept is told")
	}
	// Twice, as a GET follows a PUT.
	third, err := config.ParseAfter(again.JSON(), config.Options{}, again)
	if err != nil {
		t.Fatal(err)
	}
	if config.Fingerprint(third) != config.Fingerprint(old) {
		t.Error("the secret does not live through two changes")
	}
	// Where there was none, or under another name, there is nothing to keep.
	other := strings.ReplaceAll(string(old.JSON()), `"s"`, `"t"`)
	if _, err := config.ParseAfter([]byte(other), config.Options{}, old); err == nil || !strings.Contains(err.Error(), "is *** and there is nothing that it stands for") {
		t.Errorf("got %v", err)
	}
}

func TestOptions_keepsAPasswordInAURLForTheSameHostOnly(t *testing.T) {
	const document = "version: 1\nhandlers: {t: {kind: tool, fail: %q}}\nroot: {to: t}\n"
	w := newWorkshop()
	old := w.parse(t, fmt.Sprintf(document, "redis://bob:hunter2@h:1/0"))
	for url, want := range map[string]string{
		"redis://bob:***@h:1/0": "redis://bob:hunter2@h:1/0",
		"redis://bob:***@h:1/5": "redis://bob:hunter2@h:1/5",
		"redis://bob:new@h:1/0": "redis://bob:new@h:1/0",
		"redis://bob:***@i:1/0": "",
		"redis://eve:***@h:1/0": "",
		"http://bob:***@h:1/0":  "",
	} {
		d, err := config.ParseAfter([]byte(fmt.Sprintf(document, url)), config.Options{Registry: w.Registry}, old)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "***") {
				t.Errorf("%s: got %v", url, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if _, err := d.Build(t.Context()); cause(err) != want {
			t.Errorf("%s: got %s, want %s", url, cause(err), want)
		}
	}
}

// Mistakes go into logs and answers. What is in a secret or in a variable does
// not, be it that the document or that a kind is wrong.
func TestMistakes_tellNoSecrets(t *testing.T) {
	t.Setenv("SLOGWORKS_TEST_SECRET", "hunter2")
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte("hunter2\n"), 0o600))
	w := newWorkshop()
	config.Register(w.Registry, "talker", func(_ context.Context, o struct {
		Key    config.Secret
		Map    map[string]config.Secret
		URL    string
		Panics bool
	}, _ *config.Env) (slog.Handler, error) {
		text := fmt.Sprintf("no %s %q %s at %s", o.Key.Reveal(), o.Key.Reveal(), o.Map["a"].Reveal(), o.URL)
		if o.Panics {
			panic(text)
		}
		return nil, errors.New(text)
	})
	for _, handler := range []string{
		`{kind: socket, address: "tcp://127.0.0.1:1", token: 40111}`,
		`{kind: http, url: 40111}`,
		`{kind: http, url: "http://a/", header: {a: 40111}}`,
		`{kind: notify, via: apprise, urls: [40111]}`,
		`{kind: file, path: x, max_age: "${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: file, path: x, format: "${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: file, path: x, schedule: "every ${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: "${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: memory, level: "${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: socket, address: "${SLOGWORKS_TEST_SECRET}"}`,
		`{kind: notify, via: "x://bob:hunter2@h"}`,
		`{kind: redact, to: "${SLOGWORKS_TEST_SECRET}", key_patterns: ["${SLOGWORKS_TEST_SECRET}("]}`,
		`{kind: talker, key: hunter2}`,
		`{kind: talker, key: "hunter2\"", panics: true}`,
		`{kind: talker, key_file: ` + file + `}`,
		`{kind: talker, map: {a: hunter2}}`,
		`{kind: talker, url: "x://bob:hunter2@h"}`,
		`{kind: talker, url: "${SLOGWORKS_TEST_SECRET}"}`,
	} {
		d, err := config.Parse([]byte(with("h: "+handler)), &config.Options{Registry: w.Registry})
		if err == nil {
			_, err = d.Build(t.Context())
		}
		if err == nil {
			t.Errorf("%s is accepted", handler)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "40111") {
			t.Errorf("%s: %v", handler, err)
		}
	}
}

// A GET and a PUT of what it shows change nothing, wherever secrets stand.
func TestOptions_keepsWhatJSONShows(t *testing.T) {
	t.Setenv("SLOGWORKS_TEST_USER", "bob")
	t.Setenv("SLOGWORKS_TEST_DB", "3")
	const document = `version: 1
handlers:
  n: {kind: notify, via: apprise, urls: "discord://hunter2"}
  m: {kind: notify, via: apprise, urls: ["discord://hunter2", "x://hunter2"]}
  c: {kind: notify, via: command, command: {path: /x, args: ["--url=redis://bob:hunter2@h", "a://x:hunter2@h/ b://y:hunter2@z/"]}}
  u: {kind: socket, address: "tcp://127.0.0.1:1", process: "redis://${SLOGWORKS_TEST_USER}:hunter2@h/${SLOGWORKS_TEST_DB}"}
root: {to: [n, m, c, u]}
`
	d := parse(t, document)
	out := string(d.JSON())
	if strings.Contains(out, "hunter2") {
		t.Errorf("a secret is told:\n%s", out)
	}
	again, err := config.ParseAfter([]byte(out), config.Options{}, d)
	if err != nil {
		t.Fatal(err)
	}
	if config.Fingerprint(again) != config.Fingerprint(d) {
		t.Errorf("%s\nis another document", out)
	}
	for what, changed := range map[string]string{
		"one of two":          strings.Replace(document, `["discord://hunter2", "x://hunter2"]`, `["***"]`, 1),
		"of another kind":     strings.Replace(document, `kind: notify, via: apprise, urls: "discord://hunter2"`, `kind: http, url: "http://a/", bearer: "***"`, 1),
		"for a host and more": strings.Replace(document, `=redis://bob:hunter2@h"`, `=redis://bob:***@h,evil/"`, 1),
		"for another in text": strings.Replace(document, `b://y:hunter2@z/`, `b://y:***@evil/`, 1),
	} {
		if _, err := config.ParseAfter([]byte(changed), config.Options{}, d); err == nil || !strings.Contains(err.Error(), "nothing that it stands for") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// An option that is no secret may say ***, as the text of redact does.
func TestOptions_takesStarsAsTextWhereNoSecretIs(t *testing.T) {
	const document = "version: 1\nhandlers: {r: {kind: redact, to: m, text: %q}, m: {kind: memory}}\nroot: {to: r}\n"
	old := parse(t, fmt.Sprintf(document, "[gone]"))
	stars, err := config.ParseAfter([]byte(fmt.Sprintf(document, "***")), config.Options{}, old)
	must(t, err)
	if config.Fingerprint(stars) != config.Fingerprint(parse(t, fmt.Sprintf(document, "***"))) {
		t.Error("*** stands for what was there")
	}
}

func TestOptions_letsGoOfTheDocumentBefore(t *testing.T) {
	const document = "version: 1\nroot: {to: []}\n"
	old := parse(t, document)
	held := weak.Make(old)
	d, err := config.ParseAfter([]byte(document), config.Options{}, old)
	must(t, err)
	old = nil
	runtime.GC()
	if held.Value() != nil {
		t.Error("each document holds all that were before it")
	}
	runtime.KeepAlive(d)
}
