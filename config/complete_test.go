package config_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/config"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/limit"
	"github.com/slogworks/slogworks/notify"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/redact"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/console"
	"github.com/slogworks/slogworks/sinks/httpsink"
	"github.com/slogworks/slogworks/sinks/live"
	"github.com/slogworks/slogworks/sinks/memory"
	"github.com/slogworks/slogworks/sinks/socket"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// covered is the options of a kind, and those of Go that it gives to documents.
type covered struct {
	kind  string // with the option in which they are, if they are not at the top
	goes  reflect.Type
	names map[string]string // where a document has another name
	left  map[string]string // what documents cannot say, and why
}

const (
	aFunction = "is a function"
	ofTheTool = "goes to Options.OnError"
	ofItsOwn  = "is the floor, which each handler has"
)

// What a package of this module has as an option, a document has as well, or
// there is a reason.
func TestNewRegistry_hasEveryOption(t *testing.T) {
	for _, c := range []covered{
		{"queue", reflect.TypeFor[queue.Options](), nil, map[string]string{"OnError": ofTheTool}},
		{"file", reflect.TypeFor[rotate.Options](), map[string]string{"MaxBytes": "max_size"},
			map[string]string{"Header": aFunction, "OnRotate": aFunction, "OnError": ofTheTool}},
		{"buffer", reflect.TypeFor[buffer.Options](), nil, map[string]string{"Fingerprint": aFunction, "OnOutcome": ofTheTool}},
		{"fingerscrossed", reflect.TypeFor[fingerscrossed.Options](), nil,
			map[string]string{"When": aFunction, "Open": aFunction, "Freeze": aFunction, "OnError": ofTheTool}},
		{"limit", reflect.TypeFor[limit.Options](), nil, map[string]string{"Kind": aFunction, "OnError": ofTheTool}},
		{"limit.sample", reflect.TypeFor[limit.Sample](), nil, nil},
		{"redact", reflect.TypeFor[redact.Options](), nil,
			map[string]string{"Types": "are types of the program", "Mask": "is a function; hash_key and last are the usual ones"}},
		{"context", reflect.TypeFor[slogctx.Options](), nil, map[string]string{"Extract": aFunction}},
		{"notify", reflect.TypeFor[notify.Options](), nil, map[string]string{"Render": aFunction, "OnResult": ofTheTool}},
		{"notify.command", reflect.TypeFor[notify.Command](), nil, map[string]string{"ArgsFunc": aFunction, "Escape": aFunction}},
		{"notify", reflect.TypeFor[notify.Webhook](), nil, map[string]string{"Client": "is of the program", "Encode": aFunction}},
		{"live", reflect.TypeFor[live.Options](), nil, map[string]string{
			"Auth": aFunction, "Levels": "is of the program: Manager.Levels", "Sources": aFunction,
		}},
		{"socket", reflect.TypeFor[socket.Options](), nil, map[string]string{"Level": ofItsOwn}},
		{"syslog", reflect.TypeFor[syslog.Options](), map[string]string{"SDID": "sd_id"}, map[string]string{"Level": ofItsOwn}},
		{"http", reflect.TypeFor[httpsink.Options](), nil, map[string]string{
			"Level": ofItsOwn, "NewHandler": aFunction, "BearerFunc": aFunction, "Client": "is of the program", "OnError": ofTheTool,
		}},
		{"console", reflect.TypeFor[console.Options](), nil, map[string]string{"Level": ofItsOwn, "ReplaceAttr": aFunction}},
		{"memory", reflect.TypeFor[memory.Options](), nil, map[string]string{"Level": ofItsOwn}},
		{"router.routes", reflect.TypeFor[fanout.Route](), nil, map[string]string{"When": "is a function; logger, contains and attrs are the usual ones"}},
		{"first.routes", reflect.TypeFor[fanout.Route](), nil, map[string]string{"When": "as in router"}},
	} {
		has := optionsOf(t, c.kind)
		for i := range c.goes.NumField() {
			f := c.goes.Field(i)
			if !f.IsExported() {
				continue
			}
			name := c.names[f.Name]
			if name == "" {
				name = snake(f.Name)
			}
			if _, left := c.left[f.Name]; has[name] == left {
				t.Errorf("%s.%s: as option %s of kind %s: %v, left out: %v", c.goes, f.Name, name, c.kind, has[name], left)
			}
		}
		for name := range c.left {
			if _, ok := c.goes.FieldByName(name); !ok {
				t.Errorf("%s.%s is left out and not there", c.goes, name)
			}
		}
	}
}

// optionsOf returns the options at such a place, as the schema has them.
func optionsOf(t *testing.T, place string) map[string]bool {
	t.Helper()
	type property struct {
		Description string
		Properties  map[string]any
		Items       struct{ Properties map[string]any }
	}
	var schema struct {
		Defs map[string]struct{ Properties map[string]property } `json:"$defs"`
	}
	must(t, json.Unmarshal(config.Schema(nil), &schema))
	kind, option, nested := strings.Cut(place, ".")
	options := schema.Defs["kind_"+kind].Properties
	has := map[string]bool{}
	for name, p := range options {
		isForEachKind := name == "kind" || name == "level" && p.Description == "the lowest level that the handler gets"
		has[name] = !nested && !isForEachKind
	}
	for name := range options[option].Properties {
		has[name] = true
	}
	for name := range options[option].Items.Properties {
		has[name] = true
	}
	return has
}

var (
	wordEnd = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	lastCap = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`)
)

// snake returns max_bytes for MaxBytes.
func snake(name string) string {
	return strings.ToLower(wordEnd.ReplaceAllString(lastCap.ReplaceAllString(name, "${1}_${2}"), "${1}_${2}"))
}
