package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// with returns a line with one attribute.
func with(attr string) string { return `{"l":0,"m":"m","a":[` + attr + `]}` }

func TestDecode_readsWhatOthersWrite(t *testing.T) {
	for line, want := range map[string]string{
		`{"l":0,"m":"m"}`: `{"level":"INFO","msg":"m"}`,
		" {\t\"m\" : \"m\" ,\n \"l\" : 4 , \"a\" : [ ] , \"s\" : 7 } \r\n":            `{"level":"WARN","msg":"m"}`,
		`{"a":[{"v":1,"t":"i","k":"x"}],"m":"","l":-4}`:                               `{"level":"DEBUG","msg":"","x":1}`,
		with(`{"v":[{"v":"a\"]}b","k":"s","t":"s"}],"t":"g","k":"g"}`):                `{"level":"INFO","msg":"m","g":{"s":"a\"]}b"}}`,
		with(`{"v" : -1.5e3 ,"t":"f","k":"x"}`):                                       `{"level":"INFO","msg":"m","x":-1500}`,
		with(`{"k":"x","t":"n"}`):                                                     `{"level":"INFO","msg":"m","x":null}`,
		with(`{"k":"x","t":"i","v":"7"},{"k":"y","t":"u","v":18446744073709551615}`):  `{"level":"INFO","msg":"m","x":7,"y":18446744073709551615}`,
		with(`{"k":"x","t":"j","v":[ [ 1 , {"a":2} ] ,"x"]}`):                         `{"level":"INFO","msg":"m","x":[1,{"a":2}]}`,
		with(`{"k":"x","t":"y","v":""},{"k":"y","t":"y","v":null}`):                   `{"level":"INFO","msg":"m","x":"","y":null}`,
		`{"l":0,"m":"\u0041\ud83d\ude42\ud83d\/\ude42\b\f\n\r\t\"\\\uD83d\u0041"}`:    `{"level":"INFO","msg":"A🙂�/�\u0008\u000c\n\r\t\"\\�A"}`,
		"{\"l\":0,\"m\":\"\xff\\n\xe2\x80\"}":                                         `{"level":"INFO","msg":"�\n�"}`,
		`{"l":0,"m":"m","n":"a.b","a":[{"k":"x","t":"i","v":1}]}`:                     `{"level":"INFO","msg":"m","logger":"a.b","x":1}`,
		`{"l":0,"m":"m","n":"a.b","a":[{"k":"logger","t":"s","v":"c"}]}`:              `{"level":"INFO","msg":"m","logger":"c"}`,
		`{"l":0,"m":"m","src":{"l":7}}`:                                               `{"level":"INFO","msg":"m","source":{"line":7}}`,
		`{"l":0,"m":"m","src":{}}`:                                                    `{"level":"INFO","msg":"m"}`,
		`{"l":0,"m":"m","a":[{"k":"x","t":"i","v":1}],"a":[{"k":"y","t":"i","v":2}]}`: `{"level":"INFO","msg":"m","y":2}`,
	} {
		r, _, err := wire.Decode([]byte(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if got := asJSON(t, r); got != want {
			t.Errorf("%s decoded to\n%s\nwant\n%s", line, got, want)
		}
	}
}

func TestDecode_readsTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-01-02T12:00:00Z":                 noon.Truncate(time.Second),
		"2026-01-02T12:00:00.123456789Z":       noon,
		"2026-01-02T12:00:00.1Z":               noon.Truncate(time.Second).Add(100 * time.Millisecond),
		"2026-01-02T17:45:00+05:45":            noon.Truncate(time.Second),
		"2026-01-02T11:30:00-00:30":            noon.Truncate(time.Second),
		"2024-02-29T23:59:59+00:00":            time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		"12345-01-01T00:00:00Z":                time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC),
		"-0012-01-01T00:00:00Z":                time.Date(-12, 1, 1, 0, 0, 0, 0, time.UTC),
		"":                                     {},
		"noon":                                 {},
		"2026-01-02":                           {},
		"2026-01-02T12:00:00":                  {},
		"2026-01-02 12:00:00Z":                 {},
		"2026-13-02T12:00:00Z":                 {},
		"2026-02-30T12:00:00Z":                 {},
		"2026-01-00T12:00:00Z":                 {},
		"2026-01-02T24:00:00Z":                 {},
		"2026-01-02T12:60:00Z":                 {},
		"2026-01-02T12:00:60Z":                 {},
		"2026-01-02T12:00:00.Z":                {},
		"2026-01-02T12:00:00.1234567891Z":      {},
		"2026-01-02T12:00:00+0100":             {},
		"2026-01-02T12:00:00+24:00":            {},
		"2026-01-02T12:00:00*01:00":            {},
		"2026-01-02T12:00:00+0a:00":            {},
		"2026-01-02T12:00:00z":                 {},
		"226-01-02T12:00:00.00Z":               {},
		"99999999999999999999-01-02T12:00:00Z": {},
		"2026-01-02T12:00:00ZZ":                {},
	} {
		r, _, err := wire.Decode([]byte(`{"l":0,"m":"","t":"` + text + `"}`))
		if (err != nil) != want.IsZero() || !r.Time.Equal(want) {
			t.Errorf("%s is %v, %v, want %v", text, r.Time, err, want)
		}
	}
}

func TestDecode_findsTheLocalZone(t *testing.T) {
	before := time.Local
	time.Local = time.FixedZone("here", 5400)
	defer func() { time.Local = before }()
	for text, want := range map[string]string{"2026-01-02T13:30:00+01:30": "here", "2026-01-02T13:00:00+01:00": "", "2026-01-02T12:00:00Z": "UTC"} {
		r, _, err := wire.Decode([]byte(`{"l":0,"m":"","t":"` + text + `"}`))
		if zone, _ := r.Time.Zone(); err != nil || zone != want || !r.Time.Equal(noon.Truncate(time.Second)) {
			t.Errorf("%s is %v, %v", text, r.Time, err)
		}
	}
}

func TestDecode_saysWhereItIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		``:                                   "offset 0: want '{'",
		`[]`:                                 "offset 0: want '{'",
		`{}`:                                 "offset 2: a record has l and m",
		`{"l":0}`:                            "offset 7: a record has l and m",
		`{"m":""}`:                           "offset 8: a record has l and m",
		`{"l":0,"m":""`:                      "offset 13: want ',' or '}'",
		`{"l":0,"m":""}}`:                    "offset 14: something follows the record",
		`{"l":0,"m":""} {`:                   "offset 15: something follows the record",
		`{"l":0 "m":""}`:                     "offset 7: want ',' or '}'",
		`{"l":0,"m":"",}`:                    `offset 14: want '"'`,
		`{"l":0,"m":"`:                       "offset 12: the line ends in a string",
		`{"l":0,"m":"\`:                      "offset 13: the line ends in a string",
		`{"l":0,"m":"\n`:                     "offset 14: the line ends in a string",
		`{"l":0,"m":"\x"}`:                   "offset 12: not an escape",
		`{"l":0,"m":"\u12g4"}`:               "offset 12: not an escape",
		"{\"l\":0,\"m\":\"a\nb\"}":           "offset 13: a control character in a string",
		"{\"l\":0,\"m\":\"\\n\nb\"}":         "offset 14: a control character in a string",
		`{"l":0,"m":7}`:                      `offset 11: want '"'`,
		`{"l":true,"m":""}`:                  "offset 5: want an integer of 64 bits",
		`{"l":1.5,"m":""}`:                   "offset 5: want an integer of 64 bits",
		`{"l":"x","m":""}`:                   "offset 5: want an integer of 64 bits",
		`{"l":9223372036854775808,"m":""}`:   "offset 5: want an integer of 64 bits",
		`{"l":0,"m":"","q":-1}`:              "offset 18: want an unsigned integer of 64 bits",
		`{"l":0,"m":"","t":"noon"}`:          "offset 18: want a time as in RFC 3339",
		`{"l":0,"m":"","z":1}`:               `offset 14: unknown key "z"`,
		`{"l":0,"m":"","src":{"x":1}}`:       `offset 21: unknown key "x" in a source`,
		`{"l":0,"m":"","a":{}}`:              "offset 18: want '['",
		with(`7`):                            "offset 20: want '{'",
		with(`{}`):                           "offset 20: an attribute without kind",
		with(`{"k":"","v":1}`):               "offset 20: an attribute without kind",
		with(`{"k":"","t":"i"}`):             "offset 20: an attribute without value",
		with(`{"x":"","t":"i"}`):             `offset 21: unknown key "x" in an attribute`,
		with(`{"k":"","t":"z","v":1}`):       `offset 40: unknown kind "z"`,
		with(`{"k":"","t":"zz","v":1}`):      `offset 28: unknown kind "zz"`,
		with(`{"k":"","v":1 2,"t":"i"}`):     "offset 34: want ',' or '}'",
		with(`{"k":"","v":,"t":"i"}`):        "offset 32: want an integer of 64 bits",
		with(`{"k":"","t":"s","v":1}`):       `offset 40: want '"'`,
		with(`{"k":"","t":"b","v":1}`):       "offset 40: want true or false",
		with(`{"k":"","t":"n","v":1}`):       "offset 40: want null",
		with(`{"k":"","t":"f","v":"1"}`):     "offset 40: want a number",
		with(`{"k":"","t":"f","v":1e999}`):   "offset 40: want a number",
		with(`{"k":"","t":"f","v":NaN}`):     "offset 40: want a number",
		with(`{"k":"","t":"y","v":"*"}`):     "offset 40: not base64",
		with(`{"k":"","t":"e","v":["a"]}`):   "offset 45: an error has 2 or 3 parts, not 1",
		with(`{"k":"","t":"e","v":"a"}`):     "offset 40: want '['",
		with(`{"k":"","t":"j","v":[1]}`):     "offset 43: a value of kind j has 2 or 3 parts, not 1",
		with(`{"k":"","t":"j","v":[1x,""]}`): "offset 41: not JSON",
		with(`{"k":"","t":"j","v":[,""]}`):   "offset 41: not JSON",
		with(`{"k":"","t":"j","v":[1,"x","json.RawMessage"]}`):                         `offset 41: not a "json.RawMessage"`,
		with(`{"k":"","t":"j","v":[1,"x","*slog.Source"]}`):                            `offset 41: not a "*slog.Source"`,
		with(`{"k":"","t":"j","v":[1,"x","int"]}`):                                     `offset 41: not a "int"`,
		with(strings.Repeat(`{"k":"","t":"g","v":[`, 101) + strings.Repeat("]}", 101)): "offset 2140: a group in 100 others",
		with(strings.Repeat(`{"k":"","t":"n"},`, 4096) + `{"k":"","t":"n"}`):           "offset 69652: more than 4096 attributes",
	} {
		r, o, err := wire.Decode([]byte(line))
		if err == nil || err.Error() != "wire: "+want {
			t.Errorf("%.60s: %v, want %s", line, err, want)
		}
		if r.NumAttrs() > 0 || r.Message != "" || o != (wire.Origin{}) {
			t.Errorf("%.60s: %v from %v with an error", line, r, o)
		}
	}
	if _, _, err := wire.Decode(make([]byte, wire.MaxLine)); err == nil || err.Error() != "wire: a line of 16777216 bytes, must be less than 16777216" {
		t.Errorf("a line that is too long: %v", err)
	}
}

func TestDecode_refusesEveryBeginningOfALine(t *testing.T) {
	r := newRecord(slog.String("s", awkward), slog.Any("err", stackError{"no"}), slog.Group("g", "x", 1.5, "j", []int{1}), slog.Any("y", []byte("abc")))
	line := wire.AppendRecord(nil, r, wire.Origin{Host: "web1", Seq: 7}, 0)
	for n := range line {
		if _, _, err := wire.Decode(line[:n]); err == nil {
			t.Errorf("no error for the first %d bytes of %s", n, line)
		}
	}
}

func TestDecode_sharesNoMemoryWithTheLine(t *testing.T) {
	line := wire.AppendRecord(nil, newRecord(slog.String("s", "value"), slog.Any("j", []string{"list"}), slog.Any("y", []byte("bytes"))), wire.Origin{Host: "web1"}, 0)
	r, o, err := wire.Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	want := printedBy(r)
	clear(line)
	if got := printedBy(r); got != want || o.Host != "web1" {
		t.Errorf("%s became %s", want, got)
	}
}

func TestDecode_takesMemoryInProportion(t *testing.T) {
	const size = 1 << 20
	fill := func(begin, repeated, end string) []byte {
		return []byte(begin + strings.Repeat(repeated, (size-len(begin)-len(end))/len(repeated)) + end)
	}
	list := func(attr string) []byte { return fill(`{"l":0,"m":"","a":[`, attr+`,`, attr+`]}`) }
	for name, line := range map[string][]byte{
		"attributes": list(`{"k":"","t":"n"}`),
		"errors":     list(`{"k":"","t":"e","v":["",""]}`),
		"values":     list(`{"k":"","t":"j","v":[0,""]}`),
		"times":      list(`{"k":"","t":"t","v":"2026-01-02T12:00:00+01:23"}`),
		"groups":     list(`{"k":"","t":"g","v":[{"k":"","t":"g","v":[]}]}`),
		"depth":      fill("", `{"l":0,"m":"","a":[{"v":[`, ""),
		"lists":      fill(`{"l":0,"m":"","a":[{"k":"","t":"j","v":[`, "[", ""),
		"a list":     fill(`{"l":0,"m":"","a":[{"k":"","t":"j","v":[[`, "1,", `1],""]}]}`),
		"a string":   fill(`{"l":0,"m":"`, "a", `"}`),
		"escapes":    fill(`{"l":0,"m":"`, `\n`, `"}`),
		"no UTF-8":   fill(`{"l":0,"m":"`, "\xff", `"}`),
		"bytes":      fill(`{"l":0,"m":"","a":[{"k":"","t":"y","v":"`, "aaaa", `"}]}`),
		"args":       fill(`{"levelno":20,"msg":"%s","args":[`, "1,", `1]}`),
		"width":      []byte(`{"levelno":20,"msg":"` + strings.Repeat("%*d", 10000) + `","args":[` + strings.Repeat("1000,", 19999) + `1]}`),
		"objects":    fill(`{"msg":"",`, `"":{"":1},`, `"":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			r, _, decodeErr := wire.Decode(line)
			foreign, _, readErr := wire.ReadJSON(line)
			runtime.GC()
			runtime.ReadMemStats(&after)
			t.Logf("%v, %v", decodeErr, readErr)
			held := int(after.HeapAlloc) - int(before.HeapAlloc)
			if limit := 2 * (3*len(line) + 1<<19); held > limit {
				t.Errorf("holds %d bytes for a line of %d", held, len(line))
			}
			if limit := 2 * (16*len(line) + 1<<20); after.TotalAlloc-before.TotalAlloc > uint64(limit) {
				t.Errorf("allocated %d bytes for a line of %d", after.TotalAlloc-before.TotalAlloc, len(line))
			}
			runtime.KeepAlive(r)
			runtime.KeepAlive(foreign)
		})
	}
}

func TestDecode_allocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what pools hold")
	}
	line := wire.AppendRecord(nil, scalarRecord(), wire.Origin{Host: "web1"}, 0)
	if n := testing.AllocsPerRun(100, func() { wire.Decode(line) }); n > 1 {
		t.Errorf("%v allocations, want the copy of the line", n)
	}
}

func TestAppendRecord_cutsWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("é\n", 100_000)
	huge := slog.NewRecord(noon, slog.LevelInfo, long, 0)
	huge.AddAttrs(slog.String("logger", long), slog.Any(slog.SourceKey, &slog.Source{Function: long, File: long, Line: math.MaxInt}))
	var many []slog.Attr
	for i := range 20_000 {
		many = append(many, slog.Int("i", i))
	}
	called := newRecord(slog.String("long", long))
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	called.PC = pcs[0]
	for name, r := range map[string]slog.Record{
		"a message":            slog.NewRecord(noon, slog.LevelInfo, long, 0),
		"a value":              newRecord(slog.Int("before", 1), slog.String("long", long), slog.Int("after", 2)),
		"a key":                newRecord(slog.Int(long, 1)),
		"several values":       newRecord(slog.String("a", long), slog.String("b", long), slog.String("c", long)),
		"a long JSON":          newRecord(slog.Any("j", []string{long})),
		"a json.RawMessage":    newRecord(slog.Any("j", rawString(long))),
		"an error":             newRecord(slog.Any("err", stackError{long})),
		"bytes":                newRecord(slog.Any("y", []byte(long))),
		"a value in a group":   newRecord(slog.Group("g", "before", 1, "long", long)),
		"many attributes":      newRecord(many...),
		"a call's source":      called,
		"a group of many":      newRecord(slog.Int("before", 1), slog.Attr{Key: "g", Value: slog.GroupValue(many...)}, slog.Int("after", 1)),
		"all but the kind":     huge,
		"control characters":   slog.NewRecord(noon, slog.LevelInfo, strings.Repeat("\x00", 20_000), 0),
		"many before a source": newRecord(append(many[:9000:9000], slog.Any(slog.SourceKey, &slog.Source{Line: 7}))...),
	} {
		t.Run(name, func(t *testing.T) {
			origin := wire.Origin{Host: long, Process: long, PID: math.MaxInt, Seq: math.MaxUint64, Boot: long}
			if !strings.Contains(name, "all") {
				origin = wire.Origin{Host: "web1"}
			}
			full := len(wire.AppendRecord(nil, r, origin, wire.MaxLine))
			for _, maxBytes := range []int{1, 1 << 10, 5000, 0, 1 << 17} {
				line := wire.AppendRecord([]byte("before"), r, origin, maxBytes)[len("before"):]
				limit := maxBytes
				switch maxBytes {
				case 0:
					limit = wire.DefaultMax
				case 1:
					limit = 1 << 10
				}
				if len(line) > limit {
					t.Errorf("%d bytes, at most %d asked for", len(line), limit)
				}
				got, _, err := wire.Decode(line)
				if err != nil {
					t.Fatalf("%v in %s", err, line)
				}
				view := slogworks.NewView(got)
				size, ok := view.Attr("!truncated")
				isCut := full > limit || strings.Contains(name, "many")
				if ok != isCut || ok && !strings.Contains(name, "many") && size.Int64() != int64(full) {
					t.Errorf("marked with %v, %v; full length %d, limit %d", size, ok, full, limit)
				}
				if strings.HasSuffix(name, " source") && view.Source() == nil {
					t.Error("the source was left out")
				}
				if strings.Contains(string(line), "\ufffd") {
					t.Errorf("cut within a character")
				}
			}
		})
	}

	t.Run("and keeps what is short", func(t *testing.T) {
		r := newRecord(slog.Int("before", 1), slog.String("long", long), slog.Any("list", []string{long}), slog.Any("bytes", []byte(long)), slog.String("after", strings.Repeat("a", 500)))
		got, _, err := wire.Decode(wire.AppendRecord(nil, r, wire.Origin{}, 4096))
		if err != nil {
			t.Fatal(err)
		}
		view := slogworks.NewView(got)
		for key, want := range map[string]string{"before": "1", "bytes": "!truncated", "after": strings.Repeat("a", 500)} {
			if value, _ := view.Attr(key); value.String() != want {
				t.Errorf("%s is %s", key, value)
			}
		}
		value, _ := view.Attr("long")
		if s := value.String(); !strings.HasPrefix(s, "é\né\n") || !strings.HasSuffix(s, "!truncated") || len(s) < 300 {
			t.Errorf("long is %q", s)
		}
		if got := asJSON(t, got); !strings.Contains(got, `"list":"!truncated"`) {
			t.Errorf("replayed as %s", got)
		}
	})
	t.Run("and says so of groups that are too deep", func(t *testing.T) {
		v := slog.IntValue(1)
		for range 101 {
			v = slog.GroupValue(slog.Attr{Key: "g", Value: v})
		}
		got, _, err := wire.Decode(wire.AppendRecord(nil, newRecord(slog.Attr{Key: "g", Value: v}), wire.Origin{}, 0))
		if err != nil || !strings.Contains(asJSON(t, got), `{"g":"!truncated"}`) {
			t.Errorf("%v: %s", err, asJSON(t, got))
		}
	})
}

func rawString(s string) json.RawMessage {
	doc, _ := json.Marshal(s)
	return doc
}

// checkEqual checks that a record that was decoded is written and decoded again
// as the same.
func checkEqual(t *testing.T, r slog.Record, o wire.Origin) {
	t.Helper()
	line := wire.AppendRecord(nil, r, o, wire.MaxLine)
	again, from, err := wire.Decode(line)
	if err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if from != o || printedBy(again) != printedBy(r) {
		t.Errorf("%s\nbecame\n%s", printedBy(r), printedBy(again))
	}
	if second := wire.AppendRecord(nil, again, from, wire.MaxLine); !bytes.Equal(second, line) {
		t.Errorf("%s\nbecame\n%s", line, second)
	}
}

func FuzzDecode(f *testing.F) {
	for _, x := range values {
		f.Add(wire.AppendRecord(nil, newRecord(slog.String("logger", "a.b"), slog.Any("k", x)), wire.Origin{Host: "web1", Seq: 1}, 0))
	}
	f.Add([]byte(with(`{"v":[{"v":1,"k":"x","t":"i"}],"t":"g","k":"\ud83d\ude42"}`)))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > 10_000 {
			t.Skip("the line might be cut")
		}
		r, o, err := wire.Decode(line)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "wire: offset ") {
				t.Errorf("error %q", err)
			}
			return
		}
		checkEqual(t, r, o)
	})
}

func FuzzAppendRecord(f *testing.F) {
	f.Add("message", "key", awkward, int64(7), 1.5, []byte("bytes"), 0)
	f.Add("\xff", "", "\xe2\x80", int64(math.MinInt64), math.NaN(), []byte(nil), 1)
	f.Fuzz(func(t *testing.T, message, key, text string, n int64, x float64, b []byte, maxBytes int) {
		if len(message)+len(key)+len(text)+len(b) > 10_000 {
			t.Skip("the line might be cut")
		}
		err := fmt.Errorf("%s: %w", message, stackError{text})
		r := slog.NewRecord(time.Unix(n>>20, n&0xffff), slog.Level(n>>32), message, 0)
		r.AddAttrs(slog.String(key, text), slog.Int64(key, n), slog.Uint64(key, uint64(n)), slog.Float64(key, x), slog.Duration(key, time.Duration(n)),
			slog.Any(key, b), slog.Any(text, err), slog.Group(key, text, []any{message, b, n}, "nil", nil), slog.Any(key, map[string]string{key: text}))
		line := wire.AppendRecord(nil, r, wire.Origin{Host: key, Process: text, PID: int(n), Seq: uint64(n), Boot: message}, maxBytes)
		if limit := max(maxBytes, 1024); maxBytes > 0 && len(line) > limit {
			t.Errorf("%d bytes, at most %d asked for", len(line), limit)
		}
		got, o, decodeErr := wire.Decode(line)
		if decodeErr != nil {
			t.Fatalf("%v in %s", decodeErr, line)
		}
		checkEqual(t, got, o)
		if _, isCut := slogworks.NewView(got).Attr("!truncated"); !isCut && utf8.ValidString(message+"|"+key+"|"+text) && printedBy(got) != printedBy(r) {
			t.Errorf("%s\nbecame\n%s", printedBy(r), printedBy(got))
		}
	})
}
