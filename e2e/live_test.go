package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

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
	p.do(displayAs(scheme, width), chromedp.Navigate(url))
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

// until waits for an expression to become true.
func (p *livePage) until(expression string) {
	p.t.Helper()
	if !eventually(func() bool { return p.text("Boolean("+expression+")") == "true" }) {
		p.t.Fatalf("never true: %s\n%s", expression, p.text("document.body.innerText"))
	}
}

func (p *livePage) press(key string) {
	p.t.Helper()
	p.run(fmt.Sprintf("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: %q, bubbles: true}))", key))
}

const (
	// shown are the messages that can be seen, from the top.
	shown = `[...document.querySelectorAll('#rows [data-seq]')].filter(e => !e.hidden).sort((a, b) => a.dataset.seq - b.dataset.seq).map(e => e.querySelector('.message').firstChild.textContent)`
	state = `document.querySelector('#state').textContent`
)

// liveSite serves a hub.
func liveSite(t *testing.T, hub *live.Hub, address string) (url string, end func()) {
	t.Helper()
	var listener net.Listener
	if !eventually(func() (ok bool) {
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

func TestLive_page(t *testing.T) {
	browser := newBrowser(t, real.Program(t, "chromium", "chromium-browser", "google-chrome"))

	t.Run("shows what is logged and pauses at once", func(t *testing.T) {
		hub := live.New(&live.Options{Title: "shop"})
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		logger.Info("before")
		p := openLive(t, browser, url, "light", 1200)
		p.until(state + " === 'LIVE' && " + shown + ".includes('before')")
		if p.text("location.search") != "" {
			t.Error("the token stays in the address")
		}
		logger.Info("first")
		p.until(shown + ".includes('first')")
		p.press(" ")
		p.until(state + " === 'PAUSED' && document.querySelector('#pause').ariaPressed === 'true'")
		for i := range 3 {
			logger.Info("meanwhile", "i", i)
		}
		p.until("document.querySelector('#waiting').textContent === '3 waiting'")
		if got := p.text(shown); got != "before,first" {
			t.Errorf("paused, it shows %s", got)
		}
		p.run("document.querySelector('#pause').click()")
		p.until(shown + ".length === 5 && " + state + " === 'LIVE'")

		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.mistakes) > 0 {
			t.Errorf("mistakes: %q", p.mistakes)
		}
		own, _, _ := strings.Cut(url, "?")
		for _, request := range p.requests {
			if !strings.HasPrefix(request, own) {
				t.Errorf("it requests %s", request)
			}
		}
	})

	t.Run("filters", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		evil := `<img src=x onerror="document.title='changed'"><script>document.title='changed'</script>`
		slogworks.Named(logger, "a").Info("m1", "status", 200)
		slogworks.Named(logger, "a.b").Warn("m2", "status", 500)
		slogworks.Named(logger, evil).Error(evil, evil, evil)
		slogworks.Named(logger, "c").Debug("m3")
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".length === 4")
		if got := p.text(shown + "[2]"); got != evil {
			t.Errorf("shows %q, want %q", got, evil)
		}
		p.run("document.querySelector('[data-level=error].row').click()")
		p.until("!document.querySelector('#details').hidden && document.querySelector('#details .message').textContent.includes('onerror')")
		p.press("Escape")
		if p.text("document.title") == "changed" || p.text("document.querySelectorAll('img').length") != "0" {
			t.Error("the log runs scripts")
		}

		p.run("document.querySelector('button[data-level=debug]').click()")
		p.until(shown + ".length === 3 && !" + shown + ".includes('m3') && location.hash === '#level=info'")
		p.press("0")
		p.run(`document.querySelector('[data-logger="a"]').click()`)
		p.until(shown + ".join() === 'm1,m2' && location.hash === '#logger=a'")
		p.press("0")
		p.run("const s = document.querySelector('#search'); s.value = 'status>400'; s.dispatchEvent(new Event('input'))")
		p.until(shown + ".join() === 'm2'")
		again := openLive(t, browser, url+p.text("location.hash"), "light", 1200)
		again.until(shown + ".join() === 'm2' && document.querySelector('#search').value === 'status>400'")
	})

	t.Run("stays bounded in a storm", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		p := openLive(t, browser, url, "light", 1200)
		p.until(state + " === 'LIVE'")
		stop := make(chan struct{})
		var storm sync.WaitGroup
		storm.Go(func() {
			for tick := time.NewTicker(5 * time.Millisecond); ; {
				for i := range 100 {
					logger.Info("storm", "i", i)
				}
				select {
				case <-tick.C:
				case <-stop:
					tick.Stop()
					return
				}
			}
		})
		t.Cleanup(func() { close(stop); storm.Wait() })
		p.until("parseInt(document.querySelector('#shown').textContent.replace(/\\D/g, '')) > 20000")
		if n := p.text("document.querySelectorAll('#rows [role=row]').length < 200"); n != "true" {
			t.Error("200 rows and more are elements")
		}
		p.press(" ")
		before := p.text(shown)
		p.until("parseInt(document.querySelector('#waiting').textContent) > 5000")
		if p.text(shown) != before {
			t.Error("it moves on during a pause")
		}
		p.press("End")
		p.until(state + " === 'LIVE' && document.querySelector('#follow').hidden")
	})

	t.Run("comes back after a restart", func(t *testing.T) {
		hub := live.New(&live.Options{Token: "same"})
		url, end := liveSite(t, hub, "127.0.0.1:0")
		slog.New(hub.Handler(nil)).Info("old")
		p := openLive(t, browser, url, "dark", 1200)
		p.until(shown + ".join() === 'old'")
		end()
		p.until(state + " === 'OFFLINE'")
		after := live.New(&live.Options{Token: "same"})
		slog.New(after.Handler(nil)).Info("new")
		address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		liveSite(t, after, address)
		p.until(shown + ".join() === 'old,new' && " + state + " === 'LIVE' && document.querySelector('.gap').textContent.includes('restarted')")
	})

	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1200, 400, 320} {
			t.Run(fmt.Sprintf("is legible, %s %d", scheme, width), func(t *testing.T) {
				hub := live.New(&live.Options{Title: "shop"})
				url, _ := liveSite(t, hub, "127.0.0.1:0")
				logger := slogworks.Named(slog.New(hub.Handler(nil)), "shop.orders")
				for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError + 4} {
					logger.Log(t.Context(), level, "order placed", "order", 7, "customer", strings.Repeat("long ", 50))
				}
				p := openLive(t, browser, url, scheme, width)
				p.until(shown + ".length === 5")
				for _, look := range []string{"", "document.querySelector('.row').click()"} {
					p.run(look)
					seen, err := chromedp.Run(p.tab, chromedp.Evaluate[appearance](measureAppearance))
					if err != nil {
						t.Fatal(err)
					}
					if seen.Overflow > 0 || seen.Contrast < 4.5 || seen.Smallest < 12 || (seen.Background < 0.2) != (scheme == "dark") {
						t.Errorf("%+v", seen)
					}
				}
			})
		}
	}
}
