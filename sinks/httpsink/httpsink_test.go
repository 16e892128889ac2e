package httpsink_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/internal/wire"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

func TestHandler_postsJSON(t *testing.T) {
	pid := fmt.Sprint(`,"pid":`, wirePID(t))
	for name, test := range map[string]struct {
		opts        httpsink.Options
		contentType string
		want        string
	}{
		"as lines":       {httpsink.Options{}, "application/x-ndjson", `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"a\n<b>","host":"web1","process":"shop"` + pid + `,"k":1}` + "\n" + `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"second","host":"web1","process":"shop"` + pid + "}\n"},
		"as an array":    {httpsink.Options{Format: httpsink.Array}, "application/json", `[{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"a\n<b>","host":"web1","process":"shop"` + pid + `,"k":1},{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"second","host":"web1","process":"shop"` + pid + "}]"},
		"as wire lines":  {httpsink.Options{Format: httpsink.Wire}, "application/x-ndjson", `{"t":"2026-01-02T12:00:00Z","l":0,"m":"a\n<b>","h":"web1","p":"shop"` + pid + `,"a":[{"k":"k","t":"i","v":1}]}` + "\n" + `{"t":"2026-01-02T12:00:00Z","l":0,"m":"second","h":"web1","p":"shop"` + pid + `,"a":[]}` + "\n"},
		"as it is given": {httpsink.Options{NewHandler: pretty}, "application/x-ndjson", `{ "m": "a  <b>" }` + "\n" + `{ "m": "second" }` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, isZipped := range []bool{false, true} {
				c := newCollector(t, nil)
				test.opts.Gzip = isZipped
				h := newHandler(t, c.URL+"/in", test.opts)
				b := newBatch(1, "a\n<b>", "second")
				b.Items[0].Record.Add("k", 1)
				if err := h.HandleBatch(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				all := c.all()
				if len(all) != 1 || string(all[0].body) != test.want || all[0].header.Get("Content-Type") != test.contentType || all[0].path != "/in" {
					t.Fatalf("the requests are %q, want\n%s", all, test.want)
				}
				isRaw := string(all[0].raw) == string(all[0].body)
				if got := all[0].header.Get("Content-Encoding"); (got == "gzip") != isZipped || isRaw == isZipped {
					t.Errorf("the encoding is %q", got)
				}
			}
		})
	}
}

func wirePID(t *testing.T) int {
	c := newCollector(t, nil)
	handle(t, newHandler(t, c.URL, httpsink.Options{Format: httpsink.Wire}), newRecord("m"))
	_, origin, err := wire.Decode(c.all()[0].body)
	if err != nil || origin.PID == 0 {
		t.Fatalf("%+v, %v", origin, err)
	}
	return origin.PID
}

// pretty writes JSON over several lines.
func pretty(w io.Writer) slog.Handler { return prettyHandler{w} }

type prettyHandler struct{ w io.Writer }

func (prettyHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h prettyHandler) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "nothing":
		return nil
	case "fails":
		_, _ = io.WriteString(h.w, "half a li")
		return errors.New("no words")
	case "panics":
		_, _ = io.WriteString(h.w, "half a li")
		panic("no words")
	}
	_, err := fmt.Fprintf(h.w, "{\n\"m\": \"%s\"\n}\n", strings.ReplaceAll(r.Message, "\n", "\n "))
	return err
}
func (h prettyHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h prettyHandler) WithGroup(string) slog.Handler      { return h }

func TestHandler_zeroOptionsAreTheDefault(t *testing.T) {
	c := newCollector(t, nil)
	for _, opts := range []*httpsink.Options{nil, {}} {
		h := httpsink.New(c.URL, opts)
		handle(t, h, newRecord("m", slog.Int("k", 1)))
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	all := c.all()
	if string(all[0].body) != string(all[1].body) || !reflect.DeepEqual(all[0].header, all[1].header) || !strings.Contains(string(all[0].body), `"host":`) {
		t.Errorf("the requests are %q", all)
	}
	opts := httpsink.Options{Client: &http.Client{}, Header: http.Header{"X": {"y"}}}
	before := opts
	h := newHandler(t, c.URL, opts)
	opts.Header.Set("X", "z")
	handle(t, h, newRecord("m"))
	if got := c.all()[2].header.Get("X"); got != "y" || opts.Client != before.Client || opts.Client.CheckRedirect != nil {
		t.Errorf("the options are shared: %q, %+v", got, opts)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		url  string
		opts httpsink.Options
		want string
	}{
		{"127.0.0.1:80", httpsink.Options{}, "must be http://HOST/PATH"},
		{"ftp://user:secret@127.0.0.1/", httpsink.Options{}, "must be http://HOST/PATH"},
		{"http://user:secret@127.0.0.1:%%%", httpsink.Options{}, "must be http://HOST/PATH"},
		{"http://h/", httpsink.Options{Format: 3}, "want NDJSON, Array or Wire"},
		{"http://h/", httpsink.Options{Format: httpsink.Wire, NewHandler: pretty}, "NewHandler for Wire"},
		{"http://h/", httpsink.Options{Bearer: "secret", BearerFunc: func(context.Context) (string, error) { return "", nil }}, "want one of them"},
		{"http://u:secret@h/", httpsink.Options{Bearer: "secret"}, "want one of them"},
		{"http://h/", httpsink.Options{Bearer: "secret\r\nX: y"}, "no header can have"},
		{"http://h/", httpsink.Options{Header: http.Header{"X": {"secret\n"}}}, "no header can have"},
		{"http://h/", httpsink.Options{Header: http.Header{"X: y\r\nZ": {"v"}}}, "no name that a header can have"},
		{"http://h/", httpsink.Options{Header: http.Header{"": {"v"}}}, "no name that a header can have"},
		{"http://h/", httpsink.Options{HMACHeader: "X"}, "without HMACKey"},
		{"http://h/", httpsink.Options{HMACHeader: "X y", HMACKey: []byte("secret")}, "no name that a header can have"},
	} {
		err := httpsink.Check(test.url, &test.opts)
		if err == nil || !strings.HasPrefix(err.Error(), "httpsink: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s %+v: %v, want %q", test.url, test.opts, err, test.want)
		}
		func() {
			defer func() {
				if p := recover(); p != err.Error() {
					t.Errorf("New panics with %v, want %v", p, err)
				}
			}()
			httpsink.New(test.url, &test.opts)
		}()
	}
}

func TestHandler_authenticates(t *testing.T) {
	c := newCollector(t, nil)
	n := 0
	for name, test := range map[string]struct {
		userinfo string
		opts     httpsink.Options
		want     string
	}{
		"by a token":          {"", httpsink.Options{Bearer: "k3f9"}, "Bearer k3f9"},
		"by tokens that come": {"", httpsink.Options{BearerFunc: func(context.Context) (string, error) { return "from a function", nil }}, "Bearer from a function"},
		"by the URL":          {"user:pass@", httpsink.Options{}, "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass"))},
		"by a header":         {"", httpsink.Options{Header: http.Header{"authorization": {"Splunk 1"}}}, "Splunk 1"},
		"by nothing":          {"", httpsink.Options{}, ""},
	} {
		h := newHandler(t, strings.Replace(c.URL, "://", "://"+test.userinfo, 1), test.opts)
		handle(t, h, newRecord("m"))
		if got := c.all()[n].header.Get("Authorization"); got != test.want {
			t.Errorf("%s: it is %q, want %q", name, got, test.want)
		}
		n++
	}

	t.Run("a token that cannot be had is a temporary error", func(t *testing.T) {
		var token string
		var fails error
		h := newHandler(t, c.URL, httpsink.Options{BearerFunc: func(context.Context) (string, error) {
			if fails == nil && token == "" {
				panic("no token")
			}
			return token, fails
		}})
		fails = errors.New("the vault is sealed")
		if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "m"))); e.Permanent || !errors.Is(e, fails) {
			t.Errorf("the error is %+v", e)
		}
		fails = nil
		if e := failure(t, h.HandleBatch(t.Context(), newBatch(2, "m"))); e.Permanent {
			t.Errorf("the error is %+v", e)
		}
		token = "secret\n"
		if e := failure(t, h.HandleBatch(t.Context(), newBatch(3, "m"))); e.Permanent || strings.Contains(e.Error(), "secret") {
			t.Errorf("the error is %+v", e)
		}
		token = "secret"
		if err := h.HandleBatch(t.Context(), newBatch(4, "m")); err != nil {
			t.Error(err)
		}
	})
}

func TestHandler_signsWhatItSends(t *testing.T) {
	key := []byte("the key")
	for _, opts := range []httpsink.Options{{HMACKey: key}, {HMACKey: key, Gzip: true, HMACHeader: "X-Hub-Signature-256"}} {
		c := newCollector(t, nil)
		handle(t, newHandler(t, c.URL, opts), newRecord("m"))
		r := c.all()[0]
		mac := hmac.New(sha256.New, key)
		mac.Write(r.raw)
		name := opts.HMACHeader
		if name == "" {
			name = "X-Signature-256"
		}
		if got, want := r.header.Get(name), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("the signature is %q, want %q", got, want)
		}
	}
}

func TestHandler_readsTheAnswer(t *testing.T) {
	for code, want := range map[int]string{
		200: "", 201: "", 204: "", 299: "",
		300: "permanent", 302: "permanent", 304: "permanent", 307: "permanent",
		400: "permanent", 401: "permanent", 403: "permanent", 404: "permanent", 405: "permanent", 415: "permanent", 422: "permanent", 413: "permanent",
		408: "temporary", 425: "temporary", 429: "temporary",
		500: "temporary", 502: "temporary", 503: "temporary", 504: "temporary", 599: "temporary",
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			c := newCollector(t, func(w http.ResponseWriter, _ request, _ int) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, "the reason\nis this")
			})
			h := newHandler(t, c.URL, httpsink.Options{})
			err := h.HandleBatch(t.Context(), newBatch(1, "m"))
			a := h.Account()
			if want == "" {
				if err != nil || a.Delivered != 1 {
					t.Fatalf("the error is %v, the account %+v", err, a)
				}
				return
			}
			e := failure(t, err)
			if e.Permanent != (want == "permanent") || e.Accepted != 0 || e.Uncertain || (e.After > 0) != (want == "temporary") {
				t.Errorf("the error is %+v", e)
			}
			if !strings.Contains(e.Error(), fmt.Sprint("httpsink: ", c.Listener.Addr(), ": ", code)) || code != 304 && code != 204 && !strings.Contains(e.Error(), ": the reason is this") {
				t.Errorf("the error is %q", e)
			}
			// What is permanent is lost and counted, whoever called.
			lost := a.Dropped["refused"] + a.Dropped["too large"]
			if (lost == 1) != e.Permanent || a.Accepted != lost || (a.Dropped["too large"] == 1) != (code == 413) {
				t.Errorf("the account is %+v", a)
			}
			if len(c.all()) != 1 {
				t.Errorf("there were %d requests", len(c.all()))
			}
		})
	}
}

func TestHandler_passesRetryAfterOn(t *testing.T) {
	for value, want := range map[string][2]time.Duration{
		"120": {120 * time.Second, 120 * time.Second},
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat):  {59 * time.Minute, time.Hour},
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): {30 * time.Second, 60 * time.Second},
		"99999999999999": {24 * time.Hour, 24 * time.Hour},
		"":               {30 * time.Second, 60 * time.Second},
		"-1":             {30 * time.Second, 60 * time.Second},
		"soon":           {30 * time.Second, 60 * time.Second},
	} {
		t.Run(value, func(t *testing.T) {
			c := newCollector(t, func(w http.ResponseWriter, _ request, n int) {
				if n == 0 {
					w.Header().Set("Retry-After", value)
					w.WriteHeader(http.StatusTooManyRequests)
				}
			})
			h := newHandler(t, c.URL, httpsink.Options{Backoff: slogworks.Backoff{Min: time.Minute, Max: time.Minute}})
			if e := failure(t, h.Handle(t.Context(), newRecord("first"))); e.After < want[0] || e.After > want[1] {
				t.Errorf("the error is %+v, want After in %v", e, want)
			}
			// Until then, nobody is asked, and who logs does not wait.
			if e := failure(t, h.Handle(t.Context(), newRecord("second"))); e.After > want[1] || e.After < want[0]-time.Minute || len(c.all()) != 1 {
				t.Errorf("the second error is %+v", e)
			}
			// Whoever counts attempts has waited.
			if err := h.HandleBatch(t.Context(), newBatch(2, "third")); err != nil {
				t.Error(err)
			}
			handle(t, h, newRecord("fourth"))
			if a := h.Account(); a.Delivered != 2 || a.Dropped["failed"] != 2 || a.Accepted != 4 {
				t.Errorf("the account is %+v", a)
			}
		})
	}
}

// fussy takes at most so many bytes, and no record with "never" in it.
func fussy(limit int) func(w http.ResponseWriter, r request, n int) {
	return func(w http.ResponseWriter, r request, _ int) {
		if len(r.body) > limit || strings.Contains(string(r.body), "never") {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}
}

func TestHandler_splitsWhatIsTooLarge(t *testing.T) {
	for name, format := range map[string]httpsink.Format{"lines": httpsink.NDJSON, "arrays": httpsink.Array} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, fussy(700))
			var lost []error
			h := newHandler(t, c.URL, httpsink.Options{Format: format, OnError: func(err error) { lost = append(lost, err) }})
			var messages, want []string
			for i := range 50 {
				messages = append(messages, fmt.Sprint("message ", i))
			}
			want = slices.Clone(messages)
			messages = slices.Insert(messages, 20, "never", strings.Repeat("x", 1000))
			if err := h.HandleBatch(t.Context(), newBatch(1, messages...)); err != nil {
				t.Fatal(err)
			}
			if got := c.messages(t); !slices.Equal(got, want) {
				t.Errorf("the collector has %q, want %q", got, want)
			}
			if a := h.Account(); a.Delivered != 50 || a.Dropped["too large"] != 2 || a.Accepted != 52 {
				t.Errorf("the account is %+v", a)
			}
			if len(lost) != 2 || !strings.Contains(lost[0].Error(), "413") {
				t.Errorf("OnError was called with %v", lost)
			}
		})
	}
}

// answers returns what a collector does that takes one record at a time, and by
// code answers the records of that message.
func answers(t *testing.T, codes map[string]int) func(w http.ResponseWriter, r request, n int) {
	return func(w http.ResponseWriter, r request, _ int) {
		lines := r.lines(t)
		if len(lines) > 1 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		for message, code := range codes {
			if strings.Contains(lines[0], `"msg":"`+message+`"`) {
				w.WriteHeader(code)
			}
		}
	}
}

func TestHandler_saysHowMuchOfASplitBatchIsDone(t *testing.T) {
	messages := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	for name, test := range map[string]struct {
		codes    map[string]int
		taken    string
		accepted int // -1 without an error
		lost     []string
		refused  uint64
		tooLarge uint64
	}{
		"temporary at the first":           {map[string]int{"0": 503}, "", 0, nil, 0, 0},
		"temporary after what is lost":     {map[string]int{"2": 413, "3": 503}, "01", 3, []string{"413"}, 0, 1},
		"temporary in the middle":          {map[string]int{"2": 413, "5": 503}, "0134", 5, []string{"413"}, 0, 1},
		"permanent in the middle":          {map[string]int{"5": 400}, "0123467", -1, []string{"400"}, 1, 0},
		"permanent in both halves":         {map[string]int{"1": 400, "2": 413, "5": 400}, "03467", -1, []string{"400", "413", "400"}, 2, 1},
		"permanent and then temporary":     {map[string]int{"1": 400, "2": 400, "3": 503}, "0", 3, []string{"400", "400"}, 2, 0},
		"permanent at the end":             {map[string]int{"6": 400, "7": 413}, "012345", 6, nil, 1, 1},
		"permanent in between and at last": {map[string]int{"2": 400, "7": 400}, "013456", 7, []string{"400"}, 2, 0},
		"permanent throughout":             {map[string]int{"": 400, "0": 400, "1": 400, "2": 400, "3": 400, "4": 400, "5": 400, "6": 400, "7": 400}, "", 0, nil, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, answers(t, test.codes))
			var lost []error
			h := newHandler(t, c.URL, httpsink.Options{OnError: func(err error) { lost = append(lost, err) }})
			err := h.HandleBatch(t.Context(), newBatch(1, messages...))
			if test.accepted < 0 {
				if err != nil {
					t.Errorf("the error is %v", err)
				}
			} else if e := failure(t, err); e.Accepted != test.accepted || e.Permanent == strings.Contains(e.Error(), "503") {
				t.Errorf("the error is %+v", e)
			}
			if got := strings.Join(c.messages(t), ""); got != test.taken {
				t.Errorf("the collector has %q, want %q", got, test.taken)
			}
			if len(lost) != len(test.lost) {
				t.Fatalf("OnError was called with %q, want %q", lost, test.lost)
			}
			for i, err := range lost {
				if !strings.Contains(err.Error(), test.lost[i]) {
					t.Errorf("OnError was called with %q, want %q", lost, test.lost)
				}
			}
			a := h.Account()
			if a.Delivered != uint64(len(test.taken)) || a.Dropped["refused"] != test.refused || a.Dropped["too large"] != test.tooLarge || a.Accepted != a.Delivered+test.refused+test.tooLarge {
				t.Errorf("the account is %+v", a)
			}
		})
	}
}

// A Receiver takes what it can of a request, and says how much that was.
func TestHandler_believesWhatAReceiverHasAccepted(t *testing.T) {
	for name, test := range map[string]struct {
		code      int
		answer    string
		delivered uint64
		failed    bool
	}{
		"some":                           {400, `{"error":"bad-json: record 2","accepted":2,"refused":1}`, 2, false},
		"some of what was too large":     {413, `{"error":"frame-too-long","accepted":2,"refused":1}`, 2, false},
		"none":                           {400, `{"error":"bad-json","accepted":0,"refused":3}`, 0, true},
		"a request that is no record":    {400, `{"error":"bad-encoding","accepted":0,"refused":1}`, 0, true},
		"all, and yet it refuses":        {400, `{"accepted":3,"refused":0}`, 0, true},
		"more than there were":           {400, `{"accepted":4,"refused":-1}`, 0, true},
		"other numbers than were posted": {400, `{"accepted":2,"refused":5}`, 0, true},
		"numbers beyond all measure":     {400, `{"accepted":9223372036854775807,"refused":9223372036854775807}`, 0, true},
		"what is no number":              {400, `{"accepted":"2","refused":true}`, 0, true},
		"no more than that":              {400, `{"accepted":2}`, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, func(w http.ResponseWriter, _ request, _ int) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, test.answer)
			})
			var lost []error
			h := newHandler(t, c.URL, httpsink.Options{OnError: func(err error) { lost = append(lost, err) }})
			err := h.HandleBatch(t.Context(), newBatch(1, "0", "1", "2"))
			if test.failed {
				if e := failure(t, err); !e.Permanent || e.Accepted != 0 || len(lost) != 0 {
					t.Errorf("the error is %+v, and OnError was called with %v", e, lost)
				}
			} else if err != nil || len(lost) != 1 || !strings.Contains(lost[0].Error(), fmt.Sprint(test.code)) {
				t.Errorf("the error is %v, and OnError was called with %v", err, lost)
			}
			if a := h.Account(); a.Delivered != test.delivered || a.Dropped["refused"] != 3-test.delivered || a.Accepted != 3 {
				t.Errorf("the account is %+v", a)
			}
			if len(c.all()) != 1 {
				t.Errorf("there were %d requests", len(c.all()))
			}
		})
	}
	t.Run("in truth", func(t *testing.T) {
		s := receiveHTTP(t, &httpsink.Receiver{MaxFrame: 4096})
		h := newHandler(t, "http://"+s.address, httpsink.Options{Format: httpsink.Wire})
		if err := h.HandleBatch(t.Context(), newBatch(1, "0", strings.Repeat("x", 5000), "2", "3")); err != nil {
			t.Error(err)
		}
		if a := h.Account(); a.Delivered != 3 || a.Dropped["refused"] != 1 || a.Accepted != 4 || len(s.written()) != 3 {
			t.Errorf("the account is %+v, and there are %d records", a, len(s.written()))
		}
	})
}

func TestHandler_keepsToMaxBytes(t *testing.T) {
	c := newCollector(t, nil)
	h := newHandler(t, c.URL, httpsink.Options{MaxBytes: 1000})
	messages := []string{"a", "b", "c", strings.Repeat("x", 2000), "d"}
	if err := h.HandleBatch(t.Context(), newBatch(1, messages...)); err != nil {
		t.Fatal(err)
	}
	if got := c.messages(t); !slices.Equal(got, messages) {
		t.Errorf("the collector has %q", got)
	}
	var sizes []int
	for _, r := range c.all() {
		sizes = append(sizes, len(r.lines(t)))
		if len(r.body) > 1000 && len(r.lines(t)) > 1 {
			t.Errorf("a request has %d bytes", len(r.body))
		}
	}
	if !slices.Equal(sizes, []int{3, 1, 1}) {
		t.Errorf("the requests have %v records", sizes)
	}
	w := newCollector(t, nil)
	handle(t, newHandler(t, w.URL, httpsink.Options{MaxBytes: 1500, Format: httpsink.Wire}), newRecord(strings.Repeat("x", 3000)))
	if r := w.all()[0]; len(r.body) > 1500 || !strings.Contains(string(r.body), "!truncated") {
		t.Errorf("the wire line has %d bytes", len(r.body))
	}
}

// Every request of a batch has a key of its own, and what is tried again has the
// key that it had.
func TestHandler_keysAreStable(t *testing.T) {
	c := newCollector(t, func(w http.ResponseWriter, r request, n int) {
		switch lines := r.lines(t); {
		case len(lines) > 2:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case n == 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	h := newHandler(t, c.URL, httpsink.Options{})
	b := newBatch(1, "0", "1", "2", "3", "4", "5", "6", "7")
	e := failure(t, h.HandleBatch(t.Context(), b))
	if e.Accepted != 2 {
		t.Fatalf("the error is %+v", e)
	}
	b.Items, b.Attempt = b.Items[e.Accepted:], 2
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var keys []string
	byKey := map[string]string{}
	for _, r := range c.all() {
		key := r.header.Get("Idempotency-Key")
		keys = append(keys, key)
		if before, ok := byKey[key]; ok && before != string(r.body) {
			t.Errorf("two requests are %s", key)
		}
		byKey[key] = string(r.body)
	}
	if want := []string{"id-8-0", "id-8-4", "id-8-6", "id-6-4", "id-6-0", "id-6-3", "id-6-5", "id-5-3", "id-3-0", "id-3-2", "id-2-0"}; !slices.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	handle(t, h, newRecord("m"))
	all := c.all()
	if _, ok := all[len(all)-1].header["Idempotency-Key"]; ok {
		t.Error("a record by itself has a key")
	}
}

func TestHandler_countsWhatCannotBeWritten(t *testing.T) {
	var lost []error
	c := newCollector(t, func(w http.ResponseWriter, _ request, n int) {
		if n == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	h := newHandler(t, c.URL, httpsink.Options{NewHandler: pretty, OnError: func(err error) { lost = append(lost, err) }})
	b := newBatch(1, "fails", "a", "panics", "b", "nothing")
	if e := failure(t, h.HandleBatch(t.Context(), b)); e.Accepted != 1 {
		t.Errorf("the error is %+v", e)
	}
	b.Items, b.Attempt = b.Items[1:], 2
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := string(c.all()[1].body); got != "{ \"m\": \"a\" }\n{ \"m\": \"b\" }\n" {
		t.Errorf("the body is %q", got)
	}
	if a := h.Account(); a.Delivered != 2 || a.Dropped["not encoded"] != 3 || len(lost) != 3 {
		t.Errorf("the account is %+v, the errors are %v", a, lost)
	}
	if e := failure(t, h.Handle(t.Context(), newRecord("nothing"))); !e.Permanent || len(lost) != 3 {
		t.Errorf("the error of a record by itself is %+v", e)
	}
	// Among what is refused, each is counted for what is wrong with it.
	c.answer = func(w http.ResponseWriter, _ request, n int) {
		if n > 2 {
			w.WriteHeader(http.StatusForbidden)
		}
	}
	h = newHandler(t, c.URL, httpsink.Options{NewHandler: pretty, MaxBytes: 1, OnError: func(err error) { lost = append(lost, err) }})
	if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "fails", "a", "panics", "b", "nothing", "c"))); !e.Permanent || e.Accepted != 3 {
		t.Errorf("the error is %+v", e)
	}
	if a := h.Account(); a.Delivered != 1 || a.Dropped["refused"] != 2 || a.Dropped["not encoded"] != 3 || a.Accepted != 6 || len(lost) != 6 {
		t.Errorf("the account is %+v, the errors are %v", a, lost)
	}
}

func TestHandler_followsNoRedirectElsewhere(t *testing.T) {
	other := newCollector(t, nil)
	for name, test := range map[string]struct {
		code    int
		to      func(self string) string
		follows bool
	}{
		"to another host":              {307, func(string) string { return other.URL + "/stolen" }, false},
		"to another name of the host":  {308, func(self string) string { return strings.Replace(self, "127.0.0.1", "localhost", 1) + "/new" }, false},
		"by another method":            {302, func(string) string { return "/new" }, false},
		"by another method, on demand": {303, func(string) string { return "/new" }, false},
		"within the host":              {307, func(string) string { return "/new" }, true},
		"within the host for good":     {308, func(self string) string { return self + "/new" }, true},
		"for ever":                     {307, func(string) string { return "/" }, false},
		"to no URL":                    {307, func(string) string { return "http://%%%secret-token" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var c *collector
			c = newCollector(t, func(w http.ResponseWriter, r request, _ int) {
				if r.path != "/new" {
					w.Header().Set("Location", test.to(c.URL))
					w.WriteHeader(test.code)
				}
			})
			h := newHandler(t, c.URL+"/?key=secret-token", httpsink.Options{Bearer: "secret-token", Gzip: true})
			err := h.HandleBatch(t.Context(), newBatch(1, "m"))
			if test.follows {
				if err != nil || !slices.Equal(c.messages(t), []string{"m"}) {
					t.Errorf("the error is %v", err)
				}
			} else if e := failure(t, err); name != "to no URL" && !e.Permanent || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error is %+v", e)
			}
			if n := len(other.all()); n != 0 {
				t.Errorf("the other host has %d requests", n)
			}
		})
	}
	t.Run("from https to http", func(t *testing.T) {
		c := newUnstarted(t, nil)
		c.answer = func(w http.ResponseWriter, r request, _ int) {
			http.Redirect(w, httptest.NewRequest("POST", "/", nil), strings.Replace(c.URL, "https:", "http:", 1), http.StatusTemporaryRedirect)
		}
		c.StartTLS()
		client := c.Client()
		defer client.CloseIdleConnections()
		h := newHandler(t, c.URL, httpsink.Options{Client: client})
		if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "m"))); !e.Permanent || !strings.Contains(e.Error(), "a redirect that is not followed") {
			t.Errorf("the error is %+v", e)
		}
	})
	t.Run("if the user's client does not want it", func(t *testing.T) {
		c := newCollector(t, func(w http.ResponseWriter, r request, _ int) {
			w.Header().Set("Location", "/new")
			w.WriteHeader(307)
		})
		refused := errors.New("not this one")
		client := &http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return refused }}
		defer client.CloseIdleConnections()
		h := newHandler(t, c.URL, httpsink.Options{Client: client})
		if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "m"))); !errors.Is(e, refused) || len(c.all()) != 1 {
			t.Errorf("the error is %+v", e)
		}
	})
}

// Whatever the collector says, and wherever it fails, an error has no secret.
func TestHandler_errorsHaveNoSecrets(t *testing.T) {
	for name, test := range map[string]struct {
		userinfo string
		opts     httpsink.Options
		secrets  []string
	}{
		"a token":    {"", httpsink.Options{Bearer: "bearer-secret"}, []string{"bearer-secret"}},
		"a function": {"", httpsink.Options{BearerFunc: func(context.Context) (string, error) { return "func-secret", nil }}, []string{"func-secret"}},
		"a header":   {"", httpsink.Options{Header: http.Header{"X-Key": {"Key header-secret"}}}, []string{"header-secret"}},
		"a password": {"user-secret:p%40ss%20%22secret@", httpsink.Options{}, []string{"user-secret", `p@ss "secret`, `p@ss \"secret`, "p%40ss%20%22secret", "p%40ss+%22secret", base64.StdEncoding.EncodeToString([]byte(`user-secret:p@ss "secret`))}},
		"a long one": {"", httpsink.Options{Bearer: strings.Repeat("bearer-secret", 80)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.HMACKey = []byte("key-secret")
			secrets := append(test.secrets, "path-secret", "query-secret", "key-secret")
			c := newCollector(t, func(w http.ResponseWriter, r request, n int) {
				said := fmt.Sprintf("%s %v %q", r.path, r.header, r.header) + strings.Join(secrets, " ")
				switch n {
				case 0:
					w.WriteHeader(500)
					_, _ = io.WriteString(w, said)
				case 1:
					// What is read of it ends within a secret.
					w.WriteHeader(400)
					_, _ = io.WriteString(w, strings.Repeat(r.header.Get("Authorization")+r.header.Get("X-Key"), 1000))
				case 2:
					w.Header().Set("Location", "http://%%%"+said)
					w.WriteHeader(307)
				case 3:
					conn, _, err := http.NewResponseController(w).Hijack()
					if err == nil {
						_, _ = io.WriteString(conn, said+"\r\n\r\n")
						_ = conn.Close()
					}
				}
			})
			h := newHandler(t, strings.Replace(c.URL, "://", "://"+test.userinfo, 1)+"/path-secret?token=query-secret", test.opts)
			for i := range 5 {
				if i == 4 {
					c.Close()
				}
				err := failure(t, h.HandleBatch(t.Context(), newBatch(1, "m")))
				if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "bearer-") {
					t.Errorf("there is a secret in %q", err)
				}
				if i == 0 && !strings.Contains(err.Error(), "***") {
					t.Errorf("the answer is not in %q", err)
				}
			}
		})
	}
}

// hanging is a transport that gets no further than it says before the request
// ends, however late that is.
type hanging struct{ answers bool }

func (h hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	_ = req.Body.Close()
	httptrace.ContextClientTrace(req.Context()).WroteHeaders()
	if h.answers {
		return &http.Response{StatusCode: 500, Body: hanging{}.body(req.Context()), Request: req}, nil
	}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func (hanging) body(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return r
}

func TestHandler_aHangingCollectorCostsTheTimeout(t *testing.T) {
	for name, to := range map[string]hanging{"before the answer": {false}, "within an error": {true}} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, "http://127.0.0.1:1/", httpsink.Options{Timeout: 10 * time.Millisecond, Client: &http.Client{Transport: to}})
			e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "m")))
			if e.Permanent || e.Uncertain == to.answers || e.Uncertain != errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("the error is %+v", e)
			}
		})
	}
	t.Run("a success counts, however long its body is", func(t *testing.T) {
		c := newCollector(t, func(w http.ResponseWriter, _ request, _ int) {
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		})
		handle(t, newHandler(t, c.URL, httpsink.Options{}), newRecord("m"))
	})
}

func TestHandler_aConnectionThatEndsEarlyIsUncertain(t *testing.T) {
	c := newCollector(t, func(w http.ResponseWriter, _ request, n int) {
		if n == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	h := newHandler(t, c.URL, httpsink.Options{})
	handle(t, h, newRecord("first"))
	e := failure(t, h.Handle(t.Context(), newRecord("second")))
	if !e.Uncertain || e.Permanent || e.After <= 0 || e.Accepted != 0 {
		t.Errorf("the error is %+v", e)
	}
	peertest.WaitFor(t, "another attempt", func() bool { return h.Handle(t.Context(), newRecord("third")) == nil })

	// If nobody was there, nothing can have arrived.
	c.Close()
	h = newHandler(t, c.URL, httpsink.Options{})
	if e := failure(t, h.HandleBatch(t.Context(), newBatch(1, "fourth"))); e.Uncertain || e.Permanent {
		t.Errorf("the error is %+v", e)
	}
}

func TestHandler_connectionsAreUsedAgain(t *testing.T) {
	var mu sync.Mutex
	opened := map[net.Conn]bool{}
	c := newUnstarted(t, func(w http.ResponseWriter, _ request, n int) {
		if n%2 == 0 {
			w.WriteHeader(500)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	})
	c.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		opened[conn] = true
	}
	c.Start()
	h := newHandler(t, c.URL, httpsink.Options{Gzip: true})
	for i := range 20 {
		_ = h.HandleBatch(t.Context(), newBatch(i+1, "m"))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(opened) != 1 {
		t.Errorf("%d connections were opened", len(opened))
	}
}

func TestHandler_derivedHandlersShareCounts(t *testing.T) {
	c := newCollector(t, nil)
	h := newHandler(t, c.URL, httpsink.Options{Level: slog.LevelWarn, AddSource: true})
	logger := slog.New(h).With("a", 1).WithGroup("g")
	logger.Info("not enabled")
	logger.Warn("m", "b", 2)
	body := string(c.all()[0].body)
	if !strings.HasSuffix(body, `"a":1,"g":{"b":2}}`+"\n") || !strings.Contains(body, `"source":{"function"`) || h.Account().Delivered != 1 {
		t.Errorf("the body is %s, the account %+v", body, h.Account())
	}
}

func TestHandler_shutdown(t *testing.T) {
	began, over := make(chan struct{}), make(chan struct{})
	c := newCollector(t, func(http.ResponseWriter, request, int) {
		began <- struct{}{}
		<-over
	})
	t.Run("waits for what is under way", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{})
		sent := make(chan error, 1)
		go func() { sent <- h.Handle(context.Background(), newRecord("m")) }()
		<-began
		closed := make(chan error, 1)
		go func() { closed <- h.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is in time makes no request
		peertest.WaitFor(t, "the close", func() bool { return errors.Is(h.HandleBatch(ctx, newBatch(1, "late")), httpsink.ErrClosed) })
		over <- struct{}{}
		if err := errors.Join(<-sent, <-closed, h.Close(), h.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
		if a := h.Account(); a.Delivered != 1 || a.Dropped["closed"] == 0 {
			t.Errorf("the account is %+v", a)
		}
	})
	t.Run("cuts off what is under way when its time is over", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{})
		sent := make(chan error, 1)
		go func() { sent <- h.Handle(context.Background(), newRecord("m")) }()
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown returned %v", err)
		}
		if e := failure(t, <-sent); !e.Uncertain || !errors.Is(e, context.Canceled) {
			t.Errorf("Handle returned %+v", e)
		}
		over <- struct{}{}
	})
	t.Run("HandleBatch ends with its context", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- h.HandleBatch(ctx, newBatch(1, "m")) }()
		<-began
		cancel()
		if e := failure(t, <-sent); !errors.Is(e, context.Canceled) {
			t.Errorf("HandleBatch returned %+v", e)
		}
		over <- struct{}{}
	})
	t.Run("the end of Handle's context changes nothing", func(t *testing.T) {
		h := newHandler(t, c.URL, httpsink.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		sent := make(chan error, 1)
		go func() { sent <- h.Handle(ctx, newRecord("m")) }()
		<-began
		over <- struct{}{}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// A body is used again only when the transport is done with it, which may be
// after the answer.
func TestHandler_bodiesAreNotMixedUp(t *testing.T) {
	c := newUnstarted(t, nil)
	c.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500) // before the body is read
	})
	c.Start()
	h := newHandler(t, c.URL, httpsink.Options{})
	good := newCollector(t, nil)
	g := newHandler(t, good.URL, httpsink.Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				_ = h.HandleBatch(context.Background(), newBatch(i+1, strings.Repeat("bad", 300_000)))
				_ = g.HandleBatch(context.Background(), newBatch(i+1, strings.Repeat("good", 1000)))
			}
		})
	}
	wg.Wait()
	got := good.messages(t)
	if len(got) != 80 || slices.ContainsFunc(got, func(m string) bool { return m != strings.Repeat("good", 1000) }) {
		t.Errorf("%d messages arrived, some of them mixed up", len(got))
	}
}

// Behind a queue, what the collector can take arrives once, whatever it answers
// meanwhile.
func TestHandler_losesNothingBehindAQueue(t *testing.T) {
	c := newCollector(t, func(w http.ResponseWriter, r request, n int) {
		switch {
		case len(r.lines(t)) > 20:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case n%7 == 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case n%7 == 5:
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	h := newHandler(t, c.URL, httpsink.Options{Gzip: true})
	q := queue.New(h, &queue.Options{MaxBatch: 100, Capacity: 2000, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond}})
	var want []string
	for i := range 1000 {
		want = append(want, strconv.Itoa(i))
		slog.New(q).Info(want[i])
	}
	if err := slogworks.Shutdown(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if got := c.messages(t); !slices.Equal(got, want) {
		t.Errorf("%d messages arrived: %q", len(got), got)
	}
	for _, a := range slogworks.Books(q) {
		if a.Accepted != 1000 || a.Delivered != 1000 {
			t.Errorf("the account is %+v", a)
		}
	}
}

func TestHandler_allocatesPerRequestAndNotPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, opts := range map[string]httpsink.Options{
		"lines": {}, "array": {Format: httpsink.Array}, "wire": {Format: httpsink.Wire}, "gzip": {Gzip: true},
	} {
		c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		h := newHandler(t, c.URL, opts)
		allocs := func(b slogworks.Batch) float64 {
			for i := range b.Items {
				b.Items[i].Record.AddAttrs(slog.String("s", "x"), slog.Int("i", 1), slog.Bool("b", true), slog.Duration("d", 1500))
			}
			return testing.AllocsPerRun(50, func() {
				if err := h.HandleBatch(t.Context(), b); err != nil {
					t.Error(err)
				}
			})
		}
		one, many := allocs(newBatch(1, "m")), allocs(newBatch(1, slices.Repeat([]string{"m"}, 500)...))
		if many > one+50 {
			t.Errorf("%s: one record takes %v allocations, 500 take %v", name, one, many)
		}
		c.Close()
	}
}
