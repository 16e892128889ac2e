package bench_test

import (
	"io"
	"log/slog"
	"testing"

	slogmulti "github.com/samber/slog-multi"
	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

func direct(output func(int) io.Writer) slog.Handler {
	return slog.NewJSONHandler(output(0), nil)
}

// children are what most subjects pass records on to.
func children(n int, output func(int) io.Writer) []slog.Handler {
	handlers := make([]slog.Handler, n)
	for i := range handlers {
		handlers[i] = slog.NewJSONHandler(output(i), nil)
	}
	return handlers
}

func multiHandler(n int) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		return slog.NewMultiHandler(children(n, output)...)
	}
}

func fanoutNew(n int) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		return fanout.New(children(n, output)...)
	}
}

func slogmultiFanout(n int) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		return slogmulti.Fanout(children(n, output)...)
	}
}

func multiWriter(n int) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		writers := make([]io.Writer, n)
		for i := range writers {
			writers[i] = output(i)
		}
		return slog.NewJSONHandler(io.MultiWriter(writers...), nil)
	}
}

func fanoutWriters(n int) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		outs := make([]fanout.Out, n)
		for i := range outs {
			outs[i].W = output(i)
		}
		return fanout.Writers(nil, outs...)
	}
}

// The four routes of each kind select by level or by attribute; the last of
// them is the one that matches.
var (
	levels  = [4]slog.Level{slog.LevelError + 4, slog.LevelError, slog.LevelWarn, slog.LevelInfo}
	tenants = [4]string{"globex", "hooli", "initech", "acme"}
)

type router func(...fanout.Route) *fanout.RouterHandler

func byLevel(router router) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		var routes []fanout.Route
		for i, child := range children(4, output) {
			routes = append(routes, fanout.Route{Min: levels[i], Max: levels[i], To: child})
		}
		return router(routes...)
	}
}

func byAttr(router router) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		var routes []fanout.Route
		for i, child := range children(4, output) {
			routes = append(routes, fanout.Route{When: slogworks.AttrIs("tenant", tenants[i]), To: child})
		}
		return router(routes...)
	}
}

func slogmultiByLevel(first bool) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		router := slogmulti.Router()
		for i, child := range children(4, output) {
			router = router.Add(child, slogmulti.LevelIs(levels[i]))
		}
		if first {
			router = router.FirstMatch()
		}
		return router.Handler()
	}
}

func slogmultiByAttr(first bool) func(func(int) io.Writer) slog.Handler {
	return func(output func(int) io.Writer) slog.Handler {
		router := slogmulti.Router()
		for i, child := range children(4, output) {
			router = router.Add(child, slogmulti.AttrValueIs("tenant", tenants[i]))
		}
		if first {
			router = router.FirstMatch()
		}
		return router.Handler()
	}
}

func failover(output func(int) io.Writer) slog.Handler {
	return fanout.Failover(children(2, output)...)
}

func slogmultiFailover(output func(int) io.Writer) slog.Handler {
	return slogmulti.Failover()(children(2, output)...)
}

var fanoutSubjects = []subject{
	{"2/MultiHandler", multiHandler(2), []int{0, 1}},
	{"2/New", fanoutNew(2), []int{0, 1}},
	{"2/slogmulti", slogmultiFanout(2), []int{0, 1}},
	{"4/MultiHandler", multiHandler(4), []int{0, 1, 2, 3}},
	{"4/New", fanoutNew(4), []int{0, 1, 2, 3}},
	{"4/slogmulti", slogmultiFanout(4), []int{0, 1, 2, 3}},

	// Near to what is compared with it, since machines change their speed.
	{"direct", direct, []int{0}},
	{"router/level/Router", byLevel(fanout.Router), []int{3}},
	{"router/level/slogmulti", slogmultiByLevel(false), []int{3}},
	{"router/attr/Router", byAttr(fanout.Router), []int{3}},
	{"router/attr/slogmulti", slogmultiByAttr(false), []int{3}},
	{"first/level/First", byLevel(fanout.First), []int{3}},
	{"first/level/slogmulti", slogmultiByLevel(true), []int{3}},
	{"first/attr/First", byAttr(fanout.First), []int{3}},
	{"first/attr/slogmulti", slogmultiByAttr(true), []int{3}},
	{"failover/Failover", failover, []int{0}},
	{"failover/slogmulti", slogmultiFailover, []int{0}},

	{"writers/2/MultiWriter", multiWriter(2), []int{0, 1}},
	{"writers/2/Writers", fanoutWriters(2), []int{0, 1}},
	{"writers/4/MultiWriter", multiWriter(4), []int{0, 1, 2, 3}},
	{"writers/4/Writers", fanoutWriters(4), []int{0, 1, 2, 3}},
}

func BenchmarkFanout(b *testing.B) { run(b, slog.LevelInfo, fanoutSubjects) }

// A level that no child wants is the most frequent case of all.
var disabledSubjects = []subject{
	{"direct", direct, []int{0}},
	{"MultiHandler", multiHandler(4), []int{0, 1, 2, 3}},
	{"New", fanoutNew(4), []int{0, 1, 2, 3}},
	{"slogmulti", slogmultiFanout(4), []int{0, 1, 2, 3}},
}

func BenchmarkFanoutDisabled(b *testing.B) { run(b, slog.LevelDebug, disabledSubjects) }

func TestFanout_writesTheSameLines(t *testing.T) {
	sameLines(t, slog.LevelInfo, fanoutSubjects)
}

func TestFanoutDisabled_writesNothing(t *testing.T) {
	sameLines(t, slog.LevelInfo, disabledSubjects)
	sameLines(t, slog.LevelDebug, disabledSubjects)
}
