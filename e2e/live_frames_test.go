package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/slogworks/slogworks/sinks/live"
)

// frames is what a page under load was like.
type frames struct {
	PerSecond float64
	P99       float64 // milliseconds from a frame to the next
	Longest   float64
	Records   float64 // per second
	Pause     float64 // milliseconds from the key to the frame that shows it
	Rows      float64 // the most elements that were rows at a time
}

// measureFrames counts the frames of two seconds, and afterwards times the key
// that pauses.
const measureFrames = `window.measured = null; {
	const frames = []
	let rows = 0, key = 0
	const received = () => Number(document.querySelector('#rows [data-seq]') ? Math.max(...[...document.querySelectorAll('#rows [data-seq]')].map(e => e.dataset.seq)) : 0)
	const began = performance.now(), first = received()
	addEventListener('keydown', event => { key = event.timeStamp }, {capture: true, once: true})
	let result = null
	const frame = now => {
		if (!result) {
			frames.push(now)
			rows = Math.max(rows, document.querySelectorAll('#rows [role=row]').length)
			if (now - began > 2000) {
				const gaps = frames.slice(1).map((t, i) => t - frames[i]).sort((a, b) => a - b)
				const s = (frames.at(-1) - frames[0]) / 1000
				result = {perSecond: gaps.length / s, p99: gaps[Math.floor(gaps.length * 0.99)], longest: gaps.at(-1), records: (received() - first) / s, rows}
				window.counted = true
			}
		} else if (key && document.querySelector('#state').textContent === 'PAUSED') {
			// This frame draws it, and the next one begins when it has been shown.
			requestAnimationFrame(shown => { window.measured = {...result, pause: shown - key} })
			return
		}
		requestAnimationFrame(frame)
	}
	requestAnimationFrame(frame)
}`

func testLiveFrames(t *testing.T, browser context.Context) {
	for _, rate := range []int{1_000, 20_000, 50_000} {
		t.Run(fmt.Sprint(rate, " records a second"), func(t *testing.T) {
			hub := live.New(nil)
			url, _ := liveSite(t, hub, "127.0.0.1:0")
			end := storm(hub, rate)
			t.Cleanup(end)
			p := openLive(t, browser, url, "light", 1200)
			p.until(shown + ".length > 10")
			p.run(measureFrames)
			p.until("window.counted")
			p.press(" ")
			p.until("window.measured")
			got, err := chromedp.Run(p.tab, chromedp.Evaluate[frames]("window.measured"))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d records/s: %.0f frames/s, p99 %.0f ms, longest %.0f ms, %.0f records/s came, pause shown after %.0f ms, %.0f rows",
				rate, got.PerSecond, got.P99, got.Longest, got.Records, got.Pause, got.Rows)
			if got.Rows == 0 || got.Rows > 200 {
				t.Errorf("%v elements are rows, want at most 200", got.Rows)
			}
			p.mustBeFree(t)
		})
	}
}
