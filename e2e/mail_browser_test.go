package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/e2e/real"
)

// appearance is what a page looks like, as far as numbers can say it.
type appearance struct {
	Title      string
	Overflow   float64 // pixels that are beyond the right edge
	Contrast   float64 // the lowest of any text, by WCAG 2.2
	Faintest   string  // the text that has it
	Background float64 // how bright the page is, 0 to 1
	Smallest   float64 // size of the smallest text in pixels
	Elements   []string
}

// WCAG 2.2, 1.4.3 defines the contrast.
const measureAppearance = `(() => {
	const rgba = css => { const n = css.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n }
	const luminance = c => {
		const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		return 0.2126 * r + 0.7152 * g + 0.0722 * b
	}
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor)
			if (c[3] === 1) return c
		}
		return [255, 255, 255, 1]
	}
	const seen = {contrast: 99, faintest: '', smallest: 99}
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	for (let n; n = texts.nextNode();) {
		if (!n.data.trim()) continue
		const style = getComputedStyle(n.parentElement)
		const [a, b] = [luminance(rgba(style.color)), luminance(behind(n.parentElement))]
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
		if (contrast < seen.contrast) [seen.contrast, seen.faintest] = [contrast, n.data.trim()]
		seen.smallest = Math.min(seen.smallest, parseFloat(style.fontSize))
	}
	return {
		...seen,
		title: document.title,
		overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
		background: luminance(behind(document.body)),
		elements: [...new Set([...document.querySelectorAll('*')].map(e => e.localName))].sort(),
	}
})()`

func TestMail_isReadableInABrowser(t *testing.T) {
	chromium := real.Program(t, "chromium", "chromium-browser", "google-chrome")

	// What hostile markup would have the page ask for is here too.
	pages := map[string]string{}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	}))
	defer site.Close()
	escalation := incidentWith("20261121-escalation", site.URL)
	escalation.Kind = slogworks.Escalation
	single := incidentWith("20261121-single", site.URL)
	single.Items, single.Dropped = single.Items[5:6], 0
	pages["/digest"] = htmlOf(t, incidentWith("20261121-digest", site.URL))
	pages["/escalation"] = htmlOf(t, escalation)
	pages["/single"] = htmlOf(t, single)

	browser := newBrowser(t, chromium)
	for _, view := range []struct {
		page, scheme string
		width        int64
	}{
		{"digest", "light", 1000},
		{"digest", "dark", 1000},
		{"digest", "light", 400},
		{"digest", "dark", 400},
		{"digest", "light", 320},
		{"escalation", "light", 1000},
		{"escalation", "dark", 400},
		{"single", "light", 400},
	} {
		name := fmt.Sprintf("%s %s %d", view.page, view.scheme, view.width)
		t.Run(name, func(t *testing.T) {
			tab, closeTab := chromedp.NewContext(browser)
			defer closeTab()
			var mu sync.Mutex
			var requests []string
			err := chromedp.Listen(tab, func(event any) {
				if sent, ok := event.(*network.EventRequestWillBeSent); ok {
					mu.Lock()
					requests = append(requests, sent.Request.URL)
					mu.Unlock()
				}
			})
			if err != nil {
				t.Fatal(err)
			}

			// What the tab is made with must not have an end.
			ctx, cancel := context.WithTimeout(tab, real.Patience)
			defer cancel()
			url := site.URL + "/" + view.page
			if err := chromedp.Do(ctx, displayAs(view.scheme, view.width), chromedp.Navigate(url)); err != nil {
				t.Fatal(err)
			}
			seen, err := chromedp.Run(ctx, chromedp.Evaluate[appearance](measureAppearance))
			if err != nil {
				t.Fatal(err)
			}
			shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.ArtifactDir(), strings.ReplaceAll(name, " ", "-")+".png")
			if err := os.WriteFile(file, shot, 0o600); err != nil {
				t.Fatal(err)
			}

			mu.Lock()
			defer mu.Unlock()
			// The icon of a site is what the browser asks for, not the page.
			requests = slices.DeleteFunc(requests, func(url string) bool { return strings.HasSuffix(url, "/favicon.ico") })
			if !slices.Equal(requests, []string{url}) {
				t.Errorf("it requests %q, want only %s", requests, url)
			}
			if seen.Title == "changed" || seen.Title == "" {
				t.Errorf("the title is %q", seen.Title)
			}
			if seen.Overflow > 0 {
				t.Errorf("%v pixels are beyond the edge", seen.Overflow)
			}
			if seen.Contrast < 4.5 {
				t.Errorf("%q has a contrast of %.2f, want 4.5", seen.Faintest, seen.Contrast)
			}
			if seen.Smallest < 12 {
				t.Errorf("text has a size of %v pixels", seen.Smallest)
			}
			if dark := seen.Background < 0.2; dark != (view.scheme == "dark") {
				t.Errorf("the page has a brightness of %.2f", seen.Background)
			}
			for _, element := range []string{"script", "img", "link", "iframe"} {
				if slices.Contains(seen.Elements, element) {
					t.Errorf("it has an element %s", element)
				}
			}
		})
	}
}

// newBrowser starts one that ends with the test and keeps nothing.
func newBrowser(t *testing.T, program string) context.Context {
	t.Helper()
	// Not in the test's own directory: it has a socket, whose path must be short.
	home, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "TMPDIR="+home),
		// Root cannot use the sandbox, and the page is ours.
		chromedp.NoSandbox,
		chromedp.Flag("disable-crash-reporter", true),
		chromedp.WSURLReadTimeout(real.Patience),
	)
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	browser, endBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// Cancel waits until the process has ended.
		ctx, cancel := context.WithTimeout(browser, real.Patience)
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("the browser does not end: %v", err)
		}
		endBrowser()
		endAllocator()
		// Its helpers end a little later.
		if !real.Eventually(func() bool { return os.RemoveAll(home) == nil }) {
			t.Errorf("%s is still in use", home)
		}
	})
	if _, err := chromedp.Run(browser, chromedp.Location()); err != nil {
		t.Fatalf("%s does not start: %v", program, err)
	}
	return browser
}

// displayAs makes a tab a window of a width, of somebody who likes a colour scheme.
func displayAs(scheme string, width int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 600,
		}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// htmlOf returns the page in the mail for b.
func htmlOf(t *testing.T, b slogworks.Batch) string {
	t.Helper()
	content, err := newMail(t, mail.Config{
		Host: "127.0.0.1",
		From: "shop@example.org",
		To:   []string{"ops@example.test"},
	}).Message(b)
	if err != nil {
		t.Fatal(err)
	}
	maildir := t.TempDir()
	if err := os.Mkdir(filepath.Join(maildir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(maildir, "new", "mail"), string(content))
	return receive(t, maildir, 1)[0].HTML
}
