package redact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/redact"
)

// written is what a record printed as JSON and as text, each without time and
// level, and with a line feed behind.
type written struct{ json, text bytes.Buffer }

// logger returns one that is redacted in front of both of slog's handlers.
func (w *written) logger(opts *redact.Options) *slog.Logger {
	printed := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}
	both := fanout.New(slog.NewJSONHandler(&w.json, printed), slog.NewTextHandler(&w.text, printed))
	return slog.New(redact.New(both, opts))
}

// check compares what one call of log printed.
func check(t *testing.T, opts *redact.Options, log func(*slog.Logger), wantJSON, wantText string) {
	t.Helper()
	var w written
	log(w.logger(opts))
	if got := strings.TrimSuffix(w.json.String(), "\n"); got != wantJSON {
		t.Errorf("JSON\n got %s\nwant %s", got, wantJSON)
	}
	if got := strings.TrimSuffix(w.text.String(), "\n"); wantText != "" && got != wantText {
		t.Errorf("text\n got %s\nwant %s", got, wantText)
	}
}

// info logs the attributes with the message "m".
func info(args ...any) func(*slog.Logger) {
	return func(l *slog.Logger) { l.Info("m", args...) }
}

func patterns(expressions ...string) (list []*regexp.Regexp) {
	for _, e := range expressions {
		list = append(list, regexp.MustCompile(e))
	}
	return list
}

func TestOptions_nilIsTheSameAsZero(t *testing.T) {
	for _, opts := range []*redact.Options{nil, {}} {
		check(t, opts, info("password", "x", "user", "bob"),
			`{"msg":"m","password":"[REDACTED]","user":"bob"}`, `msg=m password=[REDACTED] user=bob`)
	}
	t.Run("and keys that are empty but not nil are none", func(t *testing.T) {
		check(t, &redact.Options{Keys: []string{}}, info("password", "x"), `{"msg":"m","password":"x"}`, `msg=m password=x`)
	})
}

func TestOptions_areCopied(t *testing.T) {
	opts := &redact.Options{
		Keys: []string{"a"}, Paths: []string{"g.b"}, Types: []reflect.Type{reflect.TypeFor[pin]()},
		KeyPatterns: patterns("^c$"), ValuePatterns: patterns("secret"),
	}
	var w written
	logger := w.logger(opts)
	opts.Keys[0], opts.Paths[0], opts.Types[0] = "x", "x.x", reflect.TypeFor[bytes.Buffer]()
	opts.KeyPatterns[0], opts.ValuePatterns[0] = opts.ValuePatterns[0], opts.KeyPatterns[0]
	*opts = redact.Options{}
	logger.Info("m", "a", 1, slog.Group("g", "b", 2), "c", 3, "d", "secret", "e", pin(1234))
	if got, want := w.text.String(), "msg=m a=[REDACTED] g.b=[REDACTED] c=[REDACTED] d=[REDACTED] e=[REDACTED]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if keys := redact.CommonKeys(); true {
		keys[0] = "x"
		if redact.CommonKeys()[0] == "x" {
			t.Error("CommonKeys returns the same slice twice")
		}
	}
}

func TestNew_panicsAtWhatIsNoRule(t *testing.T) {
	for want, opts := range map[string]*redact.Options{
		`redact: key "" in Options.Keys has nothing but separators`:                                                            {Keys: []string{"a", ""}},
		`redact: key "-_" in Options.Keys has nothing but separators`:                                                          {Keys: []string{"-_"}},
		`redact: path "" in Options.Paths has an empty part: write group.key`:                                                  {Paths: []string{""}},
		`redact: path "a." in Options.Paths has an empty part: write group.key`:                                                {Paths: []string{"a."}},
		`redact: nil pattern in Options.KeyPatterns`:                                                                           {KeyPatterns: []*regexp.Regexp{nil}},
		`redact: nil pattern in Options.ValuePatterns`:                                                                         {ValuePatterns: []*regexp.Regexp{nil}},
		`redact: nil type in Options.Types`:                                                                                    {Types: []reflect.Type{nil}},
		`redact: type string in Options.Types has a slog.Kind of its own, which hides the type: declare a type for secrets`:    {Types: []reflect.Type{reflect.TypeFor[string]()}},
		`redact: type time.Time in Options.Types has a slog.Kind of its own, which hides the type: declare a type for secrets`: {Types: []reflect.Type{reflect.TypeFor[time.Time]()}},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panic %v, want %v", got, want)
				}
			}()
			redact.New(slog.DiscardHandler, opts)
		}()
	}
}

func TestHandler_findsKeysHoweverTheyAreWritten(t *testing.T) {
	opts := &redact.Options{Keys: []string{"api_key", "Straße"}}
	for key, secret := range map[string]bool{
		"api_key": true, "API-Key": true, "apiKey": true, "ApiKey": true, "api key": true, "APIKEY": true, "api.key": true, "x.api_key": true, "a.b.apiKey": true,
		"STRAßE": true, "api_key.x": false, "xapi_key": false, "apikeys": false, "": false, ".": false, "key": false,
		strings.Repeat("x", 100) + ".api_key": true, strings.Repeat("x", 100): false,
	} {
		var w written
		w.logger(opts).Info("m", slog.String(key, "hunter2"))
		if got := !strings.Contains(w.json.String(), "hunter2"); got != secret {
			t.Errorf("%q: redacted %v, want %v", key, got, secret)
		}
	}
}

func TestHandler_findsSecretsOfAnyKind(t *testing.T) {
	for name, value := range map[string]any{
		"string": "hunter2", "int": 4711, "bool": true, "float": 1.5, "time": time.Now(), "duration": time.Hour, "nil": nil,
		"error": errors.New("hunter2"), "bytes": []byte("hunter2"), "map": map[string]int{"hunter2": 1},
		"valuer": valuer{slog.StringValue("hunter2")}, "group": slog.GroupValue(slog.Int("a", 1)), "source": &slog.Source{File: "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, nil, info("password", value), `{"msg":"m","password":"[REDACTED]"}`, `msg=m password=[REDACTED]`)
		})
	}
}

func TestHandler_findsSecretsInGroups(t *testing.T) {
	group := slog.Group("a", "x", 1, slog.Group("b", "password", "hunter2", "y", 2), slog.Group("", "token", "hunter2"))
	check(t, nil, info(group),
		`{"msg":"m","a":{"x":1,"b":{"password":"[REDACTED]","y":2},"token":"[REDACTED]"}}`,
		`msg=m a.x=1 a.b.password=[REDACTED] a.b.y=2 a.token=[REDACTED]`)
	t.Run("and takes a group for one by its key", func(t *testing.T) {
		check(t, nil, info(slog.Group("credentials", "user", "bob")), `{"msg":"m","credentials":"[REDACTED]"}`, "")
	})
	t.Run("and all that is in a group opened under such a key", func(t *testing.T) {
		check(t, nil, func(l *slog.Logger) {
			l.WithGroup("credentials").With("user", "bob", slog.Attr{}).WithGroup("g").Info("m", "x", 1, slog.Group("y", "z", 1), slog.Group("empty"))
		}, `{"msg":"m","credentials":{"user":"[REDACTED]","g":{"x":"[REDACTED]","y":"[REDACTED]"}}}`, "")
	})
}

func TestHandler_findsSecretsOfWith(t *testing.T) {
	var w written
	calls := 0
	counted := valuerFunc(func() slog.Value { calls++; return slog.StringValue("hunter2") })
	logger := w.logger(&redact.Options{Mask: redact.Last(1)}).With("password", counted, "user", "bob").WithGroup("g").With("token", "abcdef", slog.Group("h", "cookie", "abcdef"))
	logger.Info("m")
	logger.Info("m", "secret", "abcdef")
	want := `{"msg":"m","password":"****2","user":"bob","g":{"token":"****f","h":{"cookie":"****f"}}}
{"msg":"m","password":"****2","user":"bob","g":{"token":"****f","h":{"cookie":"****f"},"secret":"****f"}}
`
	if got := w.json.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if calls != 1 {
		t.Errorf("what With added was looked at %d times, want once", calls)
	}
}

func TestHandler_findsSecretsByPath(t *testing.T) {
	opts := &redact.Options{Keys: []string{}, Paths: []string{"req.headers.authorization", "user"}}
	headers := slog.Group("headers", "Authorization", "hunter2", "accept", "*/*")
	for name, test := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"in groups":                   {info(slog.Group("req", headers)), `"req":{"headers":{"Authorization":"***","accept":"*/*"}}`},
		"in WithGroup":                {func(l *slog.Logger) { l.WithGroup("req").Info("m", headers) }, `"req":{"headers":{"Authorization":"***","accept":"*/*"}}`},
		"in both and With":            {func(l *slog.Logger) { l.WithGroup("req").WithGroup("Headers").With("authorization", 1).Info("m") }, `"req":{"Headers":{"authorization":"***"}}`},
		"in a key with dots":          {info("req.headers.authorization", "hunter2", slog.Group("req", "headers.authorization", 1)), `"req.headers.authorization":"***","req":{"headers.authorization":"***"}`},
		"in a group without a name":   {info(slog.Group("req", slog.Group("", headers))), `"req":{"headers":{"Authorization":"***","accept":"*/*"}}`},
		"behind a LogValuer":          {info(slog.Any("req", valuer{slog.GroupValue(headers)})), `"req":{"headers":{"Authorization":"***","accept":"*/*"}}`},
		"in a map":                    {info("req", map[string]any{"headers": map[string][]string{"Authorization": {"hunter2"}}}), `"req":{"headers":{"Authorization":"***"}}`},
		"in lists":                    {info("req", map[string]any{"headers": []any{map[string]any{"authorization": "hunter2"}, 1}}), `"req":{"headers":[{"authorization":"***"},1]}`},
		"in JSON text":                {info("req", `{"headers":{"authorization":1}}`), `"req":"{\"headers\":{\"authorization\":\"***\"}}"`},
		"of a whole group":            {info(slog.Group("user", "name", "bob")), `"user":"***"`},
		"below it in a key with dots": {info("user.name", "bob", "user.a.b", 1, slog.Group("x", "user.name", 2)), `"user.name":"***","user.a.b":"***","x":{"user.name":2}`},
		"below it in a key of JSON":   {info("req", `{"headers.authorization.x":1}`), `"req":"{\"headers.authorization.x\":\"***\"}"`},
		"below it in WithGroup":       {func(l *slog.Logger) { l.WithGroup("user.a").Info("m", "b", 1) }, `"user.a":{"b":"***"}`},
		"nowhere else":                {info("authorization", 1, headers, slog.Group("x", "user", 1, slog.Group("req", headers))), `"authorization":1,"headers":{"Authorization":"hunter2","accept":"*/*"},"x":{"user":1,"req":{"headers":{"Authorization":"hunter2","accept":"*/*"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			o := *opts
			o.Text = "***"
			check(t, &o, test.log, `{"msg":"m",`+test.want+`}`, "")
		})
	}
}

func TestHandler_findsKeysByPattern(t *testing.T) {
	opts := &redact.Options{Keys: []string{}, KeyPatterns: patterns(`(?i)_token$`, `^x-secret-`)}
	check(t, opts, info("deploy_TOKEN", 1, "a", 2), `{"msg":"m","deploy_TOKEN":"[REDACTED]","a":2}`, "")
	check(t, opts, info("deploy_TOKEN", 1, "x-secret-a", 2, "token", 3, "ax-secret-a", 4, "m", map[string]int{"my_token": 1}),
		`{"msg":"m","deploy_TOKEN":"[REDACTED]","x-secret-a":"[REDACTED]","token":3,"ax-secret-a":4,"m":{"my_token":"[REDACTED]"}}`, "")
}

func TestHandler_findsFieldsByPathThatOnlyTextHandlerPrints(t *testing.T) {
	opts := &redact.Options{Keys: []string{}, Paths: []string{"k.password"}}
	check(t, opts, info("k", hidden{"bob", "hunter2"}), `{"msg":"m","k":{"User":"bob"}}`, `msg=m k="{\"User\":\"bob\"}"`)
}

func TestHandler_masksWhatPatternsMatchInText(t *testing.T) {
	opts := &redact.Options{ValuePatterns: patterns(`Bearer (?P<secret>[^\s,]+)`, `\d{4}-\d{4}`, `(a|b)+c`), Text: "***"}
	for name, test := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"in the message":                       {func(l *slog.Logger) { l.Info("got Bearer abc, Bearer xyz") }, `{"msg":"got Bearer ***, Bearer ***"}`},
		"in both message and attributes":       {func(l *slog.Logger) { l.Info("1234-5678", "a", 1, "b", "1234-5678!") }, `{"msg":"***","a":1,"b":"***!"}`},
		"in strings":                           {info("a", "1234-5678", "b", "ok"), `{"msg":"m","a":"***","b":"ok"}`},
		"whatever groups without a name match": {info("a", "xababcx"), `{"msg":"m","a":"x***x"}`},
		"in groups and With": {func(l *slog.Logger) {
			l.With("a", "1234-5678").WithGroup("g").Info("m", slog.Group("h", "b", "1234-5678"))
		}, `{"msg":"m","a":"***","g":{"h":{"b":"***"}}}`},
		"in bytes":                    {info("a", []byte("1234-5678")), `{"msg":"m","a":"Kioq"}`},
		"in values and keys of a map": {info("a", map[string]any{"1234-5678": []any{"Bearer x", 1}}), `{"msg":"m","a":{"***":["Bearer ***",1]}}`},
		"of strings with a type":      {info("a", name("1234-5678")), `{"msg":"m","a":"***"}`},
		"behind a LogValuer":          {info("a", valuer{slog.AnyValue(valuer{slog.StringValue("1234-5678")})}), `{"msg":"m","a":"***"}`},
		"in errors":                   {info("a", fmt.Errorf("no 1234-5678: %w", io.EOF)), `{"msg":"m","a":"no ***: EOF"}`},
		"but not in numbers":          {info("a", 12345678), `{"msg":"m","a":12345678}`},
	} {
		t.Run(name, func(t *testing.T) { check(t, opts, test.log, test.want, "") })
	}
	t.Run("in what only slog.TextHandler prints", func(t *testing.T) {
		anchored := &redact.Options{ValuePatterns: patterns(`^\d{4}-\d{4}$`)}
		check(t, anchored, info("a", struct {
			A      int
			hidden string
		}{1, "1234-5678"}), `{"msg":"m","a":{"A":1}}`, `msg=m a="{\"A\":1}"`)
	})
}

func TestHandler_masksPasswordsInURLs(t *testing.T) {
	opts := &redact.Options{ValuePatterns: patterns(`://[^/\s:@]*:(?P<secret>[^/\s@]+)@`)}
	u := &url.URL{Scheme: "https", User: url.UserPassword("bob", "hunter2"), Host: "example.com"}
	check(t, opts, info("text", u.String(), "url", u),
		`{"msg":"m","text":"https://bob:[REDACTED]@example.com","url":{"Scheme":"https","Opaque":"","User":{},"Host":"example.com","Path":"","Fragment":"","RawQuery":"","RawPath":"","RawFragment":"","ForceQuery":false,"OmitHost":false}}`,
		`msg=m text=https://bob:[REDACTED]@example.com url=https://bob:[REDACTED]@example.com`)
}

func TestHandler_leavesWhatIsNoSecret(t *testing.T) {
	opts := &redact.Options{ValuePatterns: patterns(`forbidden`), Paths: []string{"a.b.c"}}
	now := time.Now()
	source := &slog.Source{File: "x.go", Line: 1}
	failed := fmt.Errorf("read: %w", io.ErrUnexpectedEOF)
	var got []slog.Attr
	h := redact.New(recordFunc(func(r slog.Record) {
		r.Attrs(func(a slog.Attr) bool { got = append(got, a); return true })
	}), opts)
	want := []slog.Attr{
		slog.String("a", "b"), slog.Int("b", 1), slog.Uint64("c", 1), slog.Float64("d", 1), slog.Bool("e", true),
		slog.Time("f", now), slog.Duration("g", time.Hour), slog.Any("h", nil), slog.Any("i", source), slog.Any("j", failed),
		slog.Group("k", "x", 1), slog.Group("empty"), {}, slog.Any("l", time.March), slog.Any("n", name("x")),
	}
	r := slog.NewRecord(now, slog.LevelInfo, "m", 0)
	r.AddAttrs(want...)
	r.AddAttrs(slog.String("password", "x"))
	h.Handle(t.Context(), r)
	got = got[:len(got)-1]
	want = slices.DeleteFunc(want, func(a slog.Attr) bool { return a.Key == "empty" }) // as slog.Record does
	if !slices.EqualFunc(got, want, slog.Attr.Equal) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestHandler_keepsTimeLevelAndSource(t *testing.T) {
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "a secret", pcs[0])
	r.AddAttrs(slog.Int("a", 1), slog.String("password", "x"))
	for name, opts := range map[string]*redact.Options{"a message": {ValuePatterns: patterns("secret")}, "an attribute": nil} {
		var got slog.Record
		redact.New(recordFunc(func(r slog.Record) { got = r }), opts).Handle(t.Context(), r)
		if !got.Time.Equal(r.Time) || got.Level != r.Level || got.PC != r.PC || got.NumAttrs() != 2 {
			t.Errorf("with %s redacted, %+v became %+v", name, r, got)
		}
	}
}

func TestHandler_removes(t *testing.T) {
	opts := &redact.Options{Remove: true, ValuePatterns: patterns(` ?\d{4}-\d{4}`), Types: []reflect.Type{reflect.TypeFor[pin]()}}
	for name, test := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"attributes":                        {info("a", 1, "password", "x", "b", 2, "token", "x"), `{"msg":"m","a":1,"b":2}`},
		"the only attribute":                {info("password", "x"), `{"msg":"m"}`},
		"members of groups":                 {info(slog.Group("g", "a", 1, "password", "x", "b", 2)), `{"msg":"m","g":{"a":1,"b":2}}`},
		"groups left empty":                 {info(slog.Group("g", "password", "x", slog.Group("h", "token", "x")), "a", 1), `{"msg":"m","a":1}`},
		"groups left with empty attributes": {info(slog.Group("g", slog.Attr{}, "password", "x", slog.Group("h", slog.Attr{})), "a", 1), `{"msg":"m","a":1}`},
		"groups behind LogValuers":          {info("g", valuer{slog.GroupValue(slog.Int("token", 1))}, "a", 1), `{"msg":"m","a":1}`},
		"all that With adds":                {func(l *slog.Logger) { l.With("password", "x").WithGroup("g").With("token", 1).Info("m") }, `{"msg":"m"}`},
		"all in a secret group":             {func(l *slog.Logger) { l.WithGroup("secret").With("a", 1).Info("m", "b", 2) }, `{"msg":"m"}`},
		"matches of patterns":               {info("a", "card 1234-5678 ok"), `{"msg":"m","a":"card ok"}`},
		"secrets by type":                   {info("a", pin(1), "b", 2), `{"msg":"m","b":2}`},
		"members of JSON":                   {info("a", map[string]any{"a": 1, "password": 2, "token": 3, "z": 4}), `{"msg":"m","a":{"a":1,"z":4}}`},
		"the first of JSON":                 {info("a", map[string]any{"cookie": 1, "z": 4}), `{"msg":"m","a":{"z":4}}`},
		"the only one of JSON":              {info("a", map[string]any{"cookie": []int{1}}), `{"msg":"m","a":{}}`},
		"but keeps what is there":           {info("a", "", slog.Group("e"), slog.Attr{}), `{"msg":"m","a":""}`},
	} {
		t.Run(name, func(t *testing.T) { check(t, opts, test.log, test.want, "") })
	}
}

func TestHandler_leavesTheSiblingsLineAlone(t *testing.T) {
	var redacted, original, want bytes.Buffer
	plain := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue("now")
		}
		return a
	}}
	bytesValue := []byte(`{"password":"hunter2"}`)
	table := map[string]any{"password": "hunter2", "l": []any{map[string]any{"token": "hunter2"}}}
	log := func(h slog.Handler) {
		l := slog.New(h).With("token", "hunter2", slog.Group("w", "password", "hunter2", "t", table)).WithGroup("g").With("password", "hunter2")
		l.Info("hunter2", "a", 1, "password", "hunter2", slog.Group("g", "x", 1, "token", "hunter2", slog.Group("h", "cookie", "hunter2")),
			"bytes", bytesValue, "table", table, "pointer", &login{User: "bob", Password: "hunter2"}, "err", errors.New("hunter2"))
	}
	opts := &redact.Options{ValuePatterns: patterns("hunter2")}
	log(fanout.New(redact.New(slog.NewJSONHandler(&redacted, plain), opts), slog.NewJSONHandler(&original, plain),
		redact.New(slog.NewTextHandler(&redacted, plain), &redact.Options{Remove: true, ValuePatterns: patterns("hunter2")})))
	log(slog.NewJSONHandler(&want, plain))
	if original.String() != want.String() {
		t.Errorf("the sibling printed\n%s\nwant\n%s", &original, &want)
	}
	if strings.Contains(redacted.String(), "hunter2") || strings.Count(redacted.String(), "\n") != 2 {
		t.Errorf("redacted %s", &redacted)
	}
}

func TestHandler_redactsBatches(t *testing.T) {
	ctx := context.WithValue(t.Context(), ctxKey{}, 1)
	items := []slogworks.Item{
		{Context: ctx, Record: slog.NewRecord(time.Now(), slog.LevelInfo, "clean", 0)},
		{Context: ctx, Record: slog.NewRecord(time.Now(), slog.LevelError, "not clean", 0)},
	}
	items[0].Record.AddAttrs(slog.Int("a", 1))
	items[1].Record.AddAttrs(slog.Group("g", "password", "hunter2"), slog.Int("a", 1))
	was := slices.Clone(items)
	rec := new(handlertest.Recorder)
	b := slogworks.Batch{ID: "id", Kind: slogworks.Escalation, Items: items, Dropped: 3}
	if err := redact.New(rec, nil).HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(items, was) {
		t.Error("the items of the caller were changed")
	}
	got := rec.Items()
	if len(got) != 2 {
		t.Fatalf("%d items arrived", len(got))
	}
	for i, want := range []string{"[a=1]", "[g=[password=[REDACTED]] a=1]"} {
		var attrs []slog.Attr
		got[i].Record.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
		if fmt.Sprint(attrs) != want || got[i].Context.Value(ctxKey{}) != 1 || got[i].Record.Message != items[i].Record.Message {
			t.Errorf("item %d arrived as %v %q", i, attrs, got[i].Record.Message)
		}
	}
	if batches := rec.Batches(); len(batches) != 1 || batches[0].Kind != b.Kind || batches[0].ID != b.ID || batches[0].Dropped != 3 {
		t.Errorf("arrived as %+v", batches)
	}
}

func TestHandler_worksForSeveralGoroutines(t *testing.T) {
	logger := slog.New(redact.New(slog.NewJSONHandler(io.Discard, nil), &redact.Options{
		ValuePatterns: patterns("x+"), Mask: redact.Hash(nil), Types: []reflect.Type{reflect.TypeFor[pin]()}, Paths: []string{"g.a"},
	}))
	shared := slog.Group("g", "password", "x", "a", []any{login{}, pin(1)})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				derived := logger.With("token", "xx").WithGroup("g").With(shared)
				derived.Info("xxx", shared)
				logger.Info("m", shared, "a", map[string]any{"password": 1})
			}
		})
	}
	wg.Wait()
}

func TestHandler_allocatesNothingIfNothingMatches(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	opts := &redact.Options{Paths: []string{"g.password", "a.b"}, KeyPatterns: patterns("^forbidden"), ValuePatterns: patterns("forbidden"),
		Types: []reflect.Type{reflect.TypeFor[pin]()}}
	attrs := []slog.Attr{
		slog.String("Tenant-ID", "acme"), slog.Int("status", 200), slog.GroupAttrs("g", slog.Bool("cached", true), slog.String("a.b.c", "x")),
		slog.Duration("took", time.Second), slog.Any("err", io.EOF),
	}
	for name, opts := range map[string]*redact.Options{"by keys": nil, "by all rules": opts} {
		bare := slog.New(slog.NewJSONHandler(io.Discard, nil))
		redacted := slog.New(redact.New(slog.NewJSONHandler(io.Discard, nil), opts))
		for how, derive := range map[string]func(*slog.Logger) *slog.Logger{
			"plain":   func(l *slog.Logger) *slog.Logger { return l },
			"derived": func(l *slog.Logger) *slog.Logger { return l.With("a", 1).WithGroup("g").With("b", 2) },
		} {
			allocs := func(l *slog.Logger) float64 {
				l = derive(l)
				return testing.AllocsPerRun(100, func() { l.LogAttrs(context.Background(), slog.LevelInfo, "message", attrs...) })
			}
			if got, want := allocs(redacted), allocs(bare); got > want {
				t.Errorf("%s, %s: %v allocations per record, %v without", name, how, got, want)
			}
		}
	}
}

type ctxKey struct{}

// recordFunc is a handler that takes each record.
type recordFunc func(slog.Record)

func (f recordFunc) Enabled(context.Context, slog.Level) bool { return true }
func (f recordFunc) Handle(_ context.Context, r slog.Record) error {
	f(r)
	return nil
}
func (f recordFunc) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f recordFunc) WithGroup(string) slog.Handler      { return f }
