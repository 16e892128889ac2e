package e2e_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/sinks/live"
)

func testLiveLevels(t *testing.T, browser context.Context) {
	const name = "shop.db/pool"
	table := levels.NewTable(slog.LevelInfo)
	var mu sync.Mutex
	var asked []string
	hub := live.New(&live.Options{Levels: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodGet {
			mu.Lock()
			asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" ttl="+r.URL.Query().Get("ttl")+" "+string(body)))
			mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		table.ServeHTTP(w, r)
	})})
	logger := slog.New(levels.New(hub.Handler(nil), &levels.Options{Table: table}))
	pool, shop := slogworks.Named(logger, name), slogworks.Named(logger, "shop")
	url, _ := liveSite(t, hub, "127.0.0.1:0")
	pool.Info("a")
	shop.Info("b")
	p := openLive(t, browser, url, "light", 1200)
	p.until(shown + ".join('') === 'ab'")
	wasAsked := func(want string) {
		t.Helper()
		if !real.Eventually(func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(asked) > 0 && asked[len(asked)-1] == want
		}) {
			mu.Lock()
			defer mu.Unlock()
			t.Fatalf("the hub was asked %q, want %q", asked, want)
		}
	}
	const isOpen = `document.querySelector('#level').open`
	button := `document.querySelector('[data-level-of="` + name + `"]')`

	// With the mouse.
	pool.Debug("not seen")
	p.clickOn(button)
	p.until(isOpen + ` && document.querySelector('#level-title').textContent.includes('` + name + `')`)
	p.shoot("level")
	p.click("#level button[value=set]")
	wasAsked("PUT /levels/" + name + ` ttl=10m {"level":"debug"}`)
	p.until("!" + isOpen + " && " + button + ".textContent === 'debug' && /: debug until \\d\\d:\\d\\d$/.test(" + button + ".ariaLabel)")
	pool.Debug("c")
	shop.Debug("not seen either")
	p.until(shown + ".join('') === 'abc'")

	// With the keyboard, and for good.
	p.run(button + ".focus()")
	p.press(kb.Enter)
	p.until(isOpen + " && document.activeElement.id === 'level-to' && document.querySelector('#level-now').textContent.startsWith('Now debug until')")
	p.press("e")
	p.press(kb.Tab)
	p.press("u")
	p.until("document.querySelector('#level-to').value === 'error' && document.querySelector('#level-for').value === ''")
	p.press(kb.Tab)
	p.press(kb.Enter)
	wasAsked("PUT /levels/" + name + ` ttl= {"level":"error"}`)
	p.until("!" + isOpen + " && " + button + ".ariaLabel.endsWith(': error') && document.activeElement === " + button)
	pool.Warn("not seen any more")

	// Taken back.
	p.press(kb.Enter)
	p.until(isOpen)
	p.click("#level-reset")
	wasAsked("DELETE /levels/" + name + " ttl=")
	p.until("!" + isOpen + " && !('rule' in " + button + ".dataset)")
	pool.Info("d")

	// Of all others, and not at all.
	p.clickOn(`document.querySelector('[data-level-of=root]')`)
	p.until(isOpen)
	p.press(kb.Escape)
	p.until("!" + isOpen)
	p.clickOn(`document.querySelector('[data-level-of=root]')`)
	p.until(isOpen)
	p.click("#level button[value=set]")
	wasAsked(`PUT /levels/root ttl=10m {"level":"debug"}`)
	p.until("!" + isOpen)
	shop.Debug("e")
	p.until(shown + ".join('') === 'abcde'")
	p.mustBeFree(t)

	// As a config.Manager has it: the name in the path, and no parameter but ttl.
	byPath := live.New(&live.Options{Levels: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"root":"info","loggers":{"shop":{"level":"warn"}}}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.String()+" "+string(body))
		mu.Unlock()
	})})
	url, _ = liveSite(t, byPath, "127.0.0.1:0")
	slogworks.Named(slog.New(byPath.Handler(nil)), "shop").Info("a")
	p = openLive(t, browser, url, "light", 1200)
	p.until("document.querySelector('[data-level-of=shop]')?.textContent === 'warn'")
	p.clickOn("document.querySelector('[data-level-of=shop]')")
	p.until(isOpen)
	p.click("#level button[value=set]")
	wasAsked(`PUT /levels/shop?ttl=10m {"level":"debug"}`)
	p.until("!" + isOpen)
	p.mustBeFree(t)

	without := live.New(nil)
	slogworks.Named(slog.New(without.Handler(nil)), "shop").Info("a")
	url, _ = liveSite(t, without, "127.0.0.1:0")
	p = openLive(t, browser, url, "light", 1200)
	p.until("document.querySelector('[data-logger=shop]')")
	if p.text("document.querySelector('[data-level-of], #level')") != "null" {
		t.Error("there is a control for levels that the hub does not have")
	}
	p.mustBeFree(t)
}
