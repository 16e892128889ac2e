package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/sinks/memory"
)

// probes are the handlers of the kind probe that a test's documents have built.
type probes struct {
	mu    sync.Mutex
	built []*probe
}

// probe is a sink that says what becomes of it.
type probe struct {
	*memory.Handler
	options probeOptions
	env     *config.Env

	mu        sync.Mutex
	shutdowns int
}

type probeOptions struct {
	Note     string        // anything, to be different by
	Fail     string        // what build returns as an error
	Password config.Secret // anything
}

func (p *probe) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.shutdowns++
	p.mu.Unlock()
	return ctx.Err()
}

func (p *probe) isShutDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shutdowns > 0
}

// messages returns the messages of the records, without the manager's own.
func (p *probe) messages() []string {
	var all []string
	for v := range p.Records() {
		if v.Logger() != config.ManagerLogger {
			all = append(all, v.Message())
		}
	}
	return all
}

// own returns the manager's own records as "LEVEL message generation".
func (p *probe) own() []string {
	var all []string
	for v := range p.Records() {
		if v.Logger() == config.ManagerLogger {
			generation, _ := v.Attr("generation")
			all = append(all, fmt.Sprint(v.Level(), " ", v.Message(), " ", generation))
		}
	}
	return all
}

func (ps *probes) register(r *config.Registry) *config.Registry {
	config.Register(r, "probe", func(_ context.Context, o probeOptions, env *config.Env) (slog.Handler, error) {
		if o.Fail != "" {
			return nil, errors.New(o.Fail)
		}
		p := &probe{Handler: memory.New(nil), options: o, env: env}
		ps.mu.Lock()
		defer ps.mu.Unlock()
		ps.built = append(ps.built, p)
		return p, nil
	})
	return r
}

func (ps *probes) all() []*probe {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return slices.Clone(ps.built)
}

// reports are what a manager has told OnReload.
type reports struct {
	mu   sync.Mutex
	told []string
}

func (rs *reports) add(generation int, err error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.told = append(rs.told, fmt.Sprint(generation, " ", err))
}

func (rs *reports) all() []string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return slices.Clone(rs.told)
}

// subject is a manager of a file, with what it has done.
type subject struct {
	*config.Manager
	*probes
	*reports
	path string
	opts *config.ManagerOptions
}

// one is a document with a handler of kind probe that differs by its note.
func one(note string) string {
	return fmt.Sprintf("version: 1\nhandlers:\n  a: {kind: probe, note: %s}\nroot: {to: [a]}\n", note)
}

func open(t *testing.T, document string) *subject {
	t.Helper()
	s := &subject{probes: new(probes), reports: new(reports), path: filepath.Join(t.TempDir(), "pipeline.yaml")}
	s.opts = &config.ManagerOptions{OnReload: s.reports.add}
	s.opts.Registry = s.register(config.NewRegistry())
	s.opts.File = "pipeline.yaml"
	s.write(t, document)
	s.again(t)
	return s
}

// again opens another manager, with the path and the options as they are now.
func (s *subject) again(t *testing.T) {
	t.Helper()
	m, err := config.Open(t.Context(), s.path, s.opts)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	s.Manager = m
}

func (s *subject) write(t *testing.T, document string) {
	t.Helper()
	if err := os.WriteFile(s.path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *subject) reload(t *testing.T, document string) {
	t.Helper()
	s.write(t, document)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func checkAll(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestManager_runsWhatTheFileSays(t *testing.T) {
	s := open(t, one("first"))
	logger := slog.New(s.Handler())
	derived := logger.With("k", "v")
	derived.Info("one")
	s.reload(t, one("second"))
	derived.Info("two")
	logger.Info("three")

	check(t, "generation", s.Generation(), 2)
	first, second := s.probes.all()[0], s.probes.all()[1]
	checkAll(t, "the first got", first.messages(), []string{"one"})
	checkAll(t, "the second got", second.messages(), []string{"two", "three"})
	check(t, "the first is shut down", first.isShutDown(), true)
	check(t, "the second is shut down", second.isShutDown(), false)
	checkAll(t, "told", s.reports.all(), []string{"2 <nil>"})
	checkAll(t, "the manager's own records", second.own(), []string{"INFO configuration changed 2"})
	if s.Pipeline().Lookup("a") != slog.Handler(second) {
		t.Error("Pipeline is not the one that runs")
	}
}

func TestManager_doesNothingIfTheDocumentSaysTheSame(t *testing.T) {
	s := open(t, one("first"))
	s.reload(t, "# the same\n"+one("first"))
	s.reload(t, `{"version": 1, "root": {"to": ["a"]}, "handlers": {"a": {"note": "first", "kind": "probe"}}}`)
	check(t, "generation", s.Generation(), 1)
	checkAll(t, "told", s.reports.all(), nil)
	check(t, "handlers built", len(s.probes.all()), 1)
	check(t, "shut down", s.probes.all()[0].isShutDown(), false)
}

func TestManager_readsTheFilesOfSecretsAgain(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	put := func(text string) {
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	s := open(t, fmt.Sprintf("version: 1\nhandlers: {a: {kind: probe, password_file: %q}}\nroot: {to: [a]}\n", secret))
	put("new")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, "generation", s.Generation(), 2)
	check(t, "the password", s.probes.all()[1].options.Password.Reveal(), "new")
}

func TestManager_keepsWhatDidNotChange(t *testing.T) {
	two := func(a, level string) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  a: {kind: probe, note: %s}\n  b: {kind: probe}\nroot: {level: %s, to: [a, b]}\n", a, level)
	}
	s := open(t, two("first", "info"))
	kept := s.Pipeline().Lookup("b")
	for i, document := range []string{two("second", "info"), two("second", "debug"), two("third", "info")} {
		s.reload(t, document)
		if s.Pipeline().Lookup("b") != kept {
			t.Fatalf("reload %d built another b", i+1)
		}
	}
	check(t, "b is shut down", kept.(*probe).isShutDown(), false)
	check(t, "handlers built", len(s.probes.all()), 4)
	for _, p := range s.probes.all() {
		check(t, "shut down: "+p.options.Note, p.isShutDown(), p.options.Note == "first" || p.options.Note == "second")
	}
}

func TestManager_refusesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct{ document, told string }{
		"syntax":                   {"version: 1\nhandlers: ]\nroot: {to: []}\n", "pipeline.yaml:2: "},
		"an unknown kind":          {"version: 1\nhandlers:\n  a: {kind: prob}\nroot: {to: [a]}\n", `pipeline.yaml:3: handlers.a.kind: unknown kind "prob" (did you mean "probe"?)`},
		"an unknown key":           {"version: 1\nhandlers:\n  a: {kind: probe, notes: x}\nroot: {to: [a]}\n", "pipeline.yaml:3: handlers.a.notes: "},
		"an unknown name":          {"version: 1\nhandlers:\n  a: {kind: probe}\nroot:\n  to: [a, b]\n", "pipeline.yaml:5: root.to[1]: "},
		"a wrong type":             {"version: 1\nhandlers:\n  a: {kind: probe, note: 7}\nroot: {to: [a]}\n", "pipeline.yaml:3: handlers.a.note: "},
		"a cycle":                  {"version: 1\nhandlers:\n  a: {kind: queue, to: b}\n  b: {kind: queue, to: a}\nroot: {to: [a]}\n", "pipeline.yaml:4: handlers.b.to: "},
		"a duplicate":              {"version: 1\nhandlers:\n  a: {kind: probe}\n  a: {kind: probe}\nroot: {to: [a]}\n", "pipeline.yaml:4: handlers.a: "},
		"an unused handler":        {"version: 1\nhandlers:\n  a: {kind: probe}\n  b: {kind: probe}\nroot: {to: [a]}\n", "pipeline.yaml:4: handlers.b: "},
		"what cannot be opened":    {"version: 1\nhandlers:\n  a: {kind: probe, fail: no disk}\nroot: {to: [a]}\n", "pipeline.yaml:3: handlers.a: no disk"},
		"an unreadable secret":     {"version: 1\nhandlers:\n  a: {kind: probe, password_file: /nowhere/at/all}\nroot: {to: [a]}\n", "pipeline.yaml:3: handlers.a: "},
		"an unreachable directory": {"version: 1\nhandlers:\n  a: {kind: file, path: /dev/null/a.log}\nroot: {to: [a]}\n", "pipeline.yaml:3: handlers.a: "},
		"too much":                 {"# " + strings.Repeat("x", 10<<20) + "\n" + one("second"), "pipeline.yaml: "},
		"too deep":                 {one("second") + "x: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n", "pipeline.yaml:"},
		"an alias bomb":            {bomb(), "pipeline.yaml:"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, one("first"))
			s.write(t, test.document)
			err := s.Reload(t.Context())
			mistakes, ok := errors.AsType[config.Mistakes](err)
			if !ok {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			told := s.reports.all()
			if len(told) != 1 || !strings.HasPrefix(told[0], "1 "+test.told) {
				t.Errorf("told %.300q, want one that begins with %q", told, "1 "+test.told)
			}
			check(t, "generation", s.Generation(), 1)
			first := s.probes.all()[0]
			checkAll(t, "the manager's own records", first.own(), slices.Repeat([]string{"WARN configuration refused 1"}, min(len(mistakes), 10)))
			slog.New(s.Handler()).Info("runs on")
			checkAll(t, "the first got", first.messages(), []string{"runs on"})
			check(t, "shut down", first.isShutDown(), false)
			for _, p := range s.probes.all()[1:] {
				check(t, "what was opened in vain is shut down", p.isShutDown(), true)
			}

			s.reload(t, one("second"))
			check(t, "generation after a good document", s.Generation(), 2)
		})
	}
}

func TestManager_tellsTheFirstMistakesOneByOne(t *testing.T) {
	s := open(t, one("first"))
	s.write(t, "version: 1\nhandlers:\n  a: {kind: prob}\nroot: {to: [a], level: loud}\n")
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("the document was not refused")
	}
	var got []string
	for v := range s.probes.all()[0].Records() {
		if v.Logger() == config.ManagerLogger {
			line := v.Message()
			for _, key := range []string{"mistakes", "file", "line", "path", "message"} {
				value, ok := v.Attr(key)
				line += fmt.Sprint(" ", value, ok)
			}
			got = append(got, line)
		}
	}
	checkAll(t, "records", got, []string{
		`configuration refused 2 true pipeline.yaml true 3 true handlers.a.kind true unknown kind "prob" (did you mean "probe"?) true`,
		`configuration refused 2 true pipeline.yaml true 4 true root.level true is "loud" and has to be a level such as info, error+4 or -4 true`,
	})
}

// bomb is a document that would have 10^9 values if aliases were followed.
func bomb() string {
	var b strings.Builder
	b.WriteString(one("second") + "x0: &x0 [x]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d,", i), 10), ","))
	}
	return b.String()
}

func TestManager_saysIfTheFileIsGone(t *testing.T) {
	s := open(t, one("first"))
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	err := s.Reload(t.Context())
	if !errors.Is(err, os.ErrNotExist) || len(s.reports.all()) != 1 {
		t.Errorf("error %v, told %q", err, s.reports.all())
	}
	check(t, "generation", s.Generation(), 1)
}

func TestOpen_leavesNothingOpenAfterAMistake(t *testing.T) {
	var ps probes
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	document := "version: 1\nhandlers:\n  a: {kind: probe}\n  b: {kind: probe, fail: no disk}\nroot: {to: [a, b]}\n"
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := config.Open(t.Context(), path, &config.ManagerOptions{Options: config.Options{Registry: ps.register(config.NewRegistry())}})
	if want := path + ":4: handlers.b: no disk"; m != nil || err == nil || err.Error() != want {
		t.Errorf("got %v, %v; want %q", m, err, want)
	}
	for _, p := range ps.all() {
		check(t, "shut down", p.isShutDown(), true)
	}
	if _, err := config.Open(t.Context(), path+".not", nil); !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("without a file: %v", err)
	}
}

func TestOpen_takesNilAsZeroOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte("version: 1\nhandlers: {a: {kind: memory}}\nroot: {to: [a]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []*config.ManagerOptions{nil, {}} {
		m, err := config.Open(t.Context(), path, opts)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "enabled for info", m.Handler().Enabled(t.Context(), slog.LevelInfo), true)
		check(t, "error of Close", m.Close(), nil)
	}
}

func TestNew_runsADocumentWithoutAFile(t *testing.T) {
	var ps probes
	opts := &config.Options{Registry: ps.register(config.NewRegistry())}
	parse := func(note string) *config.Document {
		d, err := config.Parse([]byte(one(note)), opts)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m, err := config.New(t.Context(), parse("first"), &config.ManagerOptions{Options: *opts})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	check(t, "error of Apply", m.Apply(t.Context(), parse("second")), nil)
	check(t, "generation", m.Generation(), 2)
	if err := m.Reload(t.Context()); err == nil {
		t.Error("Reload has no error")
	}
	if err := m.Watch(t.Context(), 0); err == nil {
		t.Error("Watch has no error")
	}
}

func TestManager_saysIfTheFormerPipelineDoesNotEndInOrder(t *testing.T) {
	s := &subject{probes: new(probes), reports: new(reports)}
	r := s.register(config.NewRegistry())
	g := newGate()
	config.Register(r, "gate", func(context.Context, struct{}, *config.Env) (slog.Handler, error) { return g, nil })
	opts := &config.ManagerOptions{OnReload: s.reports.add, RetireTimeout: time.Millisecond, Options: config.Options{Registry: r}}
	d, err := config.Parse([]byte("version: 1\nhandlers: {a: {kind: gate}}\nroot: {to: [a]}\n"), &opts.Options)
	if err != nil {
		t.Fatal(err)
	}
	m, err := config.New(t.Context(), d, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var hangs sync.WaitGroup
	hangs.Go(func() { slog.New(m.Handler()).Info("hangs") })
	<-g.in

	next, err := config.Parse([]byte(one("second")), &opts.Options)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Apply(t.Context(), next)
	retired, ok := errors.AsType[*config.RetireError](err)
	if !ok || retired.Generation != 1 || retired.InFlight != 1 {
		t.Errorf("the error is %#v", err)
	}
	check(t, "generation", m.Generation(), 2)
	checkAll(t, "told", s.reports.all(), []string{"2 config: generation 1 was not ended in order, records still in its hands: 1"})
	checkAll(t, "the manager's own records", s.probes.all()[0].own(), []string{"INFO configuration changed 2", "WARN former configuration not ended in order 2"})
	g.out <- struct{}{}
	hangs.Wait()
}

func TestManager_waitsForRecordsThatAreBeingHandled(t *testing.T) {
	s := &subject{probes: new(probes)}
	r := s.register(config.NewRegistry())
	events := make(chan string, 3)
	g := newGate()
	config.Register(r, "gate", func(context.Context, struct{}, *config.Env) (slog.Handler, error) {
		return &telling{g, events}, nil
	})
	opts := &config.ManagerOptions{RetireTimeout: -1, Options: config.Options{Registry: r}}
	parse := func(document string) *config.Document {
		d, err := config.Parse([]byte(document), &opts.Options)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m, err := config.New(t.Context(), parse("version: 1\nhandlers: {a: {kind: gate}}\nroot: {to: [a]}\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var handled sync.WaitGroup
	handled.Go(func() { slog.New(m.Handler()).Info("takes its time") })
	<-g.in
	applied := make(chan error)
	go func() { applied <- m.Apply(t.Context(), parse(one("second"))) }()
	for m.Generation() == 1 {
		runtime.Gosched()
	}
	slog.New(m.Handler()).Info("not held up")
	checkAll(t, "the second got", s.probes.all()[0].messages(), []string{"not held up"})
	select {
	case <-applied:
		t.Fatal("Apply did not wait for the record")
	default:
	}
	g.out <- struct{}{}
	check(t, "error of Apply", <-applied, nil)
	handled.Wait()
	check(t, "first", <-events, "handled")
	check(t, "then", <-events, "shut down")
}

// telling is a gate that says what happens to it.
type telling struct {
	*gate
	events chan string
}

func (h *telling) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *telling) WithGroup(string) slog.Handler      { return h }

func (h *telling) Handle(ctx context.Context, r slog.Record) error {
	defer func() { h.events <- "handled" }()
	return h.gate.Handle(ctx, r)
}

func (h *telling) Shutdown(context.Context) error { h.events <- "shut down"; return nil }

func TestManager_logsFromWithinAReload(t *testing.T) {
	s := open(t, one("first"))
	var m *config.Manager
	s.opts.OnReload = func(int, error) { slog.New(m.Handler()).Info("from OnReload") }
	config.Register(s.opts.Registry, "chatty", func(context.Context, struct{}, *config.Env) (slog.Handler, error) {
		slog.New(m.Handler()).Info("from build")
		return slog.DiscardHandler, nil
	})
	m, err := config.Open(t.Context(), s.path, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s.write(t, "version: 1\nhandlers:\n  a: {kind: probe, note: first}\n  b: {kind: chatty}\nroot: {to: [a, b]}\n")
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAll(t, "got", s.probes.all()[1].messages(), []string{"from build", "from OnReload"})
}

func TestManager_refusesChangesAfterShutdown(t *testing.T) {
	s := open(t, one("first"))
	check(t, "error of Shutdown", s.Shutdown(t.Context()), nil)
	s.write(t, one("second"))
	check(t, "error of Reload", s.Reload(t.Context()), config.ErrClosed)
	check(t, "error of Apply", s.Apply(t.Context(), nil), config.ErrClosed)
	check(t, "error of Watch", s.Watch(t.Context(), 0), config.ErrClosed)
	check(t, "generation", s.Generation(), 1)
	checkAll(t, "told", s.reports.all(), nil)
	check(t, "shut down", s.probes.all()[0].isShutDown(), true)
	check(t, "error of a second Shutdown", s.Shutdown(t.Context()), nil)
	check(t, "error of Flush", s.Flush(t.Context()), nil)
}

// slowly is a kind whose build waits until its context is over, and says that it
// does.
func slowly(r *config.Registry, ignores bool) (building chan struct{}) {
	building = make(chan struct{}, 1)
	config.Register(r, "slow", func(ctx context.Context, _ struct{}, _ *config.Env) (slog.Handler, error) {
		building <- struct{}{}
		<-ctx.Done()
		if ignores {
			return slog.DiscardHandler, nil
		}
		return nil, ctx.Err()
	})
	return building
}

func TestManager_shutDownWhileADocumentIsBuilt(t *testing.T) {
	for name, ignores := range map[string]bool{"that fails then": false, "that is built all the same": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t, one("first"))
			building := slowly(s.opts.Registry, ignores)
			s.write(t, "version: 1\nhandlers:\n  b: {kind: probe}\n  a: {kind: slow}\nroot: {to: [a, b]}\n")
			reloaded := make(chan error)
			go func() { reloaded <- s.Reload(context.Background()) }()
			<-building
			check(t, "error of Shutdown", s.Shutdown(t.Context()), nil)
			check(t, "error of Reload", <-reloaded, config.ErrClosed)
			check(t, "generation", s.Generation(), 1)
			checkAll(t, "told", s.reports.all(), nil)
			for _, p := range s.probes.all() {
				check(t, "shut down", p.isShutDown(), true)
			}
		})
	}
}

func TestManager_shutDownWhileTheFormerPipelineEnds(t *testing.T) {
	g := newGate()
	r := new(probes).register(config.NewRegistry())
	config.Register(r, "gate", func(context.Context, struct{}, *config.Env) (slog.Handler, error) { return g, nil })
	opts := &config.ManagerOptions{RetireTimeout: -1, Options: config.Options{Registry: r}}
	parse := func(document string) *config.Document {
		d, err := config.Parse([]byte(document), &opts.Options)
		must(t, err)
		return d
	}
	m, err := config.New(t.Context(), parse("version: 1\nhandlers: {a: {kind: gate}}\nroot: {to: [a]}\n"), opts)
	must(t, err)
	var hangs sync.WaitGroup
	hangs.Go(func() { slog.New(m.Handler()).Info("hangs") })
	<-g.in
	applied := make(chan error)
	go func() { applied <- m.Apply(context.Background(), parse(one("second"))) }()
	for m.Generation() == 1 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error of Shutdown: %v", err)
	}
	if retired, ok := errors.AsType[*config.RetireError](<-applied); !ok || retired.InFlight != 1 {
		t.Errorf("error of Apply: %v", retired)
	}
	check(t, "shut down", m.Pipeline().Lookup("a").(*probe).isShutDown(), true)
	g.out <- struct{}{}
	hangs.Wait()
}

func TestManager_changesOneAfterTheOther(t *testing.T) {
	s := open(t, one("first"))
	var reloads sync.WaitGroup
	for i := range 50 {
		reloads.Go(func() {
			d, err := config.Parse([]byte(one(fmt.Sprint("n", i))), &s.opts.Options)
			if err == nil {
				err = s.Apply(t.Context(), d)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	reloads.Wait()
	check(t, "generation", s.Generation(), 51)
	running := 0
	for _, p := range s.probes.all() {
		if !p.isShutDown() {
			running++
		}
	}
	check(t, "handlers that run", running, 1)
	for i, told := range s.reports.all() {
		check(t, "told", told, fmt.Sprint(i+2, " <nil>"))
	}
}

func TestManager_givesUpWhenTheContextIsOver(t *testing.T) {
	s := open(t, one("first"))
	building := slowly(s.opts.Registry, false)
	s.write(t, "version: 1\nhandlers: {a: {kind: slow}}\nroot: {to: [a]}\n")
	ctx, cancel := context.WithCancel(t.Context())
	reloaded := make(chan error)
	go func() { reloaded <- s.Reload(ctx) }()
	<-building
	other, over := context.WithCancel(t.Context())
	over()
	check(t, "error of one that waits for its turn", s.Reload(other), context.Canceled)
	cancel()
	check(t, "error of the one that builds", <-reloaded, context.Canceled)
	checkAll(t, "told", s.reports.all(), nil)
}

func TestManager_shutDownWithoutTime(t *testing.T) {
	s := open(t, one("first"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	check(t, "shut down", s.probes.all()[0].isShutDown(), true)
}

// openFiles returns how many descriptors the process has open, 0 where that
// cannot be known.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
