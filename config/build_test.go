package config_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/sinks/memory"
)

// workshop is a registry with the kind tool, whose handlers say what becomes of
// them.
type workshop struct {
	*config.Registry
	log []string
}

type toolOptions struct {
	To     config.Ref
	Fail   string
	Key    config.Secret
	Value  int
	Panics bool
}

type tool struct {
	slog.Handler
	name string
	all  *workshop
	next slog.Handler
}

func (p *tool) Shutdown(context.Context) error {
	p.all.log = append(p.all.log, "close "+p.name)
	return nil
}

func newWorkshop() *workshop {
	p := &workshop{Registry: config.NewRegistry()}
	config.Register(p.Registry, "tool", func(_ context.Context, o toolOptions, env *config.Env) (slog.Handler, error) {
		if o.Panics {
			panic("no such luck")
		}
		if o.Fail != "" {
			return nil, errors.New(o.Fail)
		}
		p.log = append(p.log, "open "+env.Name)
		return &tool{slog.DiscardHandler, env.Name, p, o.To.Handler()}, nil
	})
	return p
}

func (p *workshop) take() string {
	log := strings.Join(p.log, ", ")
	p.log = nil
	return log
}

func (p *workshop) parse(t *testing.T, document string) *config.Document {
	t.Helper()
	d, err := config.Parse([]byte(document), &config.Options{Registry: p.Registry, File: "d"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p *workshop) build(t *testing.T, document string, old *config.Pipeline) *config.Pipeline {
	t.Helper()
	pipeline, err := config.Rebuild(t.Context(), p.parse(t, document), old)
	if err != nil {
		t.Fatal(err)
	}
	return pipeline
}

func (p *workshop) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.take(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func parse(t *testing.T, document string) *config.Document {
	t.Helper()
	return (&workshop{Registry: config.NewRegistry()}).parse(t, document)
}

func build(t *testing.T, document string) *config.Pipeline {
	t.Helper()
	p, err := parse(t, document).Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slogworks.Shutdown(context.Background(), p) })
	return p
}

const chainOfTools = `
version: 1
handlers:
  a: {kind: tool, to: b}
  b: {kind: tool, to: c%s}
  c: {kind: tool}
root: {to: [a]}
`

func chained(options string) string { return fmt.Sprintf(chainOfTools, options) }

func TestDocument_Build_opensAllOrNothing(t *testing.T) {
	p := newWorkshop()
	d := p.parse(t, `
version: 1
handlers:
  a: {kind: tool, to: [b, c]}
  b: {kind: tool, fail: the disk is gone}
  c: {kind: tool, to: d}
  d: {kind: tool}
  e: {kind: tool, panics: true}
root: {to: [a, e]}
`)
	p.expect(t, "") // Parse opens nothing
	pipeline, err := d.Build(t.Context())
	if pipeline != nil {
		t.Error("a pipeline is returned with an error")
	}
	want := "d:5: handlers.b: the disk is gone\nd:8: handlers.e: no such luck"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	p.expect(t, "open d, open c, close c, close d")
}

func TestDocument_Build_closesInFeedOrder(t *testing.T) {
	p := newWorkshop()
	pipeline := p.build(t, chained(""), nil)
	p.expect(t, "open c, open b, open a")
	if err := slogworks.Shutdown(t.Context(), pipeline); err != nil {
		t.Error(err)
	}
	p.expect(t, "close a, close b, close c")
	derived := pipeline.WithAttrs([]slog.Attr{slog.Int("a", 1)})
	if err := slogworks.Shutdown(t.Context(), derived); err != nil {
		t.Error(err)
	}
	p.expect(t, "close a, close b, close c")
}

func TestDocument_Build_saysWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		handler string
		cause   error
	}{
		"a directory that is a file": {fmt.Sprintf("h: {kind: file, path: %s/file/app.log}", dir), syscall.ENOTDIR},
		"a secret that is not there": {fmt.Sprintf("h: {kind: socket, address: 'tcp://127.0.0.1:1', token_file: %s/none}", dir), fs.ErrNotExist},
		"certificates that are not":  {fmt.Sprintf("h: {kind: socket, address: 'tls://127.0.0.1:1', tls: {ca_file: %s/none}}", dir), fs.ErrNotExist},
		"an empty secret":            {fmt.Sprintf("h: {kind: socket, address: 'tcp://127.0.0.1:1', token_file: %s/file}", dir), nil},
		"a program that is not":      {"h: {kind: notify, via: command, command: {path: /nonexistent/program}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, with(c.handler)).Build(t.Context())
			var m config.Mistakes
			if !errors.As(err, &m) || len(m) != 1 {
				t.Fatalf("got %v", err)
			}
			if m[0].File != "d" || m[0].Line != 3 || m[0].Path != "handlers.h" {
				t.Errorf("got %+v", m[0])
			}
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v is not %v", err, c.cause)
			}
		})
	}
}

func TestDocument_Build_runsAtOnceWithItself(t *testing.T) {
	d := parse(t, routed)
	done := make(chan error)
	for range 4 {
		go func() {
			p, err := d.Build(context.Background())
			if err == nil {
				err = slogworks.Shutdown(context.Background(), p)
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestDocument_Build_endsWithItsContext(t *testing.T) {
	p := newWorkshop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.parse(t, chained("")).Build(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.expect(t, "")
}

func TestDocument_Build_makesOneOfAHandlerWithTwoUsers(t *testing.T) {
	p := newWorkshop()
	pipeline := p.build(t, `
version: 1
handlers:
  a: {kind: tool, to: c}
  b: {kind: tool, to: c}
  c: {kind: tool}
root: {to: [a, b, c]}
loggers: {x: {to: c}}
`, nil)
	p.expect(t, "open c, open a, open b")
	slogworks.Shutdown(t.Context(), pipeline)
	p.expect(t, "close b, close a, close c")
	if pipeline.Lookup("a") == nil || pipeline.Lookup("nobody") != nil {
		t.Error("Lookup finds what is not there, or not what is")
	}
}

func TestDocument_build_usesAgainWhatHasNotChanged(t *testing.T) {
	p := newWorkshop()
	first := p.build(t, chained(""), nil)
	p.take()

	same := p.build(t, strings.ReplaceAll(chained(""), "{kind: tool, to: b}", "{to: b, kind: tool}"), first)
	p.expect(t, "")
	if err := config.Retire(t.Context(), first, same); err != nil {
		t.Error(err)
	}
	p.expect(t, "")

	changed := p.build(t, chained(", value: 2"), same)
	p.expect(t, "open b, open a") // and not c
	if err := config.Retire(t.Context(), same, changed); err != nil {
		t.Error(err)
	}
	p.expect(t, "close a, close b")
	if changed.Lookup("c") != first.Lookup("c") {
		t.Error("c is another")
	}

	if err := config.Retire(t.Context(), changed, nil); err != nil {
		t.Error(err)
	}
	p.expect(t, "close a, close b, close c")
}

func TestDocument_build_leavesTheOldAloneWhenItFails(t *testing.T) {
	p := newWorkshop()
	first := p.build(t, chained(""), nil)
	p.take()
	_, err := config.Rebuild(t.Context(), p.parse(t, chained(", fail: no")), first)
	if err == nil {
		t.Fatal("no error")
	}
	p.expect(t, "")
}

func TestDocument_build_keepsAHandlerWhoseFloorHasChanged(t *testing.T) {
	const document = "version: 1\nhandlers:\n  q: {kind: queue, to: m}\n  m: {kind: memory, level: %s}\nroot: {to: [q, m]}\n"
	p := newWorkshop()
	first := p.build(t, fmt.Sprintf(document, "warn"), nil)
	second := p.build(t, fmt.Sprintf(document, "error"), first)
	if first.Lookup("m") != second.Lookup("m") {
		t.Error("the handler is another, and what it has kept is gone")
	}
	if first.Lookup("q") == second.Lookup("q") {
		t.Error("the queue still gives it what is below the new floor")
	}
	if err := config.Retire(t.Context(), first, second); err != nil {
		t.Error(err)
	}
	slog.New(second).Warn("below")
	slog.New(second).Error("above")
	if err := slogworks.Shutdown(t.Context(), second); err != nil {
		t.Error(err)
	}
	if n := second.Lookup("m").(*memory.Handler).Len(); n != 2 { // from root, and from the queue
		t.Errorf("%d records", n)
	}
}

func TestDocument_build_noticesThatASecretsFileHasChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := newWorkshop()
	document := "version: 1\nhandlers: {a: {kind: tool, key_file: " + file + "}}\nroot: {to: a}\n"
	write("one\n")
	first := p.build(t, document, nil)
	p.take()
	second := p.build(t, document, first)
	p.expect(t, "")
	write("two")
	p.build(t, document, second)
	p.expect(t, "open a")
}

func TestDocument_fingerprint(t *testing.T) {
	t.Setenv("SLOGWORKS_TEST", "one")
	const document = "version: 1\nhandlers:\n  h: {kind: socket, address: 'tcp://127.0.0.1:1', token: \"${SLOGWORKS_TEST}\"}\nroot: {to: h}\n"
	first := config.Fingerprint(parse(t, document))
	if other := config.Fingerprint(parse(t, `{"root":{"to":"h"},"handlers":{"h":{"token":"one","kind":"socket","address":"tcp://127.0.0.1:1"}},"version":1}`)); other != first {
		t.Error("the same in another order and format is not equal")
	}
	if strings.Contains(first, "one") {
		t.Error("the secret stands in it")
	}
	t.Setenv("SLOGWORKS_TEST", "two")
	if config.Fingerprint(parse(t, document)) == first {
		t.Error("another secret is equal")
	}
}

func TestDocument_setLevels(t *testing.T) {
	table := levels.NewTable(nil)
	config.SetLevels(parse(t, "version: 1\nroot: {level: warn, to: []}\nloggers: {a: {level: debug}, b: {level: error}}\n"), table)
	for logger, want := range map[string]slog.Level{"": slog.LevelWarn, "a.b": slog.LevelDebug, "b": slog.LevelError, "c": slog.LevelWarn} {
		if got := table.Level(logger); got != want {
			t.Errorf("%q is at %v, want %v", logger, got, want)
		}
	}
	config.SetLevels(parse(t, "version: 1\nroot: {to: []}\nloggers: {b: {level: warn}}\n"), table)
	for logger, want := range map[string]slog.Level{"": slog.LevelInfo, "a": slog.LevelInfo, "b": slog.LevelWarn} {
		if got := table.Level(logger); got != want {
			t.Errorf("then %q is at %v, want %v", logger, got, want)
		}
	}
}

// everyKind is a document with each kind that NewRegistry has.
func everyKind(dir, collector string) string {
	return `
version: 1
handlers:
  console: {kind: console, output: stderr, color: never, level: error, time_format: "15:04", add_source: true}
  lines: {kind: console, format: json, level: error+8}
  file:
    kind: file
    path: ` + dir + `/sub/app.log
    format: {name: text, add_source: true}
    max_size: 10MB
    schedule: weekly monday 03:00 UTC
    max_backups: 3
    max_age: 7d
    max_total: 1GB
    naming: numbered
    compress: true
    mode: 0640
    buffer: 4KiB
    flush_every: 100ms
    reopen_every: -1s
    fsync: false
    lazy: false
  memory: {kind: memory, max_records: 100}
  socket:
    kind: socket
    address: tls://127.0.0.1:1
    framing: lf
    tls: {server_name: example.org}
    token: ${SLOGWORKS_TEST_TOKEN}
    ack: true
    max_frame: 64KiB
    dial_timeout: 1s
    write_timeout: 1s
    backoff: {min: 1s, max: 2s}
    host: h
    process: p
  syslog: {kind: syslog, address: "udp://127.0.0.1:1", format: rfc3164, facility: local0, app_name: a, max_record_bytes: 2KiB}
  live: {kind: live, http: "127.0.0.1:0", token: t, max_records: 10, title: T}
  notify: {kind: notify, via: webhook, url: "http://127.0.0.1:1/secret", header: {X-Key: k}, level: error, window: 1s}
  command: {kind: notify, via: command, direct: true, command: {path: /bin/true, args: ["--", "{title}"], env: {A: b}}}
  discard: {kind: discard}
  http: {kind: http, url: "` + collector + `/secret", format: array, gzip: true, bearer: abc, hmac_key: abc, header: {X-Key: k}, max_bytes: 64KiB, timeout: 1s}
  httpq: {kind: queue, to: http}
  queue: {kind: queue, to: memory, capacity: 10, reserve_level: error, retry: {min: 1s}, fallback: discard, linger: -1s}
  fanout: {kind: fanout, to: [memory, discard]}
  failover: {kind: failover, to: [socket, memory]}
  router: {kind: router, routes: [{min: info, max: error, logger: a, contains: x, attrs: {user.id: "7"}, to: memory}]}
  first: {kind: first, routes: [{min: error, to: [memory, discard]}, {to: discard}]}
  fingerscrossed: {kind: fingerscrossed, to: memory, trigger: error, hold: debug, level: info, after: rearm, process: true, max_bytes: 1KiB}
  buffer: {kind: buffer, to: command, dir: "` + dir + `/spool", level: error, sync: always, trigger: [{count: 5, level: error}, {older_than: 1d}, {quiet: 1h}], limit: {n: 1, per: 1h}}
  redact: {kind: redact, to: memory, keys: [password], paths: [a.b], key_patterns: ["^x_"], value_patterns: ["[0-9]{16}"], last: 4}
  limit: {kind: limit, to: memory, first: 10, window: 1m, rate: {n: 100, per: 1s}, sample: [{below: info, every: 10}]}
  context: {kind: context, to: memory, in_group: true}
  middleware: {kind: middleware, use: [same], to: memory}
root:
  level: debug
  to: [console, lines, file, syslog, live, notify, httpq, queue, fanout, failover, router, first, fingerscrossed, buffer, redact, limit, context, middleware]
`
}

// Every kind is built with as many options as it has, and ends in order.
func TestNewRegistry_hasEveryKind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLOGWORKS_TEST_TOKEN", "abc")
	r := config.NewRegistry()
	r.Middleware("same", func(h slog.Handler) slog.Handler { return h })
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer collector.Close()
	document := everyKind(dir, collector.URL)
	d, err := config.Parse([]byte(document), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slog.New(p).Debug("hello", "password", "x")
	if err := slogworks.Shutdown(t.Context(), p); err != nil {
		t.Error(err)
	}
	for _, a := range slogworks.Books(p) {
		var dropped uint64
		for _, n := range a.Dropped {
			dropped += n
		}
		if a.Held != 0 || a.Accepted != a.Delivered+dropped {
			t.Errorf("%+v does not balance", a)
		}
	}
	b, err := os.ReadFile(dir + "/sub/app.log")
	if err != nil || !strings.Contains(string(b), "msg=hello") {
		t.Errorf("the file has %q, %v", b, err)
	}
	if info, err := os.Stat(dir + "/sub/app.log"); err != nil || info.Mode().Perm()&0o040 == 0 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	kinds := strings.Count(document, "kind: ")
	if kinds < 23 {
		t.Errorf("%d kinds", kinds)
	}
	if out := string(d.JSON()); strings.Contains(out, "secret") || strings.Contains(out, `"k"`) || strings.Contains(out, `"abc"`) || strings.Contains(out, `"A": "b"`) {
		t.Errorf("a secret is told:\n%s", out)
	}
}

func TestPipeline_tellsBooksOfEveryStageOnce(t *testing.T) {
	p := build(t, `
version: 1
handlers:
  q: {kind: queue, to: [m, n], fallback: m}
  m: {kind: memory}
  n: {kind: memory}
root: {to: [q, m]}
`)
	var stages []string
	for _, a := range slogworks.Books(p) {
		stages = append(stages, a.Stage)
	}
	slices.Sort(stages)
	if got := strings.Join(stages, " "); got != "memory memory queue" {
		t.Errorf("got %q", got)
	}
}

// newSafe is the build of a kind that tells its secret.
func newSafe(key *config.Secret) func(context.Context, struct{ Key config.Secret }, *config.Env) (slog.Handler, error) {
	return func(_ context.Context, o struct{ Key config.Secret }, _ *config.Env) (slog.Handler, error) {
		*key = o.Key
		return slog.DiscardHandler, nil
	}
}
