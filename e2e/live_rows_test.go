package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/live"
)

func testLiveRows(t *testing.T, browser context.Context) {
	publish := func(hub *live.Hub, at time.Time, from live.Origin, message string, attrs ...any) {
		r := slog.NewRecord(at, slog.LevelInfo, message, 0)
		r.Add(attrs...)
		_ = hub.Publish(r, from)
	}
	noon := time.Now().Truncate(24 * time.Hour).Add(-12 * time.Hour)

	t.Run("tell where the day changes", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		midnight := noon.Add(12 * time.Hour)
		for _, r := range []struct {
			at      time.Time
			message string
		}{
			{midnight.AddDate(0, 0, -5), "five days ago"},
			{midnight.Add(-time.Minute), "yesterday"},
			{midnight, "today"},
			{midnight.Add(-time.Second), "late"}, // of a clock that is slow by as much
			{midnight.Add(time.Second), "later"},
		} {
			publish(hub, r.at, live.Origin{}, r.message)
		}
		p := openLive(t, browser, url, "light", 1280)
		// The rows from the top, those of days in brackets.
		const rows = `[...document.querySelectorAll('#rows .row')].filter(e => !e.hidden).sort((a, b) => a.dataset.index - b.dataset.index).map(e => (e.classList.contains('day') ? '[' + e.textContent + ']' : e.querySelector('.message').firstChild.textContent)).join()`
		p.run("document.querySelector('[name=clock][value=utc]').click()")
		day := func(ago int) string { return midnight.AddDate(0, 0, -ago).Format("[Monday, 2006-01-02]") }
		p.until(rows + " === '" + day(5) + ",five days ago," + day(1) + ",yesterday," + day(0) + ",today,late,later'")
		p.until("document.querySelector('#shown').textContent === '5 shown'")
		p.shoot("days")

		// Where the filters leave nothing of a day, they leave no line either.
		p.search("-yesterday")
		p.until(rows + " === '" + day(5) + ",five days ago," + day(0) + ",today,late,later'")
		p.until("document.querySelector('#shown').textContent === '4 shown of 5 on this page'")
		p.search("late")
		p.until(rows + " === 'late,later'")

		// Keys and clicks pass the lines over.
		p.run("document.querySelector('#rows').focus()")
		p.press("0")
		p.until(rows + ".startsWith('" + day(5) + "')")
		p.press("k")
		for range 4 {
			p.press("k")
		}
		p.press(kb.Enter)
		p.until(openMessage + " === 'five days ago'")
		p.click(".row.day")
		p.until(openMessage + " === 'five days ago'")
		// A range of another day says which.
		p.run("location.hash = 'from=" + midnight.AddDate(0, 0, -5).Format(time.RFC3339) + "&to=" + midnight.AddDate(0, 0, -5).Add(time.Minute).Format(time.RFC3339) + "'")
		p.until(`document.querySelector('#active button').textContent.includes('` + midnight.AddDate(0, 0, -5).Format("2006-01-02") + ` 00:00:00 – 00:01:00')`)
		p.run("localStorage.removeItem('slogworks.clock')")
		p.mustBeFree(t)
	})

	t.Run("call no file a host", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		publish(hub, time.Now(), live.Origin{Process: "app.log"}, "a")
		publish(hub, time.Now(), live.Origin{Process: "db.log"}, "b")
		p := openLive(t, browser, url, "light", 1280)
		p.until(shown + ".join() === 'a,b'")
		const origins = `[...document.querySelectorAll('#rows [data-seq]')].filter(e => !e.hidden).map(e => e.querySelector('.origin').textContent).sort().join()`
		p.until(origins + " === 'app.log,db.log' && document.querySelector('.head .origin').textContent === 'From' && document.querySelector('.head .origin').offsetWidth > 0")
		const headings = "[...document.querySelectorAll('#side h2')].map(e => e.textContent).join()"
		p.until(headings + " === 'Loggers,From'")
		p.click("#rows .row[data-seq]")
		p.until("[...document.querySelectorAll('#details dt')].map(e => e.textContent).includes('From')")

		for _, host := range []string{"web1", "web2"} {
			publish(hub, time.Now(), live.Origin{Host: host, Process: "shop"}, host)
		}
		p.until(origins + ".endsWith('web1/shop,web2/shop') && " + headings + " === 'Loggers,Hosts,From'")
		p.mustBeFree(t)
	})

	t.Run("are new if they came since the reader left the end", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		for _, message := range []string{"a1", "a2", "b", "b", "b"} {
			publish(hub, noon, live.Origin{}, message)
		}
		p := openLive(t, browser, url, "light", 1280)
		p.search("a")
		p.until(shown + ".join() === 'a1,a2'")
		p.run("document.querySelector('#rows').focus()")
		p.press("kk")
		const follow = "document.querySelector('#follow:not([hidden]) #unseen').textContent"
		p.until(follow + " === 'Newest'")
		p.press("0")
		p.until(shown + ".length === 5 && " + follow + " === 'Newest'")
		publish(hub, noon.AddDate(0, 0, 1), live.Origin{}, "the day after")
		p.until("document.querySelectorAll('.row.day:not([hidden])').length === 2 && " + follow + " === '1 new'")
		p.mustBeFree(t)
	})

	t.Run("before the first say what will be where", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		p := openLive(t, browser, url, "light", 1280)
		const side = "document.querySelector('#side').textContent"
		p.until(state + " === 'LIVE' && " + side + ".includes('with its first record')")
		slog.New(hub.Handler(nil)).Info("without a name")
		p.until(side + ".includes('No record has a logger')")
		slogworks.Named(slog.New(hub.Handler(nil)), "shop").Info("with one")
		p.until(`document.querySelector('#side [data-logger=shop]') && !` + side + `.includes('No record')`)
		p.mustBeFree(t)
	})

	t.Run("stay readable whatever stands in them", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		publish(hub, time.Now(), live.Origin{}, "שלום", "logger", "/a.logger/", "key", "ערך")
		publish(hub, time.Now(), live.Origin{}, "\x1b[31mred\x1b[0m\x00 \u202egnp.exe", "key", "\a")
		publish(hub, time.Now(), live.Origin{}, strings.Repeat(" ", 100_000)+"\r\n\r\n  x", "key", strings.Repeat("Z\u0315\u0322\u034e", 3000))
		p := openLive(t, browser, url, "light", 1280)
		p.until(shown + ".length === 3")
		if got, want := p.text(shown+"[1]"), "^[[31mred^[[0m^@ \ufffdgnp.exe"; got != want {
			t.Errorf("shows %q, want %q", got, want)
		}
		// What is written from the right takes nothing else along.
		p.until(`(row => row.querySelector('.message').firstChild.getBoundingClientRect().right < row.querySelector('.attrs').getBoundingClientRect().left)(document.querySelector('[data-seq="1"]'))`)
		p.until(`(name => {
			const first = document.createRange(), last = document.createRange()
			first.setStart(name, 0), first.setEnd(name, 1)
			last.setStart(name, name.data.length - 1), last.setEnd(name, name.data.length)
			return first.getBoundingClientRect().left < last.getBoundingClientRect().left
		})(document.querySelector('[data-seq="1"] .logger').firstChild.firstChild)`)
		p.mustBeFree(t)
	})

	t.Run("are found by what stands in the details", func(t *testing.T) {
		for _, test := range []struct {
			name, key string
			value     any
		}{
			{"several lines", "stack", "boom\nat x.go:1\nat y.go:2"},
			{"very long", "body", strings.Repeat("0123456789", 300)},
			{"a key that looks like a mark", "-x", "5"},
			{"a key that looks like an expression", "/x/", "5"},
			{"no key", "", "only this"},
			{"a key that the search has for itself", "level", "gold"},
			{"a large number", "sum", 1234567.5},
			{"bytes", "raw", []byte("hi")},
		} {
			t.Run(test.name, func(t *testing.T) {
				hub := live.New(nil)
				url, _ := liveSite(t, hub, "127.0.0.1:0")
				publish(hub, time.Now(), live.Origin{}, "other", "n", 1)
				publish(hub, time.Now(), live.Origin{}, "this", test.key, test.value)
				p := openLive(t, browser, url, "light", 1280)
				p.until(shown + ".join() === 'other,this'")
				p.press("k")
				p.press(kb.Enter)
				p.until(openMessage + " === 'this'")
				p.click("#details .attrs .does button")
				p.until(shown + ".join() === 'this'")
				if got := p.fetched("'records?q=' + encodeURIComponent(document.querySelector('#search').value)"); strings.Count(got, `"s":`) != 1 {
					t.Errorf("of the server the search has %.300s", got)
				}
				p.click("#details .attrs .does button:nth-child(2)")
				p.until(shown + ".join() === 'other'")
				p.mustBeFree(t)
			})
		}
	})

	t.Run("are searched with expressions that would take a browser for ever", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		as := strings.Repeat("a", 34)
		logger := slog.New(hub.Handler(nil))
		for range 20 {
			logger.Info(strings.Repeat("ab", 900))
		}
		logger.Info(as)
		logger.Info("error", "error", errors.New(strings.Repeat("x", 20_000)+"y"))
		p := openLive(t, browser, url, "light", 1280)
		p.until(shown + ".length === 22")
		for _, search := range []struct{ text, want string }{
			{"/" + strings.Repeat("a?", 34) + as + "/", as},
			{"/" + strings.Repeat("(a|aa)", 24) + "c|^" + as + "$/", as},
			{"/a.*b.*c|^error$/", "error"},
			{"/a{0,500}a{0,500}c|^error$/", "error"},
			{"/x+y$/", "error"}, // too long a text to be tried here
		} {
			p.search(search.text)
			p.until(shown + ".join() === '" + search.want + "' && document.querySelector('#mistake').hidden")
		}
		p.search("-/x+y$/")
		p.until(shown + ".length === 21 && !" + shown + ".includes('error')")
		p.mustBeFree(t)
	})

	t.Run("come again after the page was hidden, which meanwhile has no connection", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		logger.Info("a")
		p := openLive(t, browser, url, "light", 1280)
		p.until(shown + ".join() === 'a'")
		// Nobody here has the patience that the page has.
		p.run("const real = setTimeout; window.setTimeout = (f, ms, ...rest) => real(f, ms >= 20_000 ? 0 : ms, ...rest)")
		hide := func(on string) {
			p.run("Object.defineProperty(document, 'hidden', {configurable: true, value: " + on + "}); document.dispatchEvent(new Event('visibilitychange'))")
		}
		hide("true")
		if !real.Eventually(func() bool { return hub.Stats().Clients == 0 }) {
			t.Fatal("the stream stays open")
		}
		logger.Info("b")
		logger.Info("c")
		hide("false")
		p.until(shown + ".join() === 'a,b,c' && document.querySelector('#shown').textContent === '3 shown'")
		p.mustBeFree(t)
	})

	t.Run("come again after a connection that died without a word", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		address, rest, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		between := newDeafProxy(t, address)
		logger := slog.New(hub.Handler(nil))
		logger.Info("before")
		p := openLive(t, browser, "http://"+between.address+"/"+rest, "light", 1280)
		p.until(shown + ".join() === 'before' && " + state + " === 'LIVE'")
		between.deafen()
		logger.Info("unheard")
		// The page asks when it has heard nothing for a while, and once more later.
		p.run("{ const now = performance.now.bind(performance); let ahead = 0; performance.now = () => now() + ahead; setInterval(() => { ahead += 30_000 }, 5000) }")
		p.until(shown + ".join() === 'before,unheard' && " + state + " === 'LIVE'")
		p.mustBeFree(t)
	})
}

// deafProxy passes connections on, until it holds those of streams without passing
// anything.
type deafProxy struct {
	address string

	mu      sync.Mutex
	streams []*atomic.Bool // whether they are deaf
}

func newDeafProxy(t *testing.T, to string) *deafProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &deafProxy{address: listener.Addr().String()}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	keep := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
	}
	pass := func(to, from net.Conn, isDeaf *atomic.Bool) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if bytes.Contains(buf[:n], []byte("/events?")) {
				p.mu.Lock()
				p.streams = append(p.streams, isDeaf)
				p.mu.Unlock()
			}
			if isDeaf.Load() {
				_, _ = io.Copy(io.Discard, from)
				return
			}
			if _, writeErr := to.Write(buf[:n]); err != nil || writeErr != nil {
				_ = to.Close()
				return
			}
		}
	}
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			keep(near)
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			keep(far)
			isDeaf := new(atomic.Bool)
			running.Go(func() { pass(far, near, isDeaf) })
			running.Go(func() { pass(near, far, isDeaf) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return p
}

// deafen leaves the streams there are without a word; new ones get theirs.
func (p *deafProxy) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, isDeaf := range p.streams {
		isDeaf.Store(true)
	}
	p.streams = nil
}
