package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/live"
)

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
		p.click("#pause")
		p.until(shown + ".length === 5 && " + state + " === 'LIVE'")

		p.mustBeFree(t)
		p.mu.Lock()
		defer p.mu.Unlock()
		own, _, _ := strings.Cut(url, "?")
		for _, request := range p.requests {
			if !strings.HasPrefix(request, own) {
				t.Errorf("it requests %s", request)
			}
		}
	})

	t.Run("shows what looks like markup", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		evil := `<img src=x onerror="document.title='changed'"><script>document.title='changed'</script>`
		r := slog.NewRecord(time.Now(), slog.LevelError, evil, 0)
		r.Add(slogworks.LoggerKey, evil, evil, evil, slog.Group(evil, "error", errors.New(evil), "json", map[string]string{evil: evil}))
		for _, host := range []string{evil, "javascript:alert(1)"} {
			if err := hub.Publish(r, live.Origin{Host: host, Process: evil}); err != nil {
				t.Fatal(err)
			}
		}
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".length === 2")
		if got := p.text(shown + "[0]"); got != evil {
			t.Errorf("shows %q, want %q", got, evil)
		}
		p.click("[data-level=error].row")
		p.until(openMessage + ".includes('onerror')")
		p.until("document.querySelector('#details').textContent.includes('<img') && document.querySelector('#side').textContent.includes('<img')")
		for _, button := range []string{"[data-logger]", "#details .does button"} {
			p.click(button)
		}
		p.until("document.querySelector('#active button') || document.querySelector('#search').value")
		if p.text("document.title") == "changed" || p.text("document.querySelectorAll('img, #rows script, #details script').length") != "0" {
			t.Error("the log runs scripts")
		}
		p.mustBeFree(t)
	})

	t.Run("repeats and loses nothing when filters change", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		logger.Info("a")
		logger.Warn("b")
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".join() === 'a,b'")
		p.press(" ")
		p.until(state + " === 'PAUSED'")
		logger.Info("c")
		logger.Warn("d")
		p.until("document.querySelector('#waiting').textContent === '2 waiting'")
		p.press("3")
		p.until(shown + ".join() === 'b'")
		logger.Warn("e")
		p.until("document.querySelector('#waiting').textContent === '3 waiting'")
		p.press("0")
		p.until(shown + ".join() === 'a,b'")
		p.press(" ")
		p.until(shown + ".join() === 'a,b,c,d,e'")
		p.mustBeFree(t)
	})

	t.Run("says where former filters kept records away", func(t *testing.T) {
		hub := live.New(&live.Options{MaxRecords: 6000})
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		logger := slog.New(hub.Handler(nil))
		logger.Error("old")
		p := openLive(t, browser, url+"#level=error", "light", 1200)
		p.until(shown + ".join() === 'old'")
		for i := range 5999 {
			logger.Info("hidden", "i", i)
		}
		p.press("0")
		p.until("document.querySelector('#shown').textContent.startsWith('5,001 ')")
		p.press(kb.Home)
		p.until(shown + "[0] === 'old' && document.querySelector('.row.gap:not([hidden])').textContent.includes('filters of then')")
		p.mustBeFree(t)
	})

	t.Run("is not confused by a clock that is wrong", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		now := time.Now()
		for i := range 100 {
			_ = hub.Publish(slog.NewRecord(now.Add(time.Duration(i-100)*time.Second), slog.LevelInfo, "now", 0), live.Origin{})
		}
		for _, at := range []time.Time{time.Unix(0, 0), now.AddDate(100, 0, 0)} {
			_ = hub.Publish(slog.NewRecord(at, slog.LevelInfo, "other", 0), live.Origin{})
		}
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".at(-1) === 'other'")
		p.run(highestBar)
		p.until("window.highest() > 20")
		p.drag("#histogram", 0.001, 0.999)
		p.until("document.querySelector('#shown').textContent.startsWith('100 shown of 102')")
		p.mustBeFree(t)
	})

	t.Run("slows down and stops", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		defer storm(hub, 1000)()
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".length > 10")
		p.run("document.querySelector('#rate').focus()")
		for range 8 {
			p.press(kb.ArrowLeft)
		}
		const perSecond = `Number(document.querySelector('#speed-now').textContent.replace(/\D/g, ''))`
		p.until("document.querySelector('#rate-text').textContent === '10/s' && location.hash === '#rate=10'")
		p.until("/left out by the speed/.test(document.querySelector('#skipped').textContent) && " + perSecond + " > 0 && " + perSecond + " < 100")
		p.press(kb.Home)
		p.until(state + " === 'PAUSED' && document.querySelector('#rate-text').textContent === 'stop' && location.hash === '#rate=0'")
		if clients := hub.Stats().Clients; !real.Eventually(func() bool { return hub.Stats().Clients == 0 }) {
			t.Errorf("%d streams are open, want none", clients)
		}
		p.press(kb.End)
		p.until(state + " === 'LIVE' && location.hash === '' && " + perSecond + " > 100")
		p.mustBeFree(t)
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
		p.press(kb.End)
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

	// Alone, since it measures. The others mostly wait, and so do it together.
	t.Run("frames", func(t *testing.T) { testLiveFrames(t, browser) })
	for name, test := range map[string]func(*testing.T, context.Context){
		"filters":  testLiveFilters,
		"keyboard": testLiveKeys,
		"levels":   testLiveLevels,
		"tasks":    testLiveTasks,
		"rows":     testLiveRows,
		"looks":    testLiveLooks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, browser)
		})
	}
}
