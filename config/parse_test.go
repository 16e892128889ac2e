package config_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/sinks/socket"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// mistakes returns what Parse says about the document, line by line.
func mistakes(t *testing.T, document string) []string {
	t.Helper()
	d, err := config.Parse([]byte(document), &config.Options{File: "d"})
	if err == nil {
		return nil
	}
	if d != nil {
		t.Error("a document with mistakes is returned")
	}
	var all config.Mistakes
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("the error is a %T without mistakes: %v", err, err)
	}
	return strings.Split(err.Error(), "\n")
}

func expect(t *testing.T, document string, want ...string) {
	t.Helper()
	got := mistakes(t, document)
	if len(got) != len(want) {
		t.Errorf("%s\ngot\n\t%s\nwant\n\t%s", document, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		return
	}
	for i, line := range got {
		if line != want[i] {
			t.Errorf("got  %s\nwant %s", line, want[i])
		}
	}
}

// with is a document with these handlers in line 3, of which root names h.
// after returns what an error says after a word.
func after(err error, word string) string {
	_, rest, _ := strings.Cut(err.Error(), word)
	return rest
}

func with(handlers string) string {
	return "version: 1\nhandlers:\n  " + handlers + "\nroot: {to: [h]}\n"
}

func TestParse_findsEachMistake(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		want     string
	}{
		"syntax":                   {"version: 1\nroot: {to: [}\n", "d:2: not YAML: did not find expected node content"},
		"syntax of JSON":           {"{\"version\": 1,\n\"root\": {\"to\": []},\n}", ""},
		"really wrong JSON":        {"{\"version\": 1,\n\"root\" {\"to\": []]\n}", "d:2: not JSON: invalid character '{' after object key"},
		"an empty document":        {"", "d:1: the document is empty"},
		"a comment":                {"# nothing\n", "d:1: the document is empty"},
		"a text":                   {"hello", `d:1: is "hello" and has to be a mapping with version, handlers and root`},
		"a list":                   {"- 1\n", "d:1: is a list and has to be a mapping with version, handlers and root"},
		"two documents":            {"version: 1\nroot: {to: []}\n---\nversion: 1\n", "d:3: a second document begins here: a file has one"},
		"not UTF-8":                {"version: 1\nroot: {to: [\xff]}\n", "d:2: not UTF-8"},
		"no version":               {"root: {to: []}\n", "d:1: version: is missing: write version: 1"},
		"another version":          {"version: 2\nroot: {to: []}\n", "d:1: version: is 2 and has to be 1"},
		"version as text":          {"version: '1'\nroot: {to: []}\n", `d:1: version: is "1" and has to be 1`},
		"no root":                  {"version: 1\n", "d:1: root: is missing: write root: {to: [NAME]}, or to: [] for none"},
		"no to at root":            {"version: 1\nroot: {level: info}\n", "d:2: root: needs to: a list of handlers, or [] for none"},
		"an unknown key":           {"version: 1\nroot: {to: []}\nlogers: {a: {level: info}}\n", `d:3: logers: unknown key "logers" (did you mean "loggers"?)`},
		"a key far from all":       {"version: 1\nroot: {to: []}\nfilters: 1\n", `d:3: filters: unknown key "filters", there is version, handlers, root, loggers`},
		"an unknown kind":          {with("h: {kind: flie, path: x}"), `d:3: handlers.h.kind: unknown kind "flie" (did you mean "file"?)`},
		"no kind":                  {with("h: {path: x}"), "d:3: handlers.h: needs kind, there is buffer, console, context, discard, failover, fanout, file, fingerscrossed, first, http, limit, live, memory, middleware, notify, queue, redact, router, socket, syslog"},
		"nothing at all":           {with("h: {}"), "d:3: handlers.h: needs kind, there is buffer, console, context, discard, failover, fanout, file, fingerscrossed, first, http, limit, live, memory, middleware, notify, queue, redact, router, socket, syslog"},
		"a handler without a name": {with("h: {kind: queue, to: ''}\n  '': {kind: discard}"), "d:4: handlers.: a handler needs a name"},
		"a handler that is text":   {with("h: file"), `d:3: handlers.h: is "file" and has to be a mapping with a kind`},
		"an empty handler":         {with("h:"), "d:3: handlers.h: is empty and has to be a mapping with a kind"},
		"an unknown option":        {with("h: {kind: file, path: x, max_sise: 1}"), `d:3: handlers.h.max_sise: unknown option "max_sise" (did you mean "max_size"?)`},
		"a missing option":         {with("h: {kind: file}"), "d:3: handlers.h: needs path"},
		"an empty option":          {with("h:\n    kind: file\n    path:"), "d:5: handlers.h.path: is empty and has to be text"},
		"a number for text":        {with("h: {kind: file, path: 7}"), `d:3: handlers.h.path: is 7 and has to be text: write "7"`},
		"a list for text":          {with("h: {kind: file, path: [x]}"), "d:3: handlers.h.path: is a list and has to be text"},
		"text for a number":        {with("h: {kind: memory, max_records: many}"), `d:3: handlers.h.max_records: is "many" and has to be a whole number`},
		"a fraction":               {with("h: {kind: memory, max_records: 1.5}"), "d:3: handlers.h.max_records: is 1.5 and has to be a whole number from -9223372036854775808 to 9223372036854775807"},
		"a number too large":       {with("h: {kind: memory, max_records: 99999999999999999999}"), "d:3: handlers.h.max_records: is 99999999999999999999 and has to be a whole number from -9223372036854775808 to 9223372036854775807"},
		"text for a truth":         {with("h: {kind: file, path: x, compress: maybe}"), `d:3: handlers.h.compress: is "maybe" and has to be true or false`},
		"yes for a truth":          {with("h: {kind: file, path: x, compress: yes}"), `d:3: handlers.h.compress: is "yes" and has to be true or false`},
		"a bad size":               {with("h: {kind: file, path: x, max_size: 10 apples}"), `d:3: handlers.h.max_size: is "10 apples" and has to be a size such as 1048576, 64KiB or 100MB`},
		"a bad duration":           {with("h: {kind: file, path: x, max_age: 10}"), "d:3: handlers.h.max_age: is 10 and has to be a duration such as 10s, 1h30m or 7d"},
		"a bad level":              {with("h: {kind: memory, level: eror}"), `d:3: handlers.h.level: is "eror" and has to be a level such as info, error+4 or -4 (did you mean "error"?)`},
		"a bad word":               {with("h: {kind: console, color: allways}"), `d:3: handlers.h.color: unknown value "allways" (did you mean "always"?)`},
		"a bad mode":               {with("h: {kind: file, path: x, mode: 640}"), `d:3: handlers.h.mode: is 640: has to be a mode in octal such as "0640"`},
		"a bad format":             {with("h: {kind: file, path: x, format: jsno}"), `d:3: handlers.h.format: unknown value "jsno" (did you mean "json"?)`},
		"a bad layout":             {with("h: {kind: file, path: x, format: {layout: '{tme}'}}"), `d:3: handlers.h.format.layout: is "{tme}": unknown {tme} in the layout, did you mean {time}?`},
		"a bad schedule":           {with("h: {kind: file, path: x, schedule: sometimes}"), `d:3: handlers.h.schedule: is "sometimes": has to be hourly, daily, daily 03:00, weekly monday 03:00 or every 15m, and may end in UTC or the name of a time zone`},
		"a bad address":            {with("h: {kind: socket, address: 'ftp://x'}"), `d:3: handlers.h.address: "ftp://x": want ` + after(socket.Check("ftp://x", nil), "want ")},
		"no URL for an address":    {with("h: {kind: syslog, address: nonsense}"), "d:3: handlers.h.address: " + after(syslog.Check("nonsense", nil), "target ")},
		"Python's debug":           {"version: 1\nroot: {to: [], level: 10}\n", "d:2: root.level: 10 is above ERROR here; Python's 10 is debug: write debug"},
		"Python's info":            {with("h: {kind: memory, level: 20}"), "d:3: handlers.h.level: 20 is above ERROR here; Python's 20 is info: write info"},
		"Python's critical":        {"version: 1\nroot: {to: []}\nloggers: {a: {level: '50'}}\n", "d:3: loggers.a.level: 50 is above ERROR here; Python's 50 is critical: write critical"},
		"no mail here":             {with("h: {kind: mail}"), `d:3: handlers.h.kind: kind mail is not registered in this program: see docs/python-dictconfig.md for the lines that do`},
		"no redis here":            {with("h: {kind: redis}"), `d:3: handlers.h.kind: kind redis is not registered in this program: see docs/python-dictconfig.md for the lines that do for mail; here they call redis.New of sinks/redis`},
		"a count below 0":          {with("h: {kind: queue, to: m, capacity: -4}\n  m: {kind: memory, max_records: -1}"), "d:3: handlers.h.capacity: is -4 and has to be a whole number from 0 on"},
		"backups below 0":          {with("h: {kind: file, path: x, max_backups: -1}"), "d:3: handlers.h.max_backups: is -1 and has to be a whole number from 0 on"},
		"a file of two":            {"version: 1\nhandlers:\n  a: {kind: file, path: ./x/../y.log}\n  b:\n    kind: file\n    path: y.log\nroot: {to: [a, b]}\n", "d:6: handlers.b.path: is the file of handlers.a"},
		"a formatter":              {with("h: {kind: file, path: x, formatter: plain}"), `d:3: handlers.h.formatter: is of Python's dictConfig (did you mean "format"?)`},
		"formatters":               {"version: 1\nroot: {to: []}\nformatters: {a: {format: b}}\n", "d:3: formatters: is not needed: leave it out"},
		"handlers of root":         {"version: 1\nhandlers: {h: {kind: memory}}\nroot: {handlers: [h]}\n", `d:3: root.handlers: is of Python's dictConfig (did you mean "to"?)`},
		"a bad pattern":            {with("h: {kind: redact, to: m, key_patterns: ['(']}\n  m: {kind: memory}"), "d:3: handlers.h.key_patterns[0]: is \"(\": error parsing regexp: missing closing ): `(`"},
		"an unknown middleware":    {with("h: {kind: middleware, use: [x], to: m}\n  m: {kind: memory}"), `d:3: handlers.h: unknown middleware "x": the program has not registered it`},
		"a secret given twice":     {with("h: {kind: socket, address: 'tcp://a:1', token: a, token_file: b}"), "d:3: handlers.h.token_file: is there beside token: one of the two"},
		"*** for a secret":         {with("h: {kind: socket, address: 'tcp://a:1', token: '***'}"), "d:3: handlers.h.token: is *** and there is nothing that it stands for"},
		"a page for everyone":      {with("h: {kind: live, http: ':80', token: x}"), "d:3: handlers.h: http is an address that others can reach, and there is no TLS: allow_remote: true permits it"},
		"a page without a token":   {with("h: {kind: live, http: '127.0.0.1:80'}"), "d:3: handlers.h: needs token or token_file"},
		"an unknown name":          {with("h: {kind: queue, to: spma}\n  spam: {kind: memory}"), `d:3: handlers.h.to: unknown handler "spma" (did you mean "spam"?)`},
		"an empty to":              {with("h: {kind: fanout, to: []}"), "d:3: handlers.h.to: names no handler"},
		"an empty to of a queue":   {with("h: {kind: queue, to: []}"), "d:3: handlers.h.to: names no handler"},
		"an empty to of a logger":  {"version: 1\nroot: {to: []}\nloggers: {a: {to: []}}\n", "d:3: loggers.a.to: names no handler"},
		"a name twice in a to":     {with("h: {kind: queue, to: [m, m]}\n  m: {kind: memory}"), `d:3: handlers.h.to[1]: "m" stands here a second time`},
		"itself":                   {with("h: {kind: queue, to: h}"), "d:3: handlers.h.to: leads back to itself: h → h"},
		"a cycle":                  {with("h: {kind: queue, to: [m, i]}\n  i: {kind: queue, to: j}\n  j: {kind: queue, to: i}\n  m: {kind: memory}"), "d:5: handlers.j.to: leads back to itself: i → j → i"},
		"an unused handler":        {with("h: {kind: memory}\n  i: {kind: memory}"), "d:4: handlers.i: nothing sends it records: name it in a to, or remove it"},
		"a handler twice":          {with("h: {kind: memory}\n  h: {kind: console}"), "d:4: handlers.h: stands here a second time, first on line 3"},
		"an option twice":          {with("h: {kind: memory, level: info,\n level: warn}"), "d:4: handlers.h.level: stands here a second time, first on line 3"},
		"a key of JSON twice":      {"{\"version\": 1, \"root\": {\"to\": []},\n\"version\": 1}", "d:2: version: stands here a second time, first on line 1"},
		"bubble at root":           {"version: 1\nroot: {to: [], bubble: false}\n", `d:2: root.bubble: unknown key "bubble", there is level, to`},
		"bubble with nowhere":      {"version: 1\nroot: {to: []}\nloggers: {a: {bubble: false}}\n", "d:3: loggers.a.bubble: keeps the records from every handler: say where they go by to"},
		"a logger without a name":  {"version: 1\nroot: {to: []}\nloggers: {'': {level: info}}\n", "d:3: loggers.: the logger without a name is root"},
		"an anchor":                {"version: 1\nroot: &r {to: []}\n", "d:2: root: anchors (&) and aliases (*) are not read here: write the value out"},
		"a merge key":              {"version: 1\nroot: {to: [], <<: {level: info}}\n", "d:2: root: merge keys (<<) are not read here: write the values out"},
		"a tag":                    {"version: 1\nroot: {to: [], level: !mine info}\n", "d:2: root.level: the tag !mine is not read here"},
		"a key that is a list":     {"version: 1\nroot: {to: []}\n? [a]\n: b\n", "d:3: a key has to be a plain text"},
		"too deep":                 {"version: 1\nroot: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "d:2: more than 32 levels deep"},
		"a trigger without a word": {with("h: {kind: buffer, to: m, trigger: [{}]}\n  m: {kind: memory}"), "d:3: handlers.h.trigger[0]: a trigger needs count, level, older_than or quiet"},
		"a tab":                    {"version: 1\nroot:\n\tto: []\n", "d:3: not YAML: found character that cannot start any token (a tab: indent with blanks)"},
		"a tab behind blanks":      {"version: 1\nroot:\n  level: info\n  \tto: []\n", "d:4: not YAML: found a tab character that violates indentation (a tab: indent with blanks)"},
		"a tab behind a dash":      {"version: 1\nroot:\n  to:\n  -\ta\n", "d:4: not YAML: found character that cannot start any token (a tab: indent with blanks)"},
		"no tab":                   {"version: 1\nroot:\n\n  to: @x\n", "d:4: not YAML: found character that cannot start any token"},
		"an unknown tag handle":    {"version: 1\nroot: {to: []}\nx: !a!b c\n", "d:3: not YAML: found undefined tag handle"},
		"a tag of a mapping":       {with("h: !mine {kind: memory}"), "d:3: handlers.h: the tag !mine is not read here"},
		"a tag of a list":          {"version: 1\nroot: {to: !mine []}\n", "d:2: root.to: the tag !mine is not read here"},
		"lines that end in CRLF":   {"version: 1\r\nhandlers:\r\n  h: {kind: memory, max_recods: 1}\r\nroot: {to: h}\r\n", `d:3: handlers.h.max_recods: unknown option "max_recods" (did you mean "max_records"?)`},
		"an octal number":          {with("h: {kind: memory, max_records: 0o17}"), `d:3: handlers.h.max_records: is "0o17" and has to be a whole number`},
		"a name in two places":     {with("h: {kind: fanout, to: [m, [n, m]]}\n  m: {kind: memory}\n  n: {kind: memory}"), "d:3: handlers.h.to[1]: names a handler that stands before it already"},
		"no routes":                {with("h: {kind: router, routes: []}"), "d:3: handlers.h.routes: is empty and has to be given"},
		"an empty path":            {with("h: {kind: file, path: ''}"), "d:3: handlers.h.path: is empty and has to be given"},
		"an empty token":           {with("h: {kind: live, http: '127.0.0.1:80', token: ''}"), "d:3: handlers.h.token: is empty and has to be given"},
		"no middleware":            {with("h: {kind: middleware, use: [], to: m}\n  m: {kind: memory}"), "d:3: handlers.h.use: is empty and has to be given"},
		"half a variable":          {with("h: {kind: file, path: '${SLOGWORKS_X'}"), "d:3: handlers.h.path: has a ${ without a }: write $${ if it is to stand for itself"},
		"tls without https":        {with("h: {kind: http, url: 'http://a/', tls: {server_name: b}}"), "d:3: handlers.h: tls is for https://"},
		"notify without a URL":     {with("h: {kind: notify, via: slack}"), "d:3: handlers.h: slack needs url or url_file"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				expect(t, c.document)
				return
			}
			expect(t, c.document, c.want)
		})
	}
}

func TestParse_tellsAllMistakesAtOnceInOrder(t *testing.T) {
	expect(t, `version: 2
handlers:
  a: {kind: flie, path: x}
  m: {kind: memory, level: warm}
  q: {kind: queue, to: spma, capacity: x}
  spam: {kind: file, path: p, compres: true}
  u: {kind: discard}
root: {level: info, to: [m, m, a, q]}
logers: {}
`,
		`d:1: version: is 2 and has to be 1`,
		`d:3: handlers.a.kind: unknown kind "flie" (did you mean "file"?)`,
		`d:4: handlers.m.level: is "warm" and has to be a level such as info, error+4 or -4 (did you mean "warn"?)`,
		`d:5: handlers.q.capacity: is "x" and has to be a whole number`,
		`d:5: handlers.q.to: unknown handler "spma" (did you mean "spam"?)`,
		`d:6: handlers.spam.compres: unknown option "compres" (did you mean "compress"?)`,
		`d:7: handlers.u: nothing sends it records: name it in a to, or remove it`,
		`d:8: root.to[1]: "m" stands here a second time`,
		`d:9: logers: unknown key "logers" (did you mean "loggers"?)`,
	)
}

// What one slip hides is no second mistake.
func TestParse_makesNoSecondMistakeOfOne(t *testing.T) {
	expect(t, "version: 1\nhandlers: {m: {kind: memory}}\nroot: {to: []}\nlogers: {a: {to: [m]}}\n",
		`d:4: logers: unknown key "logers" (did you mean "loggers"?)`)
	expect(t, "version: 1\nhandlers:\n  q: {kind: quue, to: m}\n  m: {kind: memory}\nroot: {to: [q]}\n",
		`d:3: handlers.q.kind: unknown kind "quue" (did you mean "queue"?)`)
	expect(t, "version: 1\nhandlers:\n  q: &x {kind: queue, to: m}\n  m: {kind: memory}\nroot: {to: [q, m]}\n",
		`d:3: handlers.q: anchors (&) and aliases (*) are not read here: write the value out`)
	for document, want := range map[string]string{
		"version: 1\nhandler:\n  h: {kind: memory}\nroot: {to: h}\n":                   `d:2: handler: unknown key "handler" (did you mean "handlers"?)`,
		"version: 1\nhandlers: [h]\nroot: {to: h}\n":                                   "d:2: handlers: is a list and has to be a mapping of names",
		"version: 1\nhandlers:\n  h: {kind: memory}\nroot: [h]\n":                      "d:4: root: is a list and has to be a mapping with level and to",
		"version: 1\nhandlers:\n  h: {kind: memory}\nrot: {to: h}\n":                   `d:4: rot: unknown key "rot" (did you mean "root"?)`,
		"vresion: 1\nroot: {to: []}\n":                                                 `d:1: vresion: unknown key "vresion" (did you mean "version"?)`,
		"version: 1\nroot: {too: []}\n":                                                `d:2: root.too: unknown key "too" (did you mean "to"?)`,
		"version: 1\nhandlers: {m: {kind: memory}}\nroot: {to: []}\nloggers: {a: m}\n": `d:4: loggers.a: is "m" and has to be a mapping with level and to`,
		with("h: &x {kind: queue, to: m}\n  m: {kind: memory}"):                        "d:3: handlers.h: anchors (&) and aliases (*) are not read here: write the value out",
		with("h: m\n  m: {kind: memory}"):                                              `d:3: handlers.h: is "m" and has to be a mapping with a kind`,
		with("h: {kind: [queue], to: m}\n  m: {kind: memory}"):                         "d:3: handlers.h.kind: is a list and has to be text",
		with("h: {kind: router, routes: {to: m}}\n  m: {kind: memory}"):                "d:3: handlers.h.routes: is a mapping and has to be a list",
		with("h: {kind: memory}\n  h: {kind: queue, to: m}\n  m: {kind: memory}"):      "d:4: handlers.h: stands here a second time, first on line 3",
		with("h: {kind: limit, to: m, sample: [{evry: 2}]}\n  m: {kind: memory}"):      `d:3: handlers.h.sample[0].evry: unknown option "evry" (did you mean "every"?)`,
		with("h: {kind: live, http: 'localhost:1', tokne: x}"):                         `d:3: handlers.h.tokne: unknown option "tokne" (did you mean "token"?)`,
	} {
		expect(t, document, want)
	}
}

func TestParse_readsJSONAndYAMLAlike(t *testing.T) {
	yaml := `
version: 1
handlers:
  "a\tb": {kind: file, path: "ü\U0001F600/x", max_size: 10MB, mode: 0640, compress: true}
root: {level: 4, to: ["a\tb"]}
`
	json := "{\"version\":\t1,\n\t\"handlers\": {\n\t\t\"a\\tb\": {\"kind\": \"file\", \"path\": \"\\u00fc\\ud83d\\ude00\\/x\",\t\"max_size\": \"10MB\", \"mode\": \"0640\", \"compress\": true}},\n" +
		"\t\"root\": {\"level\": 4, \"to\": [\"a\\tb\"]}}"
	a, err := config.Parse([]byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := config.Parse([]byte(json), nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.JSON()) != string(b.JSON()) {
		t.Errorf("YAML gives\n%s\nJSON gives\n%s", a.JSON(), b.JSON())
	}
	again, err := config.Parse(a.JSON(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.JSON()) != string(a.JSON()) {
		t.Errorf("JSON() of JSON() is\n%s", again.JSON())
	}
	// A byte order mark, as editors on Windows write it, is no content.
	if _, err := config.Parse([]byte("\ufeff"+json), nil); err != nil {
		t.Error(err)
	}
}

func TestParse_countsLinesOfJSON(t *testing.T) {
	expect(t, "{\"version\": 1,\n \"handlers\": {\n  \"h\": {\n   \"kind\": \"memory\",\n   \"max_records\":\n     \"x\"\n  }\n },\n \"root\": {\"to\": [\"h\",\n\"i\"]}}",
		`d:6: handlers.h.max_records: is "x" and has to be a whole number`,
		`d:10: root.to[1]: unknown handler "i", there is h`)
}

// What a peer sends must cost no more than its size explains.
func TestParse_refusesHostileDocuments(t *testing.T) {
	size := 1<<20 - 100
	if raceEnabled {
		size = 1 << 16 // it is for what is right there, not for what it costs
	}
	bomb := "version: 1\na0: &a0 [x]\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	bomb += "root: {to: *a29}\n"
	deep := ""
	for i := range 1000 {
		deep += strings.Repeat(" ", i) + "a:\n"
	}
	for name, document := range map[string]string{
		"10 MB":                       "# " + strings.Repeat("x", 10<<20),
		"10,000 levels of YAML":       "root: " + strings.Repeat("[", 10000),
		"10,000 closed levels":        "root: " + strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
		"10,000 levels of JSON":       `{"root":` + strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10001),
		"10,000 levels of lists":      `{"root":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
		"1,000 levels by indentation": deep,
		"an alias bomb":               bomb,
		"an alias to itself":          "root: &a [*a]\n",
		"many values":                 "root: {to: [" + strings.Repeat("a,", size/2-20) + "a]}",
		"many keys at once":           "{" + strings.Repeat("a: 1,", size/5-2) + "}",
		"many keys":                   "version: 1\n" + strings.Repeat("? a\n", size/4-10),
		"many names":                  distinct(size, "root: {to: [", "%x,", "a]}"),
		"many handlers":               distinct(size, "handlers: {", "%x: {kind: discard},", "}"),
		"many loggers":                distinct(size, "loggers: {", "%x: {},", "}"),
		"many options":                distinct(size, "handlers: {h: {kind: file, ", "o%x: 1,", "}}"),
		"a control character":         "version: 1\x00",
		"a long name":                 "version: 1\n" + strings.Repeat("a", size/2) + ": 1\nroot: {to: []}",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := mistakes(t, document)
			runtime.ReadMemStats(&after)
			if len(got) == 0 {
				t.Fatal("it is accepted")
			}
			if len(got) > 100 {
				t.Errorf("%d mistakes are told", len(got))
			}
			for _, m := range got {
				if len(m) > 1000 {
					t.Errorf("a mistake has %d bytes: %.100s…", len(m), m)
				}
			}
			if used := after.TotalAlloc - before.TotalAlloc; !raceEnabled && used > 512<<20 {
				t.Errorf("%d MB were allocated for %d bytes", used>>20, len(document))
			}
		})
	}
	expect(t, "# "+strings.Repeat("x", 10<<20), "d: the document has 10485762 bytes and may have 1048576")
	expect(t, bomb[:strings.Index(bomb, "a1:")],
		"d:1: root: is missing: write root: {to: [NAME]}, or to: [] for none",
		"d:2: a0: anchors (&) and aliases (*) are not read here: write the value out",
		`d:2: a0: unknown key "a0", there is version, handlers, root, loggers`)
}

// distinct is a document of so many bytes of names that differ.
func distinct(size int, before, item, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, item, 0x1000000+i*7919)
	}
	return b.String() + after
}

func TestParse_readsNamesAsTheyAre(t *testing.T) {
	d, err := config.Parse([]byte(`
version: 1
handlers:
  other.log: {kind: memory}
  "1": {kind: memory}
  2: {kind: memory}
  true: {kind: memory}
  "with blanks": {kind: memory}
root: {to: [other.log, "1", "2", "true", "with blanks"]}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(d.JSON()), `"other.log": {`) {
		t.Errorf("%s", d.JSON())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: 1\nroot: {to: []}\n")
	f.Add(`{"version":1,"handlers":{"h":{"kind":"file","path":"x","max_size":"10MB"}},"root":{"to":["h"]},"loggers":{"a.b":{"level":"debug","bubble":false,"to":"h"}}}`)
	f.Add("version: 1\nhandlers:\n  q: {kind: queue, to: [m, n]}\n  m: {kind: memory, level: error+4}\n  n: {kind: socket, address: 'tcp://127.0.0.1:1', token: ${SLOGWORKS_X}}\nroot: {to: q}\n")
	f.Add("a: &a [*a]\n")
	f.Add("{\"a\": \"\\ud800\"}")
	f.Add("version: !!binary aGk=\nroot: {to: [], level: 1e99}\n? [x]\n: 0o17\n")
	f.Add("version: 1\nhandlers: {f: {kind: file, path: p, format: {layout: '{time} {{ {attr:a.b}'}, schedule: weekly monday 25:00 UTC}}\nroot: {to: f}\n")
	registry := config.NewRegistry()
	f.Fuzz(func(t *testing.T, document string) {
		d, err := config.Parse([]byte(document), &config.Options{Registry: registry})
		if err != nil {
			var m config.Mistakes
			if !errors.As(err, &m) || len(m) == 0 || len(m) > 100 || d != nil {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		// What it accepts it can write, and accepts again.
		again, err := config.Parse(d.JSON(), &config.Options{Registry: registry})
		if err != nil {
			if !strings.Contains(err.Error(), "***") {
				t.Fatalf("%v\n%s", err, d.JSON())
			}
			return
		}
		if string(again.JSON()) != string(d.JSON()) {
			t.Fatalf("%s\n%s", again.JSON(), d.JSON())
		}
	})
}

func TestParse_tellsWhatADictConfigIsCalledHere(t *testing.T) {
	got := mistakes(t, `{
"version": 1,
"disable_existing_loggers": false,
"formatters": {"plain": {"format": "%(message)s"}},
"handlers": {"h": {
"class": "logging.handlers.RotatingFileHandler",
"formatter": "plain",
"filename": "x.log",
"maxBytes": 1000,
"backupCount": 5}},
"root": {"level": "INFO",
"handlers": ["h"]},
"loggers": {"a": {
"handlers": ["h"],
"propagate": false}}}`)
	want := []string{
		"d:3: disable_existing_loggers: is not needed: leave it out",
		"d:4: formatters: is not needed: leave it out",
		`d:6: handlers.h.class: is of Python's dictConfig (did you mean "kind"?)`,
		`d:7: handlers.h.formatter: is of Python's dictConfig (did you mean "format"?)`,
		`d:8: handlers.h.filename: is of Python's dictConfig (did you mean "path"?)`,
		`d:9: handlers.h.maxBytes: is of Python's dictConfig (did you mean "max_size"?)`,
		`d:10: handlers.h.backupCount: is of Python's dictConfig (did you mean "max_backups"?)`,
		`d:12: root.handlers: is of Python's dictConfig (did you mean "to"?)`,
		`d:14: loggers.a.handlers: is of Python's dictConfig (did you mean "to"?)`,
		`d:15: loggers.a.propagate: is of Python's dictConfig (did you mean "bubble"?)`,
	}
	checkAll(t, "mistakes", got, want)
}

// A document may come over the network, and what is said of it goes into logs and
// to terminals.
func TestParse_isShortAboutLongNames(t *testing.T) {
	parse := func(document string) string {
		t.Helper()
		_, err := config.Parse([]byte(document), nil)
		if err == nil {
			t.Fatal("the document was not refused")
		}
		return err.Error()
	}
	long := strings.Repeat("ab", 200_000)
	t.Run("a key", func(t *testing.T) {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, `, "x%d": 1`, i)
		}
		got := parse(`{"version": 1, "root": {"to": []}, "handlers": {"` + long + `": {"kind": "file"` + b.String() + `}}}`)
		check(t, "mistake", got, "line 1: handlers: has a key of 400000 bytes, and there may be 256")
	})
	t.Run("a name that could be a slip of another", func(t *testing.T) {
		got := parse(`{"version": 1, "root": {"to": ["b` + long + `"]}, "handlers": {"` + long + `": {"kind": "file"}}}`)
		if !strings.Contains(got, `root.to[0]: unknown handler "b`+long[:59]+`…"`) || len(got) > 500 {
			t.Errorf("got %.1000s", got)
		}
	})
	t.Run("a long way round", func(t *testing.T) {
		var b strings.Builder
		for i := range 900 {
			fmt.Fprintf(&b, "  h%d: {kind: queue, to: h%d}\n", i, (i+1)%900)
		}
		got := parse("version: 1\nroot: {to: []}\nhandlers:\n" + b.String())
		check(t, "mistake", got, "line 903: handlers.h899.to: leads back to itself: h0 → h1 → h2 → h3 → h4 → 891 more → h896 → h897 → h898 → h899 → h0")
	})
	t.Run("a name that a terminal would obey", func(t *testing.T) {
		got := parse(`{"version": 1, "root": {"to": []}, "handlers": {"a\u001b[31m\n.b": {"kind": "memory"}}}`)
		check(t, "mistake", got, `line 1: handlers."a\x1b[31m\n.b": nothing sends it records: name it in a to, or remove it`)
	})
}
