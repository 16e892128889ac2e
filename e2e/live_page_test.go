package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/live"
)

// livePage is a tab with the page of a hub in it.
type livePage struct {
	t   *testing.T
	tab context.Context

	mu       sync.Mutex
	requests []string
	mistakes []string // what scripts threw and the console was told
}

func openLive(t *testing.T, browser context.Context, url, scheme string, width int64) *livePage {
	t.Helper()
	p := &livePage{t: t}
	tab, closeTab := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			p.requests = append(p.requests, event.Request.URL)
		case *runtime.EventExceptionThrown:
			p.mistakes = append(p.mistakes, event.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			p.mistakes = append(p.mistakes, fmt.Sprint(event.Args))
		}
	}))
	t.Cleanup(closeTab)
	p.tab = tab
	// Several tabs are tested at a time, each as if it were in front.
	inFront := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	})
	p.do(displayAs(scheme, width), inFront, chromedp.Navigate(url))
	return p
}

func (p *livePage) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.tab, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a script for its effect.
func (p *livePage) run(script string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.tab, chromedp.Evaluate[bool]("{"+script+"}; true")); err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
}

func (p *livePage) text(script string) string {
	p.t.Helper()
	s, err := chromedp.Run(p.tab, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return s
}

func (p *livePage) number(script string) float64 {
	p.t.Helper()
	n, err := chromedp.Run(p.tab, chromedp.Evaluate[float64](script))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return n
}

// until waits for an expression to become true.
func (p *livePage) until(expression string) {
	p.t.Helper()
	if !real.Eventually(func() bool { return p.text("Boolean("+expression+")") == "true" }) {
		p.t.Fatalf("never true: %s\n%s", expression, p.text("document.body.innerText"))
	}
}

// press presses keys as a person does, wherever the focus is.
func (p *livePage) press(keys string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for _, key := range keys {
			events := kb.Encode(key)
			// The key and its character are one event, as from a keyboard: a page
			// that takes the key then gets no character.
			if len(events) == 3 && events[1].Type == input.DispatchKeyEventTypeChar {
				events[0].Type, events[0].Text = input.DispatchKeyEventTypeKeyDown, events[1].Text
				events = append(events[:1], events[2])
			}
			for _, event := range events {
				if _, err := cdp.Call(ctx, tab, input.DispatchKeyEvent, *event); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// at returns where the middle of an element is, given an expression for it.
func (p *livePage) at(element string) (x, y float64) {
	p.t.Helper()
	p.until(element + " && !" + element + ".hidden")
	text := p.text("(() => { const b = " + element + ".getBoundingClientRect(); return JSON.stringify([b.x + b.width / 2, b.y + b.height / 2]) })()")
	var at [2]float64
	if err := json.Unmarshal([]byte(text), &at); err != nil {
		p.t.Fatalf("%s is at %s: %v", element, text, err)
	}
	return at[0], at[1]
}

func (p *livePage) click(selector string, options ...chromedp.MouseOption) {
	p.t.Helper()
	// The first that nothing covers.
	p.clickOn(fmt.Sprintf(`[...document.querySelectorAll(%q)].find(e => {
		const b = e.getBoundingClientRect()
		const on = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)
		return on && (e.contains(on) || on.contains(e))
	})`, selector), options...)
}

func (p *livePage) clickOn(element string, options ...chromedp.MouseOption) {
	p.t.Helper()
	x, y := p.at(element)
	p.do(chromedp.MouseClickXY(x, y, options...))
}

// clickText clicks the first of the elements that has the text.
func (p *livePage) clickText(selector, text string) {
	p.t.Helper()
	p.clickOn(fmt.Sprintf("[...document.querySelectorAll(%q)].find(e => e.textContent.includes(%q))", selector, text))
}

var withShift = chromedp.ButtonModifiers(chromedp.ModifierShift)

// drag moves the pressed mouse from one part of an element's width to another.
func (p *livePage) drag(selector string, from, to float64) {
	p.t.Helper()
	element := fmt.Sprintf("document.querySelector(%q)", selector)
	_, y := p.at(element)
	x := func(part float64) float64 {
		return p.number(fmt.Sprintf("(b => b.left + %g * b.width)(%s.getBoundingClientRect())", part, element))
	}
	p.do(
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, x(from), y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x((from+to)/2), y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x(to), y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x(to), y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
	)
}

// search replaces what stands in the search box by what a person types.
func (p *livePage) search(text string) {
	p.t.Helper()
	p.run("document.querySelector('#rows').focus()")
	p.press("/")
	p.until("document.activeElement.id === 'search'")
	p.press(text)
}

// fetched is what a request of the page itself is answered.
func (p *livePage) fetched(address string) string {
	p.t.Helper()
	p.run(fmt.Sprintf("window.fetched = null; fetch(%s).then(a => a.text()).then(t => { window.fetched = t })", address))
	p.until("window.fetched !== null")
	return p.text("window.fetched")
}

// liveShots names the directory that pictures of the page are written to, if any.
const liveShots = "SLOGWORKS_SHOTS"

func (p *livePage) shoot(name string) {
	p.t.Helper()
	dir := os.Getenv(liveShots)
	if dir == "" {
		return
	}
	// The next two frames, so that what was asked for is drawn.
	p.run("window.drawn = false; requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = true }))")
	p.until("window.drawn")
	shot, err := chromedp.Run(p.tab, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

const (
	// shown are the messages that can be seen, from the top.
	shown = `[...document.querySelectorAll('#rows [data-seq]')].filter(e => !e.hidden).sort((a, b) => a.dataset.seq - b.dataset.seq).map(e => e.querySelector('.message').firstChild.textContent)`
	state = `document.querySelector('#state').textContent`
	// isOpen has the message of the record whose details are open.
	openMessage = `(document.querySelector('#details').hidden ? '' : document.querySelector('#details .message').textContent)`
)

// liveSite serves a hub.
func liveSite(t *testing.T, hub *live.Hub, address string) (url string, end func()) {
	t.Helper()
	var listener net.Listener
	if !real.Eventually(func() (ok bool) {
		var err error
		listener, err = net.Listen("tcp", address)
		return err == nil
	}) {
		t.Fatalf("%s stays in use", address)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/log/", hub)
	server := &http.Server{Handler: mux}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	end = sync.OnceFunc(func() {
		_ = hub.Close()
		_ = server.Close()
		<-served
	})
	t.Cleanup(end)
	return "http://" + listener.Addr().String() + "/debug/log/?token=" + hub.Token(), end
}

// mustBeFree fails the test if a script of the page threw something or complained.
func (p *livePage) mustBeFree(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mistakes) > 0 {
		t.Errorf("mistakes of the page: %q", p.mistakes)
	}
}

// shopLog publishes what a shop with two hosts has logged in the ten minutes up
// to now: calm, but for one minute of refused payments. The requests have ids,
// and one of those that failed is told from its beginning to its end.
func shopLog(hub *live.Hub, now time.Time) {
	type record struct {
		level   slog.Level
		logger  string
		message string
		attrs   []any
	}
	publish := func(at time.Time, host string, r record) {
		out := slog.NewRecord(at, r.level, r.message, 0)
		out.Add(slogworks.LoggerKey, r.logger)
		out.Add(r.attrs...)
		_ = hub.Publish(out, live.Origin{Host: host, Process: "shop", PID: 4711})
	}
	const requests = 400
	paths := []string{"/cart", "/checkout", "/products/lamp", "/search?q=chair", "/account/orders"}
	begin := now.Add(-10 * time.Minute)
	for i := range requests {
		// One minute has ten times as many.
		at := begin.Add(time.Duration(i) * 3 * time.Second)
		inSpike := i >= 120 && i < 320
		switch {
		case inSpike:
			at = begin.Add(6*time.Minute + time.Duration(i-120)*300*time.Millisecond)
		case i >= 320:
			at = begin.Add(7*time.Minute + time.Duration(i-320)*2200*time.Millisecond)
		}
		host := []string{"web1", "web2"}[i%2]
		request := fmt.Sprintf("r-%04x", 0x7a31+i*37)
		path := paths[i%len(paths)]
		took := time.Duration(4+i*7%90) * time.Millisecond
		say := func(after time.Duration, level slog.Level, logger, message string, attrs ...any) {
			publish(at.Add(after), host, record{level, logger, message, append([]any{"request", request}, attrs...)})
		}
		say(0, slog.LevelDebug, "shop.http", "request begins", "method", "GET", "path", path)
		if i%3 == 0 {
			say(2*time.Millisecond, slog.LevelDebug, "shop.db.pool", "connection taken", "idle", i%9, "open", 12)
		}
		if i%11 == 0 {
			took += 240 * time.Millisecond
			say(took/2, slog.LevelWarn, "shop.db", "slow query", "took", took, "rows", 1200+i, slog.Group("query", "table", "orders", "index", "none"))
		}
		if i%16 == 0 && inSpike || i == 390 {
			say(took, slog.LevelWarn, "shop.payment", "payment provider does not answer, trying again", "provider", "paywell", "attempt", 2)
			say(took+time.Second, slog.LevelError, "shop.payment", "payment refused", "provider", "paywell", "order", 88_000+i,
				"error", fmt.Errorf("dial tcp 192.0.2.7:443: connect: connection refused"),
				slog.Group("customer", "id", 5100+i, "country", "NL"))
			say(took+time.Second+time.Millisecond, slog.LevelInfo, "shop.http", "request served", "status", 502, "took", took+time.Second)
			continue
		}
		say(took, slog.LevelInfo, "shop.http", "request served", "status", 200, "took", took, "bytes", 900+i*31)
		if i%40 == 7 {
			say(took+time.Millisecond, slog.LevelInfo, "shop.orders", "order placed", "order", 88_000+i, "items", 1+i%4, "total", 19.9+float64(i))
		}
		if i == 230 {
			say(took+time.Second, slog.LevelError+4, "shop.payment", "circuit breaker open: no payments are taken", "failures", 25, "for", 30*time.Second)
		}
	}
}
