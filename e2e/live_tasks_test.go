package e2e_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/slogworks/slogworks/sinks/live"
)

// testLiveTasks does what ../docs/live-page.md says.
func testLiveTasks(t *testing.T, browser context.Context) {
	text, err := os.ReadFile("../docs/live-page.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := string(text)

	hub := live.New(nil)
	shopLog(hub, time.Now())
	url, _ := liveSite(t, hub, "127.0.0.1:0")
	const all = `[...document.querySelectorAll('#rows [data-seq]')].filter(e => !e.hidden)`
	var p *livePage
	type action struct {
		does string // as the document says it
		do   func()
	}
	key := func(name, key string) action { return action{"`" + name + "`", func() { p.press(key) }} }
	click := func(what, selector string, options ...chromedp.MouseOption) action {
		return action{"click " + what, func() { p.click(selector, options...) }}
	}
	for _, task := range []struct {
		name    string
		actions []action
		want    string
	}{
		{"Read the whole story of the last request that failed", []action{
			key("e", "e"), key("Enter", kb.Enter),
			{"click the + beside its request", func() {
				p.clickOn("[...document.querySelectorAll('#details tr')].find(e => e.querySelector('th')?.textContent === 'request')?.querySelector('.does button')")
			}},
		}, all + `.length >= 4 && ` + all + `.every(e => e.textContent.includes('request=' + document.querySelector('#search').value.slice(8))) && ` + shown + `.at(-1) === 'request served' && ` + shown + `[0] === 'request begins'`},
		{"Watch only the warnings of one logger", []action{
			click("the logger", `[data-logger="shop.db"]`), {"Shift + click Warn", func() { p.click("button[data-level=warn]", withShift) }},
		}, all + `.length > 5 && ` + all + `.every(e => e.dataset.level === 'warn' && e.querySelector('.logger').textContent.startsWith('shop.db')) && ` + state + ` === 'LIVE'`},
		{"See one logger from warnings up", []action{
			click("the logger", `[data-logger="shop.payment"]`), key("3", "3"),
		}, all + `.length > 5 && ` + all + `.every(e => ['warn', 'error', 'critical'].includes(e.dataset.level)) && location.hash === '#level=warn&logger=shop.payment'`},
		{"Jump to the minute of the spike", []action{
			{"click the highest bar", func() {
				_, y := p.at("document.querySelector('#histogram')")
				at := p.number("window.highest()")
				p.do(chromedp.MouseClickXY(at, y))
			}},
		}, `location.hash.startsWith('#from=') && ` + all + `.length > 10 && parseInt(document.querySelector('#shown').textContent) > 20`},
		{"Silence a logger that says too much", []action{
			{"click the − beside it", func() { p.click(`[data-hide="shop.http"]`) }},
		}, all + `.length > 10 && ` + all + `.every(e => e.querySelector('.logger').textContent !== 'shop.http')`},
		{"Find what took longer than 100 ms", []action{
			key("/", "/"), {"type `took>100ms`", func() { p.press("took>100ms") }},
		}, all + `.length > 10 && ` + all + `.every(e => /took=([2-9]\d\d(\.\d+)?ms|1\d\d(\.\d+)?ms|[1-9][\d.]*s)/.test(e.textContent))`},
		{"Send a colleague the link to a record", []action{
			click("the row", "#rows .row[data-level=info]"), {"click Copy link", func() { p.clickText("#details button", "Copy link") }},
		}, `window.copied.includes('#at=') && !window.copied.includes('token')`},
		{"See what came just before and after an error", []action{
			key("e", "e"), key("Enter", kb.Enter), {"click In context", func() { p.clickText("#details button", "In context") }},
		}, state + ` === 'PAUSED' && (i => i > 2 && i < ` + all + `.length - 1)(` + all + `.sort((a, b) => a.dataset.seq - b.dataset.seq).findIndex(e => e.ariaSelected === 'true'))`},
		{"Take the errors along as a file", []action{
			key("4", "4"), click("Download", "#download"), click("JSON lines", "#download-jsonl"),
		}, `document.querySelector('#download-menu').hidden && document.querySelector('#download-jsonl').href.endsWith('?level=error&format=jsonl')`},
	} {
		t.Run(task.name, func(t *testing.T) {
			p = openLive(t, browser, url, "light", 1200)
			p.until("parseInt(document.querySelector('#shown').textContent.replace(/\\D/g, '')) > 900 && document.querySelectorAll('#side [data-logger]').length > 4")
			p.run(highestBar)
			p.until("window.highest() > 300")
			p.run("window.copied = ''; Object.defineProperty(navigator, 'clipboard', {value: {writeText: async s => { window.copied = s }}})")
			var does []string
			for _, a := range task.actions {
				a.do()
				does = append(does, a.does)
			}
			p.until(task.want)
			if len(does) > 3 {
				t.Errorf("%d actions, want three at most", len(does))
			}
			if line := "| " + task.name + " | " + strings.Join(does, ", ") + " |"; !strings.Contains(documented, line) {
				t.Errorf("docs/live-page.md does not have\n%s", line)
			}
			p.mustBeFree(t)
		})
	}

	t.Run("Pause in a storm, read, and go on", func(t *testing.T) {
		hub := live.New(nil)
		url, _ := liveSite(t, hub, "127.0.0.1:0")
		defer storm(hub, 10_000)()
		p := openLive(t, browser, url, "light", 1200)
		p.until(shown + ".length > 10")
		p.press(" ")
		p.until(state + " === 'PAUSED'")
		const seen = `[...document.querySelectorAll('#rows [data-seq]')].filter(e => !e.hidden).map(e => e.dataset.seq).sort().join()`
		before := p.text(seen)
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseWheel, 600, 500, func(e *input.DispatchMouseEventParams) { e.DeltaX, e.DeltaY = 0.01, -300 }))
		p.until(seen + " !== '" + before + "'")
		waiting := "parseInt(document.querySelector('#waiting').textContent)"
		p.until(waiting + " > 2000")
		read := p.text(seen)
		p.until(waiting + " > 4000")
		if now := p.text(seen); now != read {
			t.Error("what is read moves")
		}
		p.press(kb.End)
		p.until(state + " === 'LIVE' && document.querySelector('#follow').hidden && " + seen + " !== '" + read + "'")
		if line := "| Pause in a storm, read, and go on | `Space`, scroll, `End` |"; !strings.Contains(documented, line) {
			t.Errorf("docs/live-page.md does not have\n%s", line)
		}
		p.mustBeFree(t)
	})
}

// highestBar tells where on the screen the highest bar of the histogram is, by
// its pixels.
const highestBar = `window.highest = () => {
	const canvas = document.querySelector('#histogram canvas')
	const {width, height} = canvas
	const pixels = canvas.getContext('2d').getImageData(0, 0, width, height - 20).data
	let [best, top] = [0, height]
	for (let x = 0; x < width - 130; x++) {
		let y = 0
		while (y < height - 20 && pixels[4 * (y * width + x) + 3] < 200) y++
		if (y < top) [best, top] = [x, y]
	}
	const box = canvas.getBoundingClientRect()
	return box.left + (best + 1) * box.width / width
}`

// storm logs so many records a second until it is ended.
func storm(hub *live.Hub, rate int) (end func()) {
	logger := slog.New(hub.Handler(nil))
	stop := make(chan struct{})
	var storming sync.WaitGroup
	storming.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		began := time.Now()
		for n := 0; ; {
			for due := int(time.Since(began).Seconds() * float64(rate)); n < due; n++ {
				logger.Info("request served", "logger", "shop.http", "status", 200, "took", 12*time.Millisecond, "path", "/products/lamp", "n", n)
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return sync.OnceFunc(func() { close(stop); storming.Wait() })
}
