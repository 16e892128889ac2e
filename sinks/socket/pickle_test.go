package socket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/sinks/socket"
)

const maxFrame = 1 << 20

// fromPython are the records that testdata/pickles.py writes.
var fromPython = map[string]string{
	"plain": `{"time":"2026-01-02T03:04:05.123456Z","level":"WARN","msg":"slow: SELECT 1 took 1500 ms","logger":"shop.db","process":"MainProcess","pid":4711,"thread":"worker-1",` +
		`"uid":7,"big":1180591620717411303424,"negative":-1180591620717411303424,"huge":18446744073709551615,"ratio":0.25,"nan":"NaN","up":"+Inf","down":"-Inf",` +
		`"ok":true,"off":false,"nothing":null,"text":"naïve ☃ 😀\n","surrogate":"` + "\ufffd" + `x","items":[1,2.5,"a",null,true,[1180591620717411303424]],"pair":[1,"b"],"empty":[],"void":{},` +
		`"group":{"a":1,"inner":{"b":[1,2]}},"keys":{"1":"i","None":"n"},` +
		`"extra.time":"t","extra.level":"l","msg_":"m","extra.source":"s","extra.logger":"g","extra.host":"h","extra.pid":1,"extra.peer":"p",` +
		`"source":{"function":"query","file":"/srv/shop/db.py","line":42}}`,
	"objects": `{"time":"2026-01-02T03:04:05.123456Z","level":"WARN","msg":"slow: SELECT 1 took 1500 ms","logger":"shop.db","process":"MainProcess","pid":4711,"thread":"worker-1",` +
		`"when":"!refused datetime.datetime","path":"!refused pathlib.PurePosixPath","raw":"!refused builtins.bytes","nobytes":"!refused builtins.bytes","array":"!refused builtins.bytearray",` +
		`"names":"!refused builtins.set","frozen":"!refused builtins.frozenset","own":"!refused __main__.Own","slots":"!refused __main__.Slots","price":"!refused decimal.Decimal",` +
		`"cls":"!refused __main__.Own","ordered":"!refused collections.OrderedDict","inside":[1,"!refused __main__.Own",{"k":"!refused builtins.set"}],"group":{"o":"!refused __main__.Own"},` +
		`"source":{"function":"query","file":"/srv/shop/db.py","line":42}}`,
	"cycle": `{"time":"2026-01-02T03:04:05.123456Z","level":"WARN","msg":"slow: SELECT 1 took 1500 ms","logger":"shop.db","process":"MainProcess","pid":4711,"thread":"worker-1",` +
		`"cycle":[1,"!cycle"],"mapping":{"self":"!cycle"},"twice":[["x"],["x"]],"source":{"function":"query","file":"/srv/shop/db.py","line":42}}`,
}

func TestPickle_readsEveryProtocol(t *testing.T) {
	objects := map[string]uint64{"objects": 15}
	for name, want := range fromPython {
		for protocol := range 6 {
			t.Run(fmt.Sprintf("%s, protocol %d", name, protocol), func(t *testing.T) {
				frame := pickleFile(t, fmt.Sprint(name, protocol))
				r, n, refusal := socket.DecodePickle([]byte(frame), maxFrame)
				if refusal != nil {
					t.Fatal(refusal)
				}
				if got := asUTC(r); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if n != objects[name] {
					t.Errorf("%d objects, want %d", n, objects[name])
				}
			})
		}
	}
}

// asUTC prints r so that it does not depend on the zone of the machine.
func asUTC(r slog.Record) string {
	r.Time = r.Time.UTC()
	return asJSON(r)
}

// levelno is a dict that is a record, without its last opcode.
const levelno = "}(X\x07\x00\x00\x00levelnoK\x14"

// with returns a pickle of a record with one attribute more.
func with(value string) []byte { return []byte(levelno + "X\x01\x00\x00\x00x" + value + "u.") }

func TestPickle_readsOldForms(t *testing.T) {
	for value, want := range map[string]string{
		"I01\n":                              `true`,
		"I00\n":                              `false`,
		"I-7\n":                              `-7`,
		"L123456789012345678901234567L\n":    `123456789012345678901234567`,
		"F1e3\n":                             `1000`,
		"Fnan\n":                             `"NaN"`,
		"G\x7f\xf0\x00\x00\x00\x00\x00\x00":  `"+Inf"`,
		`S'a\n\x41\'"\\'` + "\n":             `"a\nA'\"\\"`,
		`S"it's"` + "\n":                     `"it's"`,
		`V\u2603\U0001f600\u000a` + "\xe9\n": `"☃😀\né"`,
		"U\x03abc":                           `"abc"`,
		"T\x03\x00\x00\x00a\xffc":            `"a` + "\ufffd" + `c"`,
		"\x8a\x00":                           `0`,
		"\x8a\x01\xff":                       `-1`,
		"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00": `18446744073709551615`,
		"\x8b\x01\x00\x00\x00\x80":                     `-128`,
		"J\xff\xff\xff\xff":                            `-1`,
		"M\xff\xff":                                    `65535`,
		"(I1\nI2\nt":                                   `[1,2]`,
		"(I1\nl":                                       `[1]`,
		"(lI1\na":                                      `[1]`,
		"(dI1\nI2\ns":                                  `{"1":2}`,
		"(I1\nI2\nd":                                   `{"1":2}`,
		"}(K\x01K\x01\x86K\x02u":                       `{"[1,1]":2}`,
		"N0N":                                          `null`,
		"(I1\n1N":                                      `null`,
		"(0N":                                          `null`,
		"(K\x012t":                                     `[1,1]`,
		"Pfile-7\n":                                    `"!refused persistent id"`,
		"K\x07Q":                                       `"!refused persistent id"`,
		"\x82\x07":                                     `"!refused extension"`,
		"\x84\x07\x00\x00\x00":                         `"!refused extension"`,
		"\x97\x98":                                     `"!refused buffer"`,
		"(imodule\nClass\n":                            `"!refused module.Class"`,
		"(cmodule\nClass\nK\x01o":                      `"!refused module.Class"`,
		"cmodule\nClass\n)}\x92":                       `"!refused module.Class"`,
		"ccopy_reg\n_reconstructor\n(cown\nC\nc__builtin__\nobject\nNtR}b": `"!refused own.C"`,
		"ccopy_reg\n__newobj__\n(cown\nC\ntR":                              `"!refused own.C"`,
		"\x8f(K\x01\x90":                                                   `"!refused builtins.set"`,
		"cposix\nsystem\n(X\x02\x00\x00\x00idtR":                           `"!refused posix.system"`,
	} {
		r, _, refusal := socket.DecodePickle(with(value), maxFrame)
		if refusal != nil {
			t.Errorf("%q: %v", value, refusal)
			continue
		}
		if got, wanted := asJSON(r), `{"level":"INFO","msg":"None","x":`+want+`}`; got != wanted {
			t.Errorf("%q is %s, want %s", value, got, wanted)
		}
	}
}

func TestPickle_refuses(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("]", n) + strings.Repeat("a", n-1) }
	// Each list has the one before it ten times.
	bomb := "X\x0a\x00\x00\x000123456789q\x00"
	for i := range 9 {
		bomb += "0(" + strings.Repeat(fmt.Sprintf("h%c", i), 10) + fmt.Sprintf("lq%c", i+1)
	}
	for name, test := range map[string]struct {
		pickle []byte
		reason string
	}{
		"nothing":                       {nil, "bad-pickle"},
		"no end":                        {[]byte(levelno), "bad-pickle"},
		"an end too early":              {[]byte("."), "bad-pickle"},
		"something behind the end":      {append(with("N"), 'x'), "bad-pickle"},
		"an unknown opcode":             {with("\xff"), "bad-pickle"},
		"protocol 6":                    {[]byte("\x80\x06}."), "bad-pickle"},
		"a string longer than the rest": {with("X\xff\xff\xff\x7fabc"), "bad-pickle"},
		"a string of 2^64 bytes":        {with("\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc"), "bad-pickle"},
		"a line without end":            {[]byte("I12"), "bad-pickle"},
		"no number":                     {with("Iabc\n"), "bad-pickle"},
		"no float":                      {with("Fabc\n"), "bad-pickle"},
		"no string":                     {with("Sabc\n"), "bad-pickle"},
		"a bad escape":                  {with(`S'\xzz'` + "\n"), "bad-pickle"},
		"a pop below a mark":            {with("(R"), "bad-pickle"},
		"a mark that is not there":      {[]byte("u."), "bad-pickle"},
		"an odd dict":                   {with("(K\x01d"), "bad-pickle"},
		"an item for a number":          {with("K\x01K\x02a"), "bad-pickle"},
		"a call of a number":            {with("K\x01)R"), "bad-pickle"},
		"an object of nothing":          {with("(o"), "bad-pickle"},
		"a memo that is not there":      {with("h\x07"), "bad-pickle"},
		"a memo far away":               {with("Nr\xff\xff\xff\x7f"), "bad-pickle"},
		"a memo between":                {with("Nq\x050h\x03"), "bad-pickle"},
		"a list":                        {[]byte("]."), "not-a-record"},
		"an object":                     {[]byte("cos\nsystem\n(tR."), "not-a-record"},
		"a dict without levelno":        {[]byte("}X\x01\x00\x00\x00xNs."), "not-a-record"},
		"a levelno that is no number":   {[]byte("}X\x07\x00\x00\x00levelnoNs."), "not-a-record"},
		"33 lists":                      {with(nested(33)), "too-deep"},
		"60,000 lists":                  {with(nested(60_000)), "too-deep"},
		"33 dicts":                      {with(strings.Repeat("}X\x01\x00\x00\x00k", 33) + "N" + strings.Repeat("s", 33)), "too-deep"},
		"70,000 values":                 {with("(" + strings.Repeat("N", 70_000) + "t"), "too-many-values"},
		"a bomb of lists":               {with(bomb), "record-too-long"},
		"a bomb of keys":                {with("}(" + bomb + "Nu"), "record-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, refusal := socket.DecodePickle(test.pickle, maxFrame)
			if refusal == nil || refusal.Reason != test.reason {
				t.Errorf("got %v, want %s", refusal, test.reason)
			}
		})
	}
	t.Run("but not 32 lists", func(t *testing.T) {
		if _, _, refusal := socket.DecodePickle(with(nested(32)), maxFrame); refusal != nil {
			t.Error(refusal)
		}
	})
	t.Run("but not an integer that would take long to print", func(t *testing.T) {
		r, n, refusal := socket.DecodePickle(with("\x8b\x00\x00\x08\x00"+strings.Repeat("\x7f", 1<<19)), maxFrame)
		if refusal != nil || n != 1 || !strings.Contains(asJSON(r), `"!refused builtins.int"`) {
			t.Errorf("got %d objects, %v", n, refusal)
		}
	})
}

// A frame of a megabyte costs no more than a few of it.
func TestPickle_boundsItsMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, frame := range map[string][]byte{
		"values":  bytes.Repeat([]byte("N"), maxFrame),
		"lists":   bytes.Repeat([]byte("]"), maxFrame),
		"marks":   bytes.Repeat([]byte("("), maxFrame),
		"memos":   append([]byte("Nr\x00\x00\x01\x00"), bytes.Repeat([]byte("0N"), maxFrame/2)...),
		"appends": append([]byte("]q\x00"), bytes.Repeat([]byte("h\x00a"), maxFrame/3)...),
	} {
		t.Run(name, func(t *testing.T) {
			least := uint64(math.MaxUint64) // others may allocate meanwhile
			for range 5 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, _, refusal := socket.DecodePickle(frame, maxFrame)
				runtime.ReadMemStats(&after)
				if refusal == nil {
					t.Error("not refused")
				}
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			if least > 24<<20 {
				t.Errorf("took %d bytes", least)
			}
		})
	}
}

func FuzzPickle(f *testing.F) {
	files, err := os.ReadDir("testdata/pickles")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add([]byte(pickleFile(f, file.Name())))
	}
	f.Add(with("cposix\nsystem\n(X\x02\x00\x00\x00idtR"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		const limit = 1 << 16
		r, objects, refusal := socket.DecodePickle(frame, limit)
		if refusal != nil {
			if refusal.Reason == "" || len(refusal.Detail) > 1000 {
				t.Errorf("refused for %q: %d bytes of detail", refusal.Reason, len(refusal.Detail))
			}
			return
		}
		short, refusal, isShort := socket.DecodeShort(frame)
		if isShort && frame[0] != '{' && (refusal != nil || asJSON(short) != asJSON(r)) {
			t.Errorf("as a short frame it is %s, %v, want %s", asJSON(short), refusal, asJSON(r))
		}
		var line bytes.Buffer
		if err := errors.Join(
			slog.NewJSONHandler(&line, nil).Handle(context.Background(), r),
			slog.NewTextHandler(new(bytes.Buffer), nil).Handle(context.Background(), r),
		); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(line.Bytes()) {
			t.Errorf("not JSON: %s", line.Bytes())
		}
		if bytes.Contains(line.Bytes(), []byte("!ERROR")) && !bytes.Contains(frame, []byte("!ERROR")) {
			t.Errorf("a value failed: %s", line.Bytes())
		}
		if n := bytes.Count(line.Bytes(), []byte("!refused ")); objects == 0 && n > bytes.Count(frame, []byte("!refused ")) && len(frame) < 100 {
			t.Errorf("%d marks, and none counted", n)
		}
	})
}
