package fanout_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

func jsonTo(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
}

func textTo(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
}

func TestWritersHandler_writesWhatOneHandlerWould(t *testing.T) {
	for name, newHandler := range map[string]func(io.Writer) slog.Handler{"JSON": jsonTo, "text": textTo, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			var level slog.LevelVar
			var want bytes.Buffer
			got := make([]bytes.Buffer, 4)
			reference := newHandler
			if reference == nil {
				reference = jsonTo
			}
			h := slog.Handler(fanout.Writers(newHandler,
				fanout.Out{W: &got[0], Min: slog.LevelDebug},
				fanout.Out{W: &got[1]},
				fanout.Out{W: &got[2], Min: &level},
				fanout.Out{W: &got[3], Min: slog.LevelDebug},
			))
			alone := reference(&want)

			pointed := &secret{"then"}
			with := []slog.Attr{
				slog.String("s", "a \"quoted\" \xff text"), slog.Duration("d", time.Second), slog.Time("t", time.Unix(0, 0).UTC()),
				slog.Any("pointer", pointed), slog.Any("error", errBroken), slog.Any("bytes", []byte("bytes")),
				slog.Any("valuer", once{new(int)}), slog.GroupAttrs("g", slog.Float64("inf", math.Inf(1))), slog.GroupAttrs("", slog.Int("inline", 1)), {},
			}
			for _, derive := range []func(slog.Handler) slog.Handler{
				func(h slog.Handler) slog.Handler { return h },
				func(h slog.Handler) slog.Handler { return h.WithAttrs(slices.Clone(with)) },
				func(h slog.Handler) slog.Handler { return h.WithGroup("group") },
				func(h slog.Handler) slog.Handler { return h.WithAttrs(slices.Clone(with)).WithGroup("deeper") },
				func(h slog.Handler) slog.Handler { return h.WithGroup("empty") },
			} {
				with[6] = slog.Any("valuer", once{new(int)})
				h = derive(h)
				with[6] = slog.Any("valuer", once{new(int)})
				alone = derive(alone)
				for _, message := range []string{"message", "line\nbreak"} {
					r := slog.NewRecord(time.Now(), slog.LevelInfo, message, 0)
					r.AddAttrs(slog.Int("own", 1), slog.Any("map", map[string]int{"k": 1}))
					if err := handle(h, r); err != nil {
						t.Error(err)
					}
					if err := alone.Handle(t.Context(), r); err != nil {
						t.Error(err)
					}
				}
				pointed.Text += " and later"
			}
			wantLines := strings.SplitAfter(want.String(), "\n")
			for i := range got {
				gotLines := strings.SplitAfter(got[i].String(), "\n")
				if len(gotLines) != len(wantLines) {
					t.Fatalf("out %d got %d lines of %d", i+1, len(gotLines)-1, len(wantLines)-1)
				}
				for n := range wantLines {
					if gotLines[n] != wantLines[n] {
						t.Fatalf("line %d of out %d is\n%swant\n%s", n+1, i+1, gotLines[n], wantLines[n])
					}
				}
			}
		})
	}
}

func TestWritersHandler_writesToTheOutsThatAreOpen(t *testing.T) {
	var first, second, same slog.LevelVar
	levels := []slog.Leveler{nil, slog.LevelDebug, &first, slog.LevelError, &second, slog.LevelInfo, &same, &same, uncomparable{{1}}}
	buffers := make([]bytes.Buffer, len(levels))
	outs := make([]fanout.Out, len(levels))
	for i, level := range levels {
		outs[i] = fanout.Out{W: &buffers[i], Min: level}
	}
	h := fanout.Writers(nil, outs...)
	derived := h.WithAttrs([]slog.Attr{slog.Int("k", 1)})
	for _, set := range [][3]slog.Level{{0, 0, 0}, {-4, 8, 4}, {8, -4, 12}, {-100, -100, -100}, {100, 100, 100}} {
		first.Set(set[0])
		second.Set(set[1])
		same.Set(set[2])
		for level := slog.Level(-5); level <= 13; level++ {
			for _, h := range []slog.Handler{h, derived} {
				anyOpen := false
				for i := range buffers {
					buffers[i].Reset()
				}
				if err := h.Handle(t.Context(), record(level, "message")); err != nil {
					t.Error(err)
				}
				for i, lowest := range levels {
					if lowest == nil {
						lowest = slog.LevelInfo
					}
					open := level >= lowest.Level()
					anyOpen = anyOpen || open
					if got := strings.Count(buffers[i].String(), "message"); got != map[bool]int{true: 1}[open] {
						t.Errorf("an out open from %v on got a record of %v %d times", lowest.Level(), level, got)
					}
				}
				if got := h.Enabled(t.Context(), level); got != anyOpen {
					t.Errorf("Enabled(%v) = %v", level, got)
				}
			}
		}
	}
}

// uncomparable is a level that is not a pointer and that == panics on.
type uncomparable [][]int

func (u uncomparable) Level() slog.Level { return slog.Level(u[0][0]) }

func TestWritersHandler_hasTheLevelOfNewHandlerToo(t *testing.T) {
	var written bytes.Buffer
	warnings := func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})
	}
	h := fanout.Writers(warnings, fanout.Out{W: &written, Min: slog.LevelDebug})
	if h.Enabled(t.Context(), slog.LevelInfo) || !h.Enabled(t.Context(), slog.LevelWarn) {
		t.Error("Enabled does not follow the handler that newHandler makes")
	}
}

func TestWritersHandler_discardsWithoutOuts(t *testing.T) {
	h := fanout.Writers(nil)
	if h.Enabled(t.Context(), slog.LevelError) {
		t.Error("it is enabled")
	}
	if err := h.WithGroup("g").Handle(t.Context(), record(slog.LevelError, "message")); err != nil {
		t.Error(err)
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers"})
}

func TestWritersHandler_showsReplaceAttrTheTypesOfWith(t *testing.T) {
	var written bytes.Buffer
	var level slog.LevelVar
	level.Set(slog.LevelError)
	h := slog.Handler(fanout.Writers(func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if _, ok := a.Value.Any().(*secret); ok {
				a.Value = slog.StringValue("***")
			}
			return withoutTime.ReplaceAttr(groups, a)
		}})
	}, fanout.Out{W: &written}, fanout.Out{W: io.Discard, Min: &level}))
	h = h.WithAttrs([]slog.Attr{slog.Any("k", &secret{"hidden"})})
	for range 2 {
		if err := handle(h, record(slog.LevelInfo, "m")); err != nil {
			t.Error(err)
		}
		level.Set(slog.LevelInfo) // another set of outs is open now
	}
	if want := strings.Repeat(`{"level":"INFO","msg":"m","k":"***"}`+"\n", 2); written.String() != want {
		t.Errorf("wrote %s", &written)
	}
}

func TestWritersHandler_givesEachEncoderASliceOfItsOwn(t *testing.T) {
	var written bytes.Buffer
	h := fanout.Writers(func(w io.Writer) slog.Handler {
		return &hooked{next: slog.NewTextHandler(w, withoutTime), withAttrs: func(attrs []slog.Attr) []slog.Attr {
			attrs[0].Value = slog.StringValue(attrs[0].Value.String() + "*")
			return attrs
		}}
	}, fanout.Out{W: &written}, fanout.Out{W: io.Discard, Min: slog.LevelError})
	given := []slog.Attr{slog.String("k", "v")}
	derived := h.WithAttrs(given)
	for _, level := range []slog.Level{info, grave} {
		if err := handle(derived, record(level, "m")); err != nil {
			t.Error(err)
		}
	}
	if want := "level=INFO msg=m k=v*\nlevel=ERROR msg=m k=v*\n"; written.String() != want {
		t.Errorf("wrote\n%swant\n%s", &written, want)
	}
	if given[0].Value.String() != "v" {
		t.Errorf("the caller's slice became %v", given)
	}
}

func TestWritersHandler_refusesRecordsWhateverTheEncoderReturns(t *testing.T) {
	ignoring := func(w io.Writer) slog.Handler { return retaining{Buffer: new(bytes.Buffer)} }
	h := fanout.Writers(ignoring, fanout.Out{W: io.Discard})
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := h.Handle(t.Context(), record(info, "late")); err != fanout.ErrClosed {
		t.Errorf("Handle after Shutdown returned %v", err)
	}
}

func TestWritersHandler_unwrapsToWhatEncodes(t *testing.T) {
	var written bytes.Buffer
	inner := []*fanout.LevelHandler{}
	h := fanout.Writers(func(w io.Writer) slog.Handler {
		inner = append(inner, fanout.AtLeast(jsonTo(w), slog.LevelInfo))
		return inner[len(inner)-1]
	}, fanout.Out{W: &written}, fanout.Out{W: &written, Min: slog.LevelError}, fanout.Out{W: &written, Min: new(slog.LevelVar)})
	if got := h.Unwrap(); len(got) != 5 || len(inner) != 5 || got[0] != inner[0] || got[4] != inner[4] {
		t.Errorf("two constant levels and one other make %d handlers, and Unwrap gives %v", len(inner), got)
	}
	if err := slogworks.Shutdown(t.Context(), h); err != nil {
		t.Error(err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWritersHandler_keepsFaultsOfOneWriterFromTheOthers(t *testing.T) {
	for _, fault := range []struct {
		name  string
		write writerFunc
		want  func(error) bool
	}{
		{"fails", func([]byte) (int, error) { return 0, errBroken }, func(err error) bool { return errors.Is(err, errBroken) }},
		{"fails after it wrote all", func(p []byte) (int, error) { return len(p), errBroken }, func(err error) bool { return errors.Is(err, errBroken) }},
		{"writes half", func(p []byte) (int, error) { return len(p) / 2, nil }, func(err error) bool { return errors.Is(err, io.ErrShortWrite) }},
		{"panics", func([]byte) (int, error) { panic(errBroken) }, func(err error) bool {
			panicked, ok := errors.AsType[*slogworks.PanicError](err)
			return ok && len(panicked.Stack) > 0 && errors.Is(err, errBroken)
		}},
	} {
		t.Run("a writer that "+fault.name, func(t *testing.T) {
			var before, beside, after bytes.Buffer
			h := fanout.Writers(nil,
				fanout.Out{W: &before, Min: slog.LevelDebug},
				fanout.Out{W: fault.write},
				fanout.Out{W: &beside},
				fanout.Out{W: fault.write, Min: slog.LevelWarn},
				fanout.Out{W: &after, Min: new(slog.LevelVar)},
			)
			for i, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelDebug} {
				err := h.Handle(t.Context(), record(level, level.String()))
				if level == slog.LevelDebug {
					if err != nil {
						t.Errorf("a record that the writer did not get returned %v", err)
					}
				} else if !fault.want(err) || strings.Count(err.Error(), "\n") != i {
					t.Errorf("%d faults returned %v", i+1, err)
				}
			}
			for name, w := range map[string]*bytes.Buffer{"before": &before, "beside": &beside, "after": &after} {
				want := 2
				if name == "before" {
					want = 3
				}
				if got := strings.Count(w.String(), "\n"); got != want {
					t.Errorf("the writer %s the broken one got %d records of %d:\n%s", name, got, want, w)
				}
			}
			wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: 3, Delivered: 1, Dropped: map[string]uint64{"error": 2}})
		})
	}
}

func TestWritersHandler_countsWhatItsEncoderPanicsOn(t *testing.T) {
	var written bytes.Buffer
	h := fanout.Writers(func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "poison" {
				panic(errBroken)
			}
			return a
		}})
	}, fanout.Out{W: &written})
	wantPanicError(t, h.Handle(t.Context(), record(slog.LevelInfo, "message", slog.Int("poison", 1))))
	if err := h.Handle(t.Context(), record(slog.LevelInfo, "message")); err != nil || strings.Count(written.String(), "\n") != 1 {
		t.Errorf("after it, Handle returns %v and %q is written", err, &written)
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: 2, Delivered: 1, Dropped: map[string]uint64{"error": 1}})
}

// verbs is a writer that has the verbs with a context.
type verbs struct {
	bytes.Buffer
	calls []string
	err   error
}

func (v *verbs) called(ctx context.Context, verb string) error {
	if ctx.Value(itemKey{}) != "ctx" {
		verb += " with another context"
	}
	v.calls = append(v.calls, verb)
	return v.err
}

func (v *verbs) Flush(ctx context.Context) error    { return v.called(ctx, "flush") }
func (v *verbs) Shutdown(ctx context.Context) error { return v.called(ctx, "shutdown") }

func TestWritersHandler_flushesAndShutsDownItsWriters(t *testing.T) {
	ctx := context.WithValue(t.Context(), itemKey{}, "ctx")
	var file, other bytes.Buffer
	buffered := bufio.NewWriter(&file)
	own := new(verbs)
	h := fanout.Writers(nil, fanout.Out{W: buffered}, fanout.Out{W: own, Min: slog.LevelError}, fanout.Out{W: &other})
	derived := h.WithGroup("g")
	log := func(message string) {
		if err := derived.Handle(t.Context(), record(slog.LevelError, message)); err != nil {
			t.Error(err)
		}
	}
	log("one")
	if file.Len() > 0 {
		t.Fatal("a bufio.Writer is no buffer")
	}
	if err := slogworks.Flush(ctx, derived); err != nil {
		t.Error(err)
	}
	if got := strings.Count(file.String(), "\n"); got != 1 {
		t.Errorf("after Flush %d records of 1 have left the bufio.Writer", got)
	}
	log("two")
	for range 2 {
		if err := slogworks.Shutdown(ctx, derived); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Count(file.String(), "\n"); got != 2 {
		t.Errorf("after Shutdown %d records of 2 have left the bufio.Writer", got)
	}
	if want := []string{"flush", "flush", "shutdown", "flush", "shutdown"}; !slices.Equal(own.calls, want) {
		t.Errorf("a writer with verbs of its own was called to %q, want %q", own.calls, want)
	}

	for _, h := range []slog.Handler{h, derived} {
		if err := h.Handle(t.Context(), record(slog.LevelError, "late")); !errors.Is(err, fanout.ErrClosed) {
			t.Errorf("Handle after Shutdown returned %v", err)
		}
	}
	for name, w := range map[string]string{"the bufio.Writer": file.String(), "the one with verbs": own.String(), "the other": other.String()} {
		if got := strings.Count(w, "\n"); got != 2 {
			t.Errorf("%s has %d records of 2", name, got)
		}
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: 4, Delivered: 2, Dropped: map[string]uint64{"closed": 2}})
}

func TestWritersHandler_flushesAllWhateverSomeReturn(t *testing.T) {
	ctx := context.WithValue(t.Context(), itemKey{}, "ctx")
	failingFlush := bufio.NewWriter(writerFunc(func([]byte) (int, error) { return 0, errors.New("first") }))
	throwing := &throwingFlush{}
	second, last := &verbs{err: errors.New("second")}, new(verbs)
	h := fanout.Writers(nil, fanout.Out{W: failingFlush}, fanout.Out{W: throwing}, fanout.Out{W: second, Min: new(slog.LevelVar)}, fanout.Out{W: last, Min: slog.LevelError})
	if err := h.Handle(ctx, record(slog.LevelError, "message")); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"Flush": h.Flush(ctx), "Shutdown": h.Shutdown(ctx)} {
		wantPanicError(t, err)
		for _, want := range []string{"first", "second"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s returned %v, without %q", name, err, want)
			}
		}
	}
	if len(last.calls) != 3 {
		t.Errorf("the last writer was called to %q", last.calls)
	}
}

type throwingFlush struct{ bytes.Buffer }

func (*throwingFlush) Flush() error { panic(errBroken) }

// shuttingDown is a LogValuer that shuts the handler down while its record is
// encoded.
type shuttingDown struct{ h *fanout.WritersHandler }

func (s shuttingDown) LogValue() slog.Value {
	return slog.AnyValue(s.h.Shutdown(context.Background()))
}

func TestWritersHandler_refusesWhatWouldStayInAFlushedBuffer(t *testing.T) {
	var file bytes.Buffer
	h := fanout.Writers(nil, fanout.Out{W: bufio.NewWriter(&file)})
	if err := h.Handle(t.Context(), record(info, "message", slog.Any("k", shuttingDown{h}))); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Handle returned %v, and the file has %q", err, &file)
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: 1, Dropped: map[string]uint64{"closed": 1}})
}

func TestWritersHandler_losesNothingThatItTookBeforeShutdown(t *testing.T) {
	const goroutines = 4
	var file bytes.Buffer
	h := fanout.Writers(nil, fanout.Out{W: bufio.NewWriter(&file)})
	taken := make([]int, goroutines)
	var wg, started sync.WaitGroup
	started.Add(goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for ; h.Handle(context.Background(), record(info, "message")) == nil; taken[g]++ {
				if taken[g] == 10 {
					started.Done()
				}
			}
		})
	}
	started.Wait()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	if got := strings.Count(file.String(), "\n"); got != sum {
		t.Errorf("Handle returned nil for %d records, and %d are in the file", sum, got)
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: uint64(sum + goroutines), Delivered: uint64(sum), Dropped: map[string]uint64{"closed": goroutines}})
}

// lines is a writer without a lock that checks each Write for a whole line.
type lines struct {
	messages map[string]int
	broken   []string
}

func (l *lines) Write(p []byte) (int, error) {
	var line struct{ Msg, Goroutine string }
	if err := json.Unmarshal(p, &line); err != nil || bytes.IndexByte(p, '\n') != len(p)-1 {
		l.broken = append(l.broken, string(p))
	}
	l.messages[line.Goroutine+line.Msg]++
	return len(p), nil
}

func TestWritersHandler_isSafeForConcurrentUse(t *testing.T) {
	const goroutines, each = 8, 200
	var one, two slog.LevelVar
	all := make([]*lines, 6)
	for i := range all {
		all[i] = &lines{messages: map[string]int{}}
	}
	h := fanout.Writers(nil,
		fanout.Out{W: all[0]}, fanout.Out{W: all[1], Min: slog.LevelDebug}, fanout.Out{W: all[2], Min: slog.LevelError},
		fanout.Out{W: all[3], Min: &one}, fanout.Out{W: all[4], Min: &two}, fanout.Out{W: all[5], Min: &one},
	)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			parent := h.WithAttrs([]slog.Attr{slog.String("goroutine", fmt.Sprint(g))})
			for i := range each {
				derived := parent
				if i%3 == 0 {
					derived = parent.WithAttrs([]slog.Attr{slog.Int("i", i)}).WithGroup("g")
				}
				if err := derived.Handle(context.Background(), record(slog.LevelInfo, fmt.Sprint("/", i), slog.Int("k", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range each {
			one.Set(slog.Level(i%3*4 - 4))
			two.Set(slog.Level(i%2*8 - 4))
			if err := h.Flush(context.Background()); err != nil {
				t.Error(err)
			}
			h.Account()
		}
	})
	wg.Wait()

	for i, l := range all {
		if len(l.broken) > 0 {
			t.Errorf("out %d got Writes that are no line, such as %q", i+1, l.broken[0])
		}
		for message, n := range l.messages {
			if n != 1 {
				t.Errorf("out %d got %s %d times", i+1, message, n)
			}
		}
	}
	for i, want := range map[int]int{0: goroutines * each, 1: goroutines * each, 2: 0} {
		if got := len(all[i].messages); got != want {
			t.Errorf("out %d got %d records of %d", i+1, got, want)
		}
	}
	if a, b := len(all[3].messages), len(all[5].messages); a != b {
		t.Errorf("of two outs with one level, one got %d records and the other %d", a, b)
	}
	wantAccount(t, h, slogworks.Account{Stage: "fanout.Writers", Accepted: goroutines * each, Delivered: goroutines * each})
}

func TestWritersHandler_writesOneAtATimeToAnOut(t *testing.T) {
	var writing, overlapped bool
	var mu sync.Mutex
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	slow := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		overlapped = overlapped || writing
		writing = true
		mu.Unlock()
		entered <- struct{}{}
		<-leave
		mu.Lock()
		writing = false
		mu.Unlock()
		return len(p), nil
	})
	// The two records go to two sets of outs, so that two handlers encode them.
	h := fanout.Writers(nil, fanout.Out{W: slow}, fanout.Out{W: io.Discard, Min: slog.LevelError})
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Handle(context.Background(), record(info, "message")) })
	<-entered
	wg.Go(func() { _ = h.Handle(context.Background(), record(grave, "message")) })
	leave <- struct{}{}
	<-entered
	leave <- struct{}{}
	wg.Wait()
	if overlapped {
		t.Error("a writer was called twice at once")
	}
}
