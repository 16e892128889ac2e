package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/redact"
)

func TestHandler_findsFieldsByTheirNameInGo(t *testing.T) {
	type renamed struct {
		User     string
		Password string `json:"pw"`
	}
	type next struct{ Next *renamed }
	type selfPrinting struct {
		textKey
		Password string `json:"pw"`
	}
	secret := renamed{"bob", "hunter2"}
	for what, test := range map[string]struct {
		value any
		want  string
	}{
		"in a struct":               {secret, `{"User":"bob","pw":"[REDACTED]"}`},
		"behind a pointer":          {next{&secret}, `{"Next":{"User":"bob","pw":"[REDACTED]"}}`},
		"behind an interface":       {map[string]any{"x": []any{&secret, 1}}, `{"x":[{"User":"bob","pw":"[REDACTED]"},1]}`},
		"in an embedded one":        {struct{ renamed }{secret}, `{"User":"bob","pw":"[REDACTED]"}`},
		"in a map by numbers":       {map[int]renamed{1: secret}, `{"1":{"User":"bob","pw":"[REDACTED]"}}`},
		"not if it is omitted":      {struct{ A, B any }{1, struct{ x any }{secret}}, `{"A":1,"B":{}}`},
		"not in what prints itself": {map[string]any{"x": selfPrinting{textKey{"shown"}, "hunter2"}}, `{"x":"shown"}`},
	} {
		t.Run(what, func(t *testing.T) {
			for _, opts := range []*redact.Options{nil, {Types: []reflect.Type{reflect.TypeFor[pin]()}}} {
				check(t, opts, info("k", test.value), `{"msg":"m","k":`+test.want+`}`, "")
				var w written
				w.logger(opts).Info("m", "k", test.value)
				if strings.Contains(w.text.String(), "hunter2") {
					t.Errorf("text %s", &w.text)
				}
			}
		})
	}
}

// ring is an error that wraps itself.
type ring struct{}

func (*ring) Error() string   { return "ring" }
func (r *ring) Unwrap() error { return r }

func TestHandler_masksAnErrorThatWrapsItself(t *testing.T) {
	opts := &redact.Options{Types: []reflect.Type{reflect.TypeFor[pin]()}}
	check(t, opts, info("k", new(ring)), `{"msg":"m","k":"[REDACTED]"}`, "")
	check(t, nil, info("k", new(ring)), `{"msg":"m","k":"ring"}`, "")
}

// TestHandler_readsNothingThatNobodyPrints logs a value behind whose unexported
// pointer others write, which is theirs to do.
func TestHandler_readsNothingThatNobodyPrints(t *testing.T) {
	type shared struct{ table map[string]any }
	value := struct {
		A      any
		shared *shared
	}{1, &shared{map[string]any{}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			value.shared.table["x"] = i
		}
	}()
	for _, opts := range []*redact.Options{nil, {Types: []reflect.Type{reflect.TypeFor[pin]()}}} {
		for range 100 {
			check(t, opts, info("k", value), `{"msg":"m","k":{"A":1}}`, "")
		}
	}
	<-done
}

func TestHandler_findsSecretsInBytesOfAnyType(t *testing.T) {
	type body []byte
	check(t, nil, info("k", body(`{"password":"hunter2"}`)), `{"msg":"m","k":"eyJwYXNzd29yZCI6IltSRURBQ1RFRF0ifQ=="}`, `msg=m k="{\"password\":\"[REDACTED]\"}"`)
	check(t, nil, info("k", body(`plain`)), `{"msg":"m","k":"cGxhaW4="}`, `msg=m k="plain"`)
}

// TestHandler_masksWhatAnchoredPatternsMatchInValuesWithoutJSON is about values
// of which only slog.TextHandler prints what is in them.
func TestHandler_masksWhatAnchoredPatternsMatchInValuesWithoutJSON(t *testing.T) {
	opts := &redact.Options{ValuePatterns: patterns("^hunter2$")}
	for what, value := range map[string]any{
		"a struct with a function": struct {
			A string
			F func()
		}{"hunter2", nil},
		"a map by bools":               map[bool]string{true: "hunter2"},
		"a list with NaN":              []any{math.NaN(), "hunter2"},
		"a pointer":                    &struct{ A, B any }{"hunter2", math.NaN()},
		"what has other words in JSON": jsonShown{"hunter2"},
	} {
		t.Run(what, func(t *testing.T) {
			var w written
			w.logger(opts).Info("m", "k", value)
			if strings.Contains(w.text.String(), "hunter2") {
				t.Errorf("text %s", &w.text)
			}
		})
	}
}

type (
	textKey   struct{ text string }
	jsonShown struct{ A string }
)

func (k textKey) MarshalText() ([]byte, error)   { return []byte(k.text), nil }
func (j jsonShown) MarshalJSON() ([]byte, error) { return []byte(`"shown"`), nil }

type (
	valuer     struct{ v slog.Value }
	valuerFunc func() slog.Value
	endless    struct{}
	name       string
	pin        int
	PIN        pin

	login struct {
		User     string
		Password string `json:"pass_word,omitempty"`
	}
	account struct {
		login
		*Session
		ID int `json:"id"`
	}
	Session struct{ Token string }
	hidden  struct {
		User     string
		password string
	}
	hiddenText struct{ Secret string }

	panicsValuer struct{ text string }
	panicsJSON   struct{ text string }
	panicsText   struct{ text string }
	panicsString struct{ list []string }
	panicsError  struct{ text string }
	marshalError struct{ Password string }
	formatError  struct{ text string }
	typedError   struct{}
)

func (v valuer) LogValue() slog.Value             { return v.v }
func (f valuerFunc) LogValue() slog.Value         { return f() }
func (e endless) LogValue() slog.Value            { return slog.AnyValue(e) }
func (h hiddenText) MarshalJSON() ([]byte, error) { return []byte(`"shown"`), nil }
func (p panicsValuer) LogValue() slog.Value       { panic(p.text) }
func (p panicsJSON) MarshalJSON() ([]byte, error) { panic(p.text) }
func (p panicsText) MarshalText() ([]byte, error) { panic(p.text) }
func (p panicsString) String() string             { panic(p.list[0]) }
func (p panicsError) Error() string               { panic(p.text) }
func (e marshalError) Error() string              { return "failed" }
func (e marshalError) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"password": e.Password})
}
func (e formatError) Error() string              { return "failed" }
func (e formatError) Format(f fmt.State, _ rune) { io.WriteString(f, "failed at "+e.text) }
func (e *typedError) Error() string              { return "hunter2" }

func TestHandler_findsSecretsInsideOfValues(t *testing.T) {
	ring := map[string]any{"password": "hunter2"}
	ring["self"] = ring
	pointer := &login{"bob", "hunter2"}
	deep := any("hunter2")
	for range 10001 { // one more than encoding/json reads
		deep = []any{deep}
	}
	for what, test := range map[string]struct {
		value              any
		wantJSON, wantText string
	}{
		"a struct":                       {login{"bob", "hunter2"}, `{"User":"bob","pass_word":"***"}`, ""},
		"a pointer":                      {pointer, `{"User":"bob","pass_word":"***"}`, ""},
		"a pointer to one":               {&pointer, `{"User":"bob","pass_word":"***"}`, ""},
		"a nil pointer":                  {(*login)(nil), `null`, "<nil>"},
		"embedded structs":               {account{login{"bob", "hunter2"}, &Session{"hunter2"}, 7}, `{"User":"bob","pass_word":"***","Token":"***","id":7}`, ""},
		"a map":                          {map[string]string{"user": "bob", "PASSWORD": "hunter2"}, `{"PASSWORD":"***","user":"bob"}`, ""},
		"a map of lists":                 {map[string][]string{"Set-Cookie": {"hunter2"}, "A": {"b"}}, `{"A":["b"],"Set-Cookie":"***"}`, ""},
		"a list":                         {[]any{1, login{"bob", "hunter2"}, []any{map[string]any{"token": 1}}}, `[1,{"User":"bob","pass_word":"***"},[{"token":"***"}]]`, ""},
		"an array":                       {[1]login{{"bob", "hunter2"}}, `[{"User":"bob","pass_word":"***"}]`, ""},
		"JSON":                           {json.RawMessage(`{"a": [1, {"token" : "hunter2"}]}`), `{"a":[1,{"token":"***"}]}`, ""},
		"JSON in a struct":               {struct{ Raw json.RawMessage }{json.RawMessage(`{"to\u006ben":"hunter2"}`)}, `{"Raw":{"to\u006ben":"***"}}`, ""},
		"broken JSON":                    {json.RawMessage(`{"token":"hunter2"`), `"***"`, "***"},
		"JSON text":                      {` [{"password":"hunter2"}]`, `" [{\"password\":\"***\"}]"`, ""},
		"JSON text in JSON text":         {map[string]string{"body": `{"body":"{\"password\":\"hunter2\"}"}`}, `{"body":"{\"body\":\"{\\\"password\\\":\\\"***\\\"}\"}"}`, ""},
		"JSON text that is cut off":      {`{"user":"bob","password" : "hunter2","x`, `"***"`, "***"},
		"JSON bytes":                     {[]byte(`{"password":"x"}`), `"eyJwYXNzd29yZCI6IioqKiJ9"`, `"{\"password\":\"***\"}"`},
		"a frozen struct":                {chain.Freeze(slog.AnyValue(&login{"bob", "hunter2"})), `{"User":"bob","pass_word":"***"}`, ""},
		"an unexported field":            {hidden{"bob", "hunter2"}, `{"User":"bob"}`, `"{\"User\":\"bob\"}"`},
		"a frozen unexported field":      {chain.Freeze(slog.AnyValue(&hidden{"bob", "hunter2"})), `{"User":"bob"}`, `"{\"User\":\"bob\"}"`},
		"a field that JSON does without": {hiddenText{"hunter2"}, `"shown"`, "shown"},
		"a map with an odd key":          {map[string]any{"api key": "hunter2", "x": func() {}}, `"!ERROR:json: unsupported type: func()"`, `"!ERROR:json: unsupported type: func()"`},
		"a map that contains itself":     {ring, `"!ERROR:json: unsupported value: encountered a cycle via map[string]interface {}"`, `"!ERROR:map[string]interface {} contains itself"`},
		"a group of slog":                {slog.Attr{Key: "password", Value: slog.StringValue("hunter2")}, `{"Key":"password","Value":{}}`, ""},
		"an error that marshals itself":  {marshalError{"hunter2"}, `{"password":"***"}`, ""},
		"what is too deep":               {deep, `"***"`, "***"},
		"nothing secret":                 {map[string]any{"a": "<b>", "c": []int{1}}, `{"a":"<b>","c":[1]}`, `"map[a:<b> c:[1]]"`},
		"nothing secret, in a type that prints itself": {net.IPv4(1, 2, 3, 4), `"1.2.3.4"`, "1.2.3.4"},
		"nothing secret in text":                       {"[http] token: expired", `"[http] token: expired"`, `"[http] token: expired"`},
		"nothing secret in JSON text":                  {`{ "a" : 1 }`, `"{ \"a\" : 1 }"`, ""},
		"nothing secret in JSON":                       {json.RawMessage(`{ "a" : "\u003c" }`), `{"a":"\u003c"}`, ""},
	} {
		t.Run(what, func(t *testing.T) {
			opts := &redact.Options{Text: "***"}
			wantText := test.wantText
			if wantText != "" {
				wantText = "msg=m k=" + wantText
			}
			check(t, opts, info("k", test.value), `{"msg":"m","k":`+test.wantJSON+`}`, wantText)
			var w written
			logger := w.logger(opts).With("k", test.value, slog.Group("g", "k", valuer{slog.AnyValue(test.value)}))
			logger.Info("m", slog.Group("g", "k", test.value))
			for _, line := range []string{w.json.String(), w.text.String()} {
				if strings.Contains(line, "hunter2") {
					t.Errorf("a secret is in %s", line)
				}
			}
		})
	}
}

func TestHandler_masksWhatPanics(t *testing.T) {
	for what, value := range map[string]any{
		"LogValue":                  panicsValuer{"hunter2"},
		"LogValue behind LogValue":  valuer{slog.AnyValue(panicsValuer{"hunter2"})},
		"LogValue of a nil pointer": (*panicsValuer)(nil),
		"LogValue without an end":   endless{},
		"MarshalJSON":               panicsJSON{"hunter2"},
		"MarshalJSON of a pointer":  &panicsJSON{"hunter2"},
		"MarshalJSON inside":        map[string]any{"a": panicsJSON{"hunter2"}},
		"MarshalText":               panicsText{"hunter2"},
		"MarshalText of a pointer":  &panicsText{"hunter2"},
		"String":                    panicsString{[]string{"hunter2"}},
		"String inside":             []any{panicsString{[]string{"hunter2"}}},
		"Error":                     panicsError{"hunter2"},
		"something frozen since":    chain.Freeze(slog.AnyValue(&panicsJSON{"hunter2"})),
	} {
		t.Run(what, func(t *testing.T) {
			const masked = "[REDACTED: unreadable]"
			check(t, nil, info("a", 1, "k", value), `{"msg":"m","a":1,"k":"`+masked+`"}`, `msg=m a=1 k="`+masked+`"`)
			check(t, nil, func(l *slog.Logger) { l.With(slog.Group("g", "k", value)).Info("m") }, `{"msg":"m","g":{"k":"`+masked+`"}}`, "")
			if what != "String inside" && what != "MarshalJSON inside" {
				check(t, &redact.Options{Mask: redact.Last(1)}, info("password", value, slog.Group("token", "k", value)), `{"msg":"m","password":"[REDACTED]","token":"[REDACTED]"}`, "")
			}
		})
	}
	t.Run("but not a nil error", func(t *testing.T) {
		check(t, nil, info("k", (*url.Error)(nil)), `{"msg":"m","k":"<nil>"}`, "msg=m k=<nil>")
	})
	t.Run("with the text if the mask panics", func(t *testing.T) {
		opts := &redact.Options{Text: "***", Mask: func(s string) string { panic(s) }}
		check(t, opts, info("password", "hunter2"), `{"msg":"m","password":"***"}`, "msg=m password=***")
	})
}

func TestHandler_findsSecretsByType(t *testing.T) {
	type inner struct {
		A int
		B pin `json:"b.c,omitempty"`
	}
	type outer struct {
		inner
		List []*inner
		Map  map[string]any
		Any  any `json:"any"`
	}
	opts := &redact.Options{Text: "***", Types: []reflect.Type{
		reflect.TypeFor[pin](), reflect.TypeFor[PIN](), reflect.TypeFor[*typedError](), reflect.TypeFor[interface{ Vault() }](), reflect.TypeFor[hiddenText](),
	}}
	shared := &inner{B: 4711}
	// staticcheck would not have such a tag in the source.
	oddTag := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[pin](), Tag: `json:"a'b"`}})).Elem()
	oddTag.Field(0).SetInt(4711)
	for what, test := range map[string]struct {
		value any
		want  string
	}{
		"a value":                            {pin(4711), `"***"`},
		"a pointer":                          {new(pin), `"***"`},
		"an interface":                       {vault{}, `"***"`},
		"an interface of its pointer":        {pointerVault{}, `"***"`},
		"a LogValuer":                        {vaultValuer{}, `"***"`},
		"behind a LogValuer":                 {valuer{slog.AnyValue(pin(4711))}, `"***"`},
		"in a group":                         {slog.GroupValue(slog.Any("p", pin(4711))), `{"p":"***"}`},
		"an error":                           {&typedError{}, `"***"`},
		"an error that is wrapped":           {errors.Join(io.EOF, fmt.Errorf("x: %w", &typedError{})), `"***"`},
		"a field":                            {inner{1, 4711}, `{"A":1,"b.c":"***"}`},
		"an embedded field":                  {outer{inner: inner{1, 4711}}, `{"A":1,"b.c":"***","List":null,"Map":null,"any":null}`},
		"fields in a list":                   {outer{List: []*inner{{A: 1}, {A: 2, B: 4711}}}, `{"A":0,"List":[{"A":1},{"A":2,"b.c":"***"}],"Map":null,"any":null}`},
		"entries of a map":                   {outer{Map: map[string]any{"x.y": map[name]pin{"p": 4711}, "z": "z"}}, `{"A":0,"List":null,"Map":{"x.y":{"p":"***"},"z":"z"},"any":null}`},
		"keys of a map":                      {outer{Map: map[string]any{"x": map[pin]int{4711: 1}}}, `{"A":0,"List":null,"Map":{"x":"***"},"any":null}`},
		"entries under numbers":              {map[int]any{-1: pin(4711), 2: 3}, `{"-1":"***","2":3}`},
		"entries under unsigned ones":        {map[uint8]any{1: pin(4711), 2: 3}, `{"1":"***","2":3}`},
		"entries under keys with text":       {map[textKey]any{{"a"}: pin(4711)}, `"***"`},
		"a field with a tag that is no name": {oddTag.Interface(), `{"A":"***"}`},
		"an element":                         {outer{Any: []any{1, pin(4711)}}, `{"A":0,"List":null,"Map":null,"any":"***"}`},
		"elements":                           {outer{Any: []pin{4711}}, `{"A":0,"List":null,"Map":null,"any":"***"}`},
		"a struct with a marshaler":          {map[string]any{"m": opaque{pin(4711)}, "n": opaque{1}}, `{"m":"***","n":"opaque"}`},
		"a type embedded whole":              {struct{ hiddenText }{}, `"***"`},
		"what is there twice":                {outer{List: []*inner{shared}, Any: shared}, `{"A":0,"List":[{"A":0,"b.c":"***"}],"Map":null,"any":{"A":0,"b.c":"***"}}`},
		"not a nil pointer in a struct":      {struct{ E *url.URL }{}, `{"E":null}`},
		"not another type":                   {map[string]any{"a": name("b"), "c": []int{4711}}, `{"a":"b","c":[4711]}`},
	} {
		t.Run(what, func(t *testing.T) {
			check(t, opts, info("k", test.value), `{"msg":"m","k":`+test.want+`}`, "")
			if strings.Contains(test.want, "4711") {
				return
			}
			var w written
			w.logger(opts).Info("m", "k", test.value)
			if strings.Contains(w.text.String(), "4711") {
				t.Errorf("a secret is in %s", &w.text)
			}
		})
	}
	t.Run("in a ring", func(t *testing.T) {
		type node struct {
			Next *node `json:"-"`
			P    any
		}
		ring := &node{P: 1}
		ring.Next = &node{ring, pin(4711)}
		check(t, opts, info("k", ring), `{"msg":"m","k":{"P":1}}`, `msg=m k="{\"P\":1}"`)
	})
	t.Run("if Unwrap panics", func(t *testing.T) {
		check(t, opts, info("k", unwrapPanics{}), `{"msg":"m","k":"***"}`, "")
	})
}

type (
	vault        struct{}
	pointerVault struct{}
	vaultValuer  struct{ vault }
	opaque       struct{ x any }
	unwrapPanics struct{ error }
)

func (vault) Vault()                        {}
func (*pointerVault) Vault()                {}
func (vaultValuer) LogValue() slog.Value    { return slog.StringValue("hunter2") }
func (opaque) MarshalJSON() ([]byte, error) { return []byte(`"opaque"`), nil }
func (unwrapPanics) Unwrap() error          { panic("hunter2") }

func TestHandler_keepsErrorsWithoutASecret(t *testing.T) {
	var got slog.Value
	last := recordFunc(func(r slog.Record) {
		r.Attrs(func(a slog.Attr) bool { got = a.Value; return true })
	})
	logger := slog.New(redact.New(last, &redact.Options{ValuePatterns: patterns("hunter2")}))

	clean := &url.Error{Op: "Get", URL: "http://x", Err: io.EOF}
	logger.Info("m", "err", clean)
	if got.Any() != any(clean) {
		t.Errorf("%v became %v", clean, got)
	}
	marshals := &marshalError{}
	slog.New(redact.New(last, &redact.Options{Keys: []string{"x"}})).Info("m", "err", marshals)
	if got.Any() != any(marshals) {
		t.Errorf("%#v became %v", marshals, got)
	}

	for _, secret := range []error{
		fmt.Errorf("Get http://hunter2@x: %w", io.EOF), &formatError{"hunter2"}, &marshalError{"hunter2"},
	} {
		logger.Info("m", "err", secret)
		e, ok := got.Any().(error)
		if !ok || errors.Is(e, io.EOF) || errors.Unwrap(e) != nil {
			t.Errorf("%#v became %#v, want another error that wraps nothing", secret, got.Any())
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, e); strings.Contains(text, "hunter2") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}

func TestHandler_masksAnyAsAWhole(t *testing.T) {
	opts := &redact.Options{MaskAny: true, Text: "***", ValuePatterns: patterns("hunter2")}
	for _, value := range []any{
		login{}, &login{}, map[string]int{}, []int{1}, [1]int{}, func() {}, make(chan int), json.RawMessage(`1`), net.IPv4(1, 2, 3, 4), chain.Freeze(slog.AnyValue([]int{1})),
	} {
		check(t, opts, info("k", value), `{"msg":"m","k":"***"}`, "msg=m k=***")
	}
	check(t, opts, info("a", io.EOF, "b", []byte("b"), "c", slog.LevelInfo, "d", name("hunter2!"), "e", nil),
		`{"msg":"m","a":"EOF","b":"Yg==","c":"INFO","d":"***!","e":null}`, "")
}

// What was looked at is what is printed, however often that is asked for.
func TestHandler_marshalsOnce(t *testing.T) {
	calls := 0
	value := jsonFunc(func() ([]byte, error) {
		calls++
		return fmt.Appendf(nil, `{"call":%d}`, calls), nil
	})
	var w written
	slog.New(redact.New(w.logger(nil).Handler(), nil)).Info("m", "k", &value)
	if got, want := w.json.String(), `{"msg":"m","k":{"call":1}}`+"\n"; got != want || calls != 1 {
		t.Errorf("printed %s after %d calls", got, calls)
	}
}

func TestHandler_evaluatesLogValuersOnce(t *testing.T) {
	calls := 0
	value := valuerFunc(func() slog.Value {
		calls++
		if calls > 1 {
			return slog.GroupValue(slog.String("password", "hunter2"))
		}
		return slog.IntValue(1)
	})
	check(t, nil, info("k", value), `{"msg":"m","k":1}`, "msg=m k=1")
	if calls != 1 {
		t.Errorf("LogValue was called %d times", calls)
	}
}

type jsonFunc func() ([]byte, error)

func (f *jsonFunc) MarshalJSON() ([]byte, error) { return (*f)() }

// TestHandler_neverShowsASecret logs trees of attributes at random, each with
// one secret somewhere under a forbidden key.
func TestHandler_neverShowsASecret(t *testing.T) {
	const secret = "hunter2"
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		forbidden := []string{"password", "API-Key", "db.token", "Set_Cookie"}[rng.IntN(4)]
		values := []func() any{
			func() any { return secret },
			func() any { return name(secret) },
			func() any { return []byte(secret) },
			func() any { return errors.New(secret) },
			func() any { return []any{secret} },
			func() any { return map[string]any{secret: secret} },
			func() any { return login{User: secret} },
			func() any { return valuer{slog.StringValue(secret)} },
			func() any { return slog.GroupValue(slog.String(secret, secret)) },
		}
		// inside wraps what is under the key into something that JSON knows.
		inside := func(x any) any {
			switch x := x.(type) {
			case valuer, slog.Value, error, []byte:
				return secret
			default:
				return x
			}
		}
		var tree func(depth int) slog.Attr
		tree = func(depth int) slog.Attr {
			value := values[rng.IntN(len(values))]()
			if depth == 0 {
				return slog.Any(forbidden, value)
			}
			key := string(rune('a' + rng.IntN(4)))
			siblings := []any{slog.Int("x", 1), slog.Any("y", []int{1}), slog.Attr{}}[:rng.IntN(4)]
			switch rng.IntN(9) {
			case 0:
				return slog.Group(key, append(siblings, tree(depth-1))...)
			case 1:
				return slog.Group("", append(siblings, tree(depth-1))...)
			case 2:
				return slog.Any(key, valuer{slog.GroupValue(tree(depth-1), slog.Int("x", 1))})
			case 3:
				return slog.Any(key, map[string]any{forbidden: inside(value), "x": 1})
			case 4:
				return slog.Any(key, []any{1, &map[string]any{"x": []any{map[string]any{forbidden: inside(value)}}}})
			case 5:
				doc, _ := json.Marshal(map[string]any{"x": 1, forbidden: inside(value)})
				return slog.Any(key, []any{string(doc), doc, json.RawMessage(doc)}[rng.IntN(3)])
			case 6:
				return slog.Any(key, account{login{User: "bob", Password: secret}, &Session{Token: secret}, 1})
			case 7:
				return slog.Any(key, chain.Freeze(slog.AnyValue(map[string]any{forbidden: inside(value)})))
			}
			return slog.Any(key, valuer{slog.AnyValue(map[string]any{forbidden: inside(value)})})
		}
		opts := &redact.Options{Remove: rng.IntN(3) == 0}
		switch rng.IntN(4) {
		case 0:
			opts.ValuePatterns = []*regexp.Regexp{regexp.MustCompile("nothing")}
		case 1:
			opts.Mask = redact.Hash(nil)
		}
		var w written
		logger := w.logger(opts)
		for range rng.IntN(4) {
			switch rng.IntN(3) {
			case 0:
				logger = logger.With(tree(rng.IntN(4)))
			case 1:
				logger = logger.WithGroup("g")
			case 2:
				logger = logger.WithGroup(forbidden).With("a", secret)
			}
		}
		logger.Info("message", "n", 1, tree(rng.IntN(4)), tree(rng.IntN(4)))
		for what, line := range map[string][]byte{"JSON": w.json.Bytes(), "text": w.text.Bytes()} {
			if bytes.Contains(line, []byte(secret)) || bytes.Contains(line, []byte("aHVudGVyMg")) || !bytes.Contains(line, []byte("message")) {
				t.Fatalf("seed %d, %s: %s", seed, what, line)
			}
		}
		if !json.Valid(w.json.Bytes()) {
			t.Fatalf("seed %d: not JSON: %s", seed, &w.json)
		}
	}
}
