package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/sinks/live"
)

func testLiveLooks(t *testing.T, browser context.Context) {
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
				for _, look := range []string{"", "document.querySelector('.row[data-seq]').click()"} {
					p.run(look)
					seen, err := chromedp.Run(p.tab, chromedp.Evaluate[appearance](measureAppearance))
					if err != nil {
						t.Fatal(err)
					}
					if seen.Overflow > 0 || seen.Contrast < 4.5 || seen.Smallest < 12 || (seen.Background < 0.2) != (scheme == "dark") {
						t.Errorf("%+v", seen)
					}
				}
				p.mustBeFree(t)
			})
		}
	}

	t.Run("on a phone all can be reached", func(t *testing.T) {
		hub := live.New(&live.Options{Title: "shop"})
		shopLog(hub, time.Now())
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		p := openLive(t, browser, url, "light", 400)
		p.until(shown + ".length > 5")
		p.shoot("phone")
		p.click("#loggers-toggle")
		p.click(`[data-logger="shop.db"]`)
		p.until(`[...document.querySelectorAll('#rows [data-seq] .logger')].filter(e => !e.parentElement.hidden).every(e => e.textContent.startsWith('shop.db'))`)
		p.shoot("phone-loggers")
		p.click("#active button")
		p.until("!document.body.classList.contains('with-side')")
		p.click("#pause")
		p.until(state + " === 'PAUSED'")
		p.click("#rows .row[data-seq]")
		p.until(openMessage + " !== ''")
		p.shoot("phone-details")
		p.click(`#details [aria-label="Close details"]`)
		p.until(openMessage + " === ''")
		p.mustBeFree(t)
	})

	t.Run("pictures", func(t *testing.T) {
		if os.Getenv(liveShots) == "" {
			t.Skipf("skipped: %s names no directory", liveShots)
		}
		hub := live.New(&live.Options{Title: "shop"})
		shopLog(hub, time.Now())
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		for _, scheme := range []string{"light", "dark"} {
			p := openLive(t, browser, url, scheme, 1280)
			p.until(shown + ".length > 10 && document.querySelectorAll('#side [data-logger]').length > 4")
			p.shoot("desktop-" + scheme)
			p.press("e")
			p.press("E")
			p.press(kb.Enter)
			p.until(openMessage + " !== ''")
			p.shoot("details-" + scheme)
			p.press(kb.Escape)
			p.press("?")
			p.until("document.querySelector('#help').open")
			p.shoot("help-" + scheme)
			p.press(kb.Escape)
			p.click("#view")
			p.shoot("view-" + scheme)
			p.click("#show-tall")
			p.press(kb.Escape)
			p.search("nothing has this")
			p.until(shown + ".length === 0")
			p.shoot("none-" + scheme)
			p.search("payment")
			p.until(shown + ".length > 5")
			p.shoot("tall-" + scheme)
			p.run("localStorage.clear()")
		}
		empty := live.New(&live.Options{Title: "shop"})
		url, _ = liveSite(t, empty, "127.0.0.1:0")
		p := openLive(t, browser, url, "light", 1280)
		p.until("!document.querySelector('#empty').hidden && " + state + " === 'LIVE'")
		p.shoot("empty-light")
		logger := slog.New(empty.Handler(nil))
		for i := range 90 {
			slogworks.Named(logger, fmt.Sprintf("github.com/acme/platform/service%d.%s", i%30, strings.Repeat("sub.", i%7)+"worker")).Log(t.Context(), slog.Level(i%5*4-4),
				strings.Repeat("a long message that does not end ", i%12+1), "key", strings.Repeat("x", i*20))
		}
		p.until(shown + ".length > 10 && document.querySelectorAll('#side [data-logger]').length > 30")
		p.shoot("many-light")
	})

	t.Run("axe finds nothing serious", func(t *testing.T) {
		const variable = "SLOGWORKS_AXE"
		path := os.Getenv(variable)
		if path == "" {
			real.Missing(t, "axe.min.js of the npm package axe-core, to which "+variable+" leads,")
		}
		axe, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		hub := live.New(&live.Options{Title: "shop", Levels: levels.NewTable(nil)})
		shopLog(hub, time.Now())
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		for scheme, options := range map[string]string{
			"light": "{resultTypes: ['violations']}",
			"dark":  "{resultTypes: ['violations'], runOnly: ['color-contrast']}", // all else is as in the light
		} {
			for _, width := range []int64{1200, 400} {
				p := openLive(t, browser, url, scheme, width)
				p.until(shown + ".length > 5")
				// Over the debugger, since the page lets in no script that is not its own.
				if _, err := chromedp.Run(p.tab, chromedp.Evaluate[bool](string(axe)+"; true")); err != nil {
					t.Fatal(err)
				}
				for _, look := range []struct{ name, do string }{
					{"as it opens", ""},
					{"paused and filtered", "document.querySelector('#pause').click(); document.querySelector('button[data-level=debug]').click(); document.querySelector('[data-logger]').click()"},
					{"with details", "document.querySelector('#rows .row[data-level=error], #rows .row[data-seq]').click()"},
					{"with menus", "document.querySelector('#view').click(); document.querySelector('#download').click()"},
					{"with help", "document.querySelector('#help').showModal()"},
					{"with the level of a logger", "document.querySelector('#help').close(); document.querySelector('[data-level-of]').click()"},
				} {
					p.run(look.do)
					p.run("window.axed = null; axe.run(document, " + options + ").then(r => { window.axed = r })")
					p.until("window.axed")
					found := p.text(`axed.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => v.id + ': ' + v.help + '\n\t' + v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).slice(0, 5).join('\n\t')).join('\n')`)
					if found != "" {
						t.Errorf("%s %d %s: %s", scheme, width, look.name, found)
					}
					if p.number("axed.passes.length + axed.incomplete.length") == 0 {
						t.Errorf("%s %d %s: axe looked at nothing", scheme, width, look.name)
					}
				}
			}
		}
	})
}
