package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/live"
)

// letters publishes records whose messages are letters, one a minute.
func letters(hub *live.Hub, begin time.Time) {
	add := func(message string, level slog.Level, logger, host string, attrs ...any) {
		r := slog.NewRecord(begin, level, message, 0)
		r.Add(slogworks.LoggerKey, logger)
		r.Add(attrs...)
		_ = hub.Publish(r, live.Origin{Host: host, Process: "p-" + host})
		begin = begin.Add(time.Minute)
	}
	add("a", slog.LevelDebug, "shop", "web1", "status", 200, "took", 20*time.Millisecond, "sum", 1234567.5, "least", 1e-7, "most", math.Inf(1), "raw", []byte("hi"))
	add("b", slog.LevelInfo, "shop.db", "web2", "status", 404, "took", 2*time.Second)
	add("c", slog.LevelWarn, "shop.db.pool", "web1", "path", "/api/users", "error", errors.New("No Answer"))
	add("d", slog.LevelError, "mail", "web2", slog.Group("user", "name", "ada", "age", 36))
	add("e", slog.LevelError+4, "mail.smtp", "web1", "json", map[string]int{"n": 7}, "digits", "12")
	add("f", slog.LevelInfo+2, "shopping", "web2", "said", `a "quoted" word`, "load", 0.75)
}

func testLiveFilters(t *testing.T, browser context.Context) {
	begin := time.Now().Add(-6 * time.Minute).Truncate(time.Minute)
	hub := live.New(nil)
	letters(hub, begin)
	address, _ := liveSite(t, hub, "127.0.0.1:0")
	p := openLive(t, browser, address, "light", 1200)
	linked := openLive(t, browser, address, "light", 1200)
	is := func(want, fragment string) {
		p.t.Helper()
		p.until(fmt.Sprintf("%s.join('') === '%s' && decodeURIComponent(location.hash.slice(1).replaceAll('+', ' ')) === %q", shown, want, fragment))
	}
	is("abcdef", "")
	for _, test := range []struct {
		name     string
		does     func()
		want     string
		fragment string
	}{
		{"a chip takes its level away", func() { p.click("button[data-level=debug]") }, "bcdef", "level=info"},
		{"several leave a set", func() { p.click("button[data-level=info]"); p.click("button[data-level=error]") }, "ace", "level=debug,warn,critical"},
		{"Shift shows a level alone", func() { p.click("button[data-level=error]", withShift) }, "d", "level=error,"},
		{"none shows none", func() {
			p.click("button[data-level=error]", withShift)
			p.press("5")
			p.click("button[data-level=critical]")
		}, "", "level=,"},
		{"a logger with all below it", func() { p.click(`[data-logger="shop.db"]`) }, "bc", "logger=shop.db"},
		{"a logger that is hidden", func() { p.click(`[data-hide="shop"]`) }, "def", "logger=!shop"},
		{"of two rules the longer", func() { p.click(`[data-logger="shop"]`); p.click(`[data-hide="shop.db.pool"]`) }, "ab", "logger=shop&logger=!shop.db.pool"},
		{"a host", func() { p.clickText("#side button", "web2") }, "bdf", "host=web2"},
		{"a process", func() { p.clickText("#side button", "p-web1") }, "ace", "process=p-web1"},
		{"a text in any case", func() { p.search("no") }, "c", "q=no"},
		{"a regular expression", func() { p.search("/^[b-d]$/") }, "bcd", "q=/^[b-d]$/"},
		{"one that only the server can tell", func() { p.search("/^([bc]|f)+$/") }, "bcf", "q=/^([bc]|f)+$/"},
		{"not a text", func() { p.search("-shop") }, "de", "q=-shop"},
		{"a key with its value", func() { p.search("name=ada") }, "d", "q=name=ada"},
		{"a key with more", func() { p.search("status>200") }, "b", "q=status>200"},
		{"a duration", func() { p.search("took>100ms") }, "b", "q=took>100ms"},
		{"levels and text together", func() { p.press("3"); p.search("user") }, "cd", "level=warn&q=user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.t = t
			p.press("0")
			is("abcdef", "")
			test.does()
			is(test.want, test.fragment)

			// What a link shows is the same.
			linked.t = t
			linked.do(chromedp.Navigate(address + p.text("location.hash")))
			linked.until(state + " === 'LIVE' && " + shown + ".join('') === '" + test.want + "'")
			linked.mustBeFree(t)

			// So is what is downloaded.
			got := ""
			for line := range strings.Lines(p.fetched("document.querySelector('#download-jsonl').href")) {
				var r struct{ M string }
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				got += r.M
			}
			if got != test.want {
				t.Errorf("the download has %q, want %q", got, test.want)
			}
			p.run("document.activeElement.blur()")
		})
	}

	t.Run("an attribute of the details", func(t *testing.T) {
		p.t = t
		p.press("0")
		is("abcdef", "")
		p.click("#rows .row[data-level=error]")
		p.until(openMessage + " === 'd'")
		p.click(`#details [aria-label="Show only ada"]`)
		p.until(shown + ".join('') === 'd' && document.querySelector('#search').value === 'user.name=ada'")
		p.click(`#details [aria-label="Hide ada"]`)
		p.until(shown + ".join('') === 'abcef' && document.querySelector('#search').value === '-user.name=ada'")
		p.press("0")
		p.click(`#details [aria-label="Hide mail"]`)
		p.until(shown + ".join('') === 'abcf'")
		p.run("document.querySelector('#rows').focus()")
		p.press("\x1b")
	})

	t.Run("a time range", func(t *testing.T) {
		p.t = t
		p.press("0")
		is("abcdef", "")
		// The last bars are those of now; the records are six minutes of them.
		p.drag("#histogram", 0.001, 0.999)
		p.until("location.hash.includes('from=') && document.querySelector('#active button')")
		is6 := shown + ".join('') === 'abcdef'"
		p.until(is6)
		p.press("\x1b")
		p.until("location.hash === ''")

		from, to := begin.Add(time.Minute).UTC().Format(time.RFC3339), begin.Add(3*time.Minute).UTC().Format(time.RFC3339)
		again := openLive(t, browser, address+"#from="+from+"&to="+to, "light", 1200)
		again.until(shown + ".join('') === 'bcd' && document.querySelectorAll('#active button').length === 1")
		if got := again.fetched("document.querySelector('#download-text').href"); strings.Count(got, "\n") != 3 {
			t.Errorf("the download of a range is\n%s", got)
		}
		again.click("#active button")
		again.until(shown + ".join('') === 'abcdef'")
		again.mustBeFree(t)
	})

	t.Run("a time range leaves what only the server can tell", func(t *testing.T) {
		p.t = t
		p.press("0")
		is("abcdef", "")
		p.search("/^([bc]|f)+$/")
		p.until(shown + ".join('') === 'bcf'")
		p.run("document.querySelector('#rows').focus()")
		p.drag("#histogram", 0.001, 0.999)
		p.until("location.hash.includes('from=') && " + shown + ".join('') === 'bcf'")
		p.press("\x1b")
		p.until("!location.hash.includes('from=') && " + shown + ".join('') === 'bcf'")
	})

	t.Run("what they hid comes even if the speed changes at once", func(t *testing.T) {
		p := openLive(t, browser, address+"#level=error", "light", 1200)
		p.until(shown + ".join('') === 'de'")
		p.run("document.querySelector('#empty button').click(); const rate = document.querySelector('#rate'); rate.value = 11; rate.dispatchEvent(new Event('input'))")
		p.until(shown + ".join('') === 'abcdef' && location.hash === '#rate=2000'")
		p.mustBeFree(t)
	})

	t.Run("those of the address are dropped after F5", func(t *testing.T) {
		p := openLive(t, browser, address+"#level=info", "light", 1200)
		p.until(shown + ".join('') === 'bcdef'")
		p.do(chromedp.Reload())
		p.press("0")
		p.until(shown + ".join('') === 'abcdef' && location.hash === ''")
		p.do(chromedp.Reload())
		p.until(shown + ".join('') === 'abcdef'")
		p.mustBeFree(t)
	})

	t.Run("mistakes are told", func(t *testing.T) {
		p.t = t
		p.press("0")
		for _, test := range [][2]string{
			{`"open`, "no closing quote"},
			{"/(?<=a)b/", "error parsing regexp"},
			{"level=loud", "unknown level"},
		} {
			p.search(test[0])
			p.until(fmt.Sprintf("!document.querySelector('#mistake').hidden && document.querySelector('#mistake').textContent.includes(%q)", test[1]))
		}
		p.run("document.activeElement.blur()")
		p.press("0")
		p.until("document.querySelector('#mistake').hidden && " + state + " === 'LIVE'")
		is("abcdef", "")
	})

	// The page has the filters a second time, for what it holds already.
	t.Run("page and server find the same", func(t *testing.T) {
		p.t = t
		p.run("window.query = null; import('./query.js').then(q => { window.query = q })")
		p.until("window.query !== null")
		queries, err := json.Marshal([]string{
			"a", "NO", `"no answer"`, "-a", "--a", "-", "shop.db", "/^sh/", "/(?i)ANSWER/", "/api/users", "/api", "/a.b/ c", "status", "status=200", "status!=200", "-status!=200",
			"name=ADA", "user.name=ada", "er.name=ada", "age>35", "age>=36", "age<36", "took>1", "took<1s", "took>=20ms", "took=2s", "error=/answer/", "error=/Answer$/", "json=/7/", "map[n:7]", `{"n":7}`,
			"digits>11", "load<0.8", "load>x", `said="a \"quoted\" word"`, "level=warn", "level>info", "level>=error", "level!=info", "level<warn", "level=error+4", "logger=shop", "logger=SHOP", "logger!=shop", "logger=/db$/", "path=", "=x", "a=b=c", "!x", "<nil>", "p-web1",
			"sum=1234567.5", "sum=1.2345675e+06", "least=1e-7", "least=1e-07", "most=+Inf", "most>1", "most<inf", "status>=0x10", "raw=hi", "raw=aGk=", "no\u00a0answer", "\u00a0", "/^a\"q/",
			// Of these the page leaves the records to the server.
			`/^\pL$/`, `/^[[:alpha:]]$/`, `/[]a]$/`, `/^[^]a]$/`, `/\Ano/`, `/a\z/`, `/^\Qa\E/`, `/^\x{61}/`, `/^\141$/`, `/^(a|b)+$/`,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.run(`window.differs = null; (async () => {
			const found = async q => (await (await fetch('records?q=' + encodeURIComponent(q))).json()).records
			const all = await found('')
			for (const r of all) r.m ??= ''
			const text = records => records.map(r => r.m).join('')
			const differs = []
			for (const q of ` + string(queries) + `) {
				const has = q => text(all.filter(r => query.matches(query.parseQuery(q), r)))
				const page = has(q)
				const server = text(await found(q))
				if (page === '' && has('-' + q) === '' && server !== '') continue // for it is left to the server
				if (page !== server) differs.push(q + ': the page finds ' + page + ', the server ' + server)
			}
			window.differs = text(all) + '\n' + differs.join('\n')
		})()`)
		p.until("window.differs !== null")
		if got := p.text("window.differs"); got != "abcdef\n" {
			t.Errorf("of the records %s", got)
		}
	})
	p.t = t
	p.mustBeFree(t)
}
