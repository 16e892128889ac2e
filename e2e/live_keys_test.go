package e2e_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks/sinks/live"
)

func testLiveKeys(t *testing.T, browser context.Context) {
	hub := live.New(nil)
	letters(hub, time.Now().Add(-6*time.Minute))
	url, _ := liveSite(t, hub, "127.0.0.1:0")
	p := openLive(t, browser, url, "light", 1200)
	p.until(shown + ".join('') === 'abcdef'")
	const selected = `(document.querySelector('#rows [aria-selected=true]')?.querySelector('.message').firstChild.textContent ?? '')`
	for _, step := range []struct {
		name, key, want string
	}{
		{"e goes to the last error", "e", selected + " === 'e'"},
		{"E to the one before", "E", selected + " === 'd'"},
		{"e to the next", "e", selected + " === 'e'"},
		{"k to the record before", "k", selected + " === 'd'"},
		{"j to the next", "j", selected + " === 'e'"},
		{"Enter opens the details", kb.Enter, openMessage + " === 'e' && document.activeElement.id === 'details'"},
		{"j leads the details along", "j", openMessage + " === 'f'"},
		{"Escape closes them", kb.Escape, openMessage + " === '' && document.activeElement.id === 'rows'"},
		{"Space pauses", " ", state + " === 'PAUSED'"},
		{"Space resumes", " ", state + " === 'LIVE'"},
		{"/ goes to the search", "/", "document.activeElement.id === 'search'"},
		{"which takes all keys", "c e?", "document.querySelector('#search').value === 'c e?' && !document.querySelector('#help').open"},
		{"Escape empties it", kb.Escape, "document.querySelector('#search').value === '' && " + shown + ".length === 6"},
		{"and leaves it", kb.Escape, "document.activeElement.id === 'rows'"},
		{"3 shows warnings and up", "3", shown + ".join('') === 'cde'"},
		{"0 shows everything", "0", shown + ".join('') === 'abcdef'"},
		{"? shows the keys", "?", "document.querySelector('#help').open"},
		{"Escape closes that", kb.Escape, "!document.querySelector('#help').open"},
		{"t changes the theme", "t", "document.documentElement.dataset.theme === 'dark'"},
		{"and back", "t", "document.documentElement.dataset.theme === 'light'"},
		{"c clears the page", "c", shown + ".length === 0 && !document.querySelector('#empty').hidden"},
		{"which no filter brings back", "3", "location.hash === '#level=warn' && " + shown + ".length === 0"},
	} {
		t.Run(step.name, func(t *testing.T) {
			p.t = t
			p.press(step.key)
			p.until(step.want)
		})
	}

	t.Run("a mouse on a chip leaves Space to the pause", func(t *testing.T) {
		p.t = t
		p.press("0")
		p.click("button[data-level=debug]")
		p.press(" ")
		p.until(state + " === 'PAUSED' && document.querySelector('button[data-level=debug]').ariaPressed === 'false'")
		p.press(" ")
		p.until(state + " === 'LIVE'")
	})

	t.Run("Tab and Space press a chip", func(t *testing.T) {
		p.t = t
		p.run("document.querySelector('button[data-level=debug]').focus()")
		p.press(" ")
		p.until("document.querySelector('button[data-level=debug]').ariaPressed === 'true' && " + state + " === 'LIVE'")
		p.run("document.querySelector('#rows').focus()")
	})

	t.Run("End follows again after Home and PageDown", func(t *testing.T) {
		p.t = t
		logger := slog.New(hub.Handler(nil))
		for i := range 300 {
			logger.Info("more", "i", i)
		}
		const left = "!document.querySelector('#follow').hidden"
		p.until("document.querySelector('#rows').textContent.includes('i=299')")
		p.press(kb.Home)
		p.until(left + " && document.querySelector('#rows').scrollTop === 0")
		p.press(kb.PageDown)
		p.until(left + " && document.querySelector('#rows').scrollTop > 100")
		logger.Info("last")
		p.until("document.querySelector('#unseen').textContent === '1 new'")
		p.press(kb.End)
		p.until("!(" + left + ") && " + shown + ".includes('last')")
	})

	t.Run("the histogram is had by keys", func(t *testing.T) {
		p.t = t
		// Another tab of this browser may take the focus at any moment, which puts
		// the mark away.
		for range 20 {
			p.run("document.querySelector('#histogram').focus()")
			p.press(kb.ArrowLeft)
			if p.text("document.querySelector('#histogram .hint').textContent") != "" {
				break
			}
		}
		p.press(kb.Enter)
		p.until("location.hash.includes('from=')")
		p.press(kb.Escape)
		p.until("!location.hash.includes('from=')")
	})

	t.Run("y copies the record", func(t *testing.T) {
		p.t = t
		p.run("document.querySelector('#rows').focus(); window.copied = ''; document.addEventListener('copy', () => { window.copied = String(getSelection()) || document.activeElement.value }); Object.defineProperty(navigator, 'clipboard', {value: {writeText: async s => { window.copied = s }}})")
		p.press("y")
		p.until("document.querySelector('#notice').textContent.includes('No record')")
		for _, open := range []string{"", kb.Enter} {
			p.press("k" + open)
			p.press("y")
			p.until(`JSON.parse(window.copied || '{}').m !== undefined && !('k' in JSON.parse(window.copied))`)
			p.run("window.copied = ''")
		}
	})

	t.Run("what was opened by a key is left by one", func(t *testing.T) {
		p.t = t
		p.run("document.querySelector('#view').focus()")
		p.press(kb.Enter)
		p.until("!document.querySelector('#view-menu').hidden")
		for range 20 {
			p.press("\t")
		}
		p.until("document.querySelector('#view-menu').hidden")

		phone := openLive(t, browser, url, "light", 400)
		phone.until(shown + ".length > 5")
		phone.run("document.querySelector('#loggers-toggle').focus()")
		phone.press(kb.Enter)
		phone.until("document.querySelector('#side').offsetWidth > 0")
		phone.press(kb.Escape)
		phone.until("document.querySelector('#side').offsetWidth === 0 && document.activeElement.id === 'loggers-toggle'")
		phone.mustBeFree(t)
	})
	p.t = t
	p.mustBeFree(t)
}
