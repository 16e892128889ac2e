package memory_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/sinks/memory"
)

var (
	_ memory.TB = (*testing.T)(nil)
	_ memory.TB = (*testing.B)(nil)
	_ memory.TB = (*testing.F)(nil)
	_ memory.TB = (testing.TB)(nil)
)

func TestHandler_FailOn(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(*memory.Handler, *slog.Logger)
		want string
	}{
		{"nothing logged", func(*memory.Handler, *slog.Logger) {}, ""},
		{"below the level", func(_ *memory.Handler, l *slog.Logger) { l.Info("a") }, ""},
		{"excepted", func(_ *memory.Handler, l *slog.Logger) { l.Error("known"); l.Warn("known too") }, ""},
		{"at the level and above", func(_ *memory.Handler, l *slog.Logger) {
			l.Warn("w", "k", 1)
			l.Error("known")
			l.Info("i")
			l.With("k", 2).Error("e")
		}, "memory: 2 records at WARN or above:\n\tlevel=WARN msg=w k=1\n\tlevel=ERROR msg=e k=2\n"},
		{"an exception is the whole message", func(_ *memory.Handler, l *slog.Logger) { l.Warn("known not") },
			"memory: 1 record at WARN or above:\n\tlevel=WARN msg=\"known not\"\n"},
		{"forgotten by Reset", func(h *memory.Handler, l *slog.Logger) {
			for range 9 {
				l.Error("e")
			}
			h.Reset()
		}, ""},
		{"harmless ones dropped", func(_ *memory.Handler, l *slog.Logger) {
			for range 9 {
				l.Info("i")
			}
		}, ""},
		{"dropped and not known", func(_ *memory.Handler, l *slog.Logger) {
			l.Debug("d")
			l.Error("e")
			for range 6 {
				l.Info("i")
			}
		}, "memory: 3 records dropped before FailOn(WARN) could look, up to ERROR: raise MaxRecords\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			fake := &fakeT{out: &out}
			logs := memory.New(&memory.Options{MaxRecords: 5})
			except := []string{"known", "known too"}
			logs.FailOn(fake, slog.LevelWarn, except...)
			except[0] = "changed"
			c.log(logs, slog.New(logs))
			if fake.Failed() {
				t.Error("the test failed before its end")
			}
			fake.end()
			if out.String() != c.want || fake.Failed() != (c.want != "") {
				t.Errorf("failed: %v\n got %q\nwant %q", fake.Failed(), &out, c.want)
			}
		})
	}
}

func TestHandler_FailOn_acceptsNoRecords(t *testing.T) {
	var out bytes.Buffer
	fake := &fakeT{out: &out}
	memory.New(nil).FailOn(fake, slog.LevelDebug)
	fake.end()
	if fake.Failed() {
		t.Errorf("a test without a log failed: %s", &out)
	}
}

func TestHandler_Dump(t *testing.T) {
	for _, failed := range []bool{false, true} {
		var out bytes.Buffer
		fake := &fakeT{out: &out}
		logs := memory.New(nil)
		logs.Dump(fake)
		want := "memory: there are 300 records:\n"
		for range 300 {
			slog.New(logs).Info("m", slog.Group("g", "k", "v w"))
			want += "\tlevel=INFO msg=m g.k=\"v w\"\n"
		}
		if failed {
			fake.fail()
		} else {
			want = ""
		}
		if out.Len() > 0 {
			t.Error("dumped before the end of the test")
		}
		fake.end()
		slog.New(logs).Info("after the test ended")
		if out.String() != want {
			t.Errorf("failed: %v\n got %s\nwant %s", failed, &out, want)
		}
		if logs.Len() != 301 {
			t.Error("a record that was logged after the test ended is not kept")
		}
	}
}

// innerTest, in the environment, names the test to run in another process,
// where it may fail.
const innerTest = "SLOGWORKS_INNER_TEST"

func TestInner(t *testing.T) {
	logs := memory.New(nil)
	logger := slog.New(logs)
	switch os.Getenv(innerTest) {
	case "passes":
		logs.Dump(t)
		logs.FailOn(t, slog.LevelError)
		logger.Warn("harmless")
	case "logs an error":
		logs.Dump(t)
		logs.FailOn(t, slog.LevelError)
		logger.Error("down")
	case "panics":
		logs.Dump(t)
		logger.Info("last words")
		panic("oops")
	case "logs after its end":
		ended, logged := make(chan struct{}), make(chan struct{})
		t.Run("subtest", func(t *testing.T) {
			logs.Dump(t)
			logs.FailOn(t, slog.LevelError)
			go func() {
				<-ended
				logger.Error("late")
				close(logged)
			}()
		})
		close(ended)
		<-logged
		logs.Message("late").One(t)
	default:
		t.Skip("is run by TestTB")
	}
}

func TestTB_isWhatTestingHas(t *testing.T) {
	for _, c := range []struct {
		inner string
		fails bool
		says  []string
	}{
		{"passes", false, nil},
		{"logs an error", true, []string{"report_test.go:", "memory: 1 record at ERROR or above:\n", "memory: there is 1 record:\n"}},
		{"panics", true, []string{"memory: there is 1 record:\n", `msg="last words"`}},
		{"logs after its end", false, nil},
	} {
		t.Run(c.inner, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestInner$")
			cmd.Env = append(os.Environ(), innerTest+"="+c.inner)
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("ended with %v", err)
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if !c.fails && strings.Contains(string(out), "memory:") {
				t.Error("it is not silent")
			}
			if t.Failed() {
				t.Logf("output:\n%s", out)
			}
		})
	}
}
