package wire_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// TestReadJSON_putsArgsIntoTheMessage has what CPython 3.11 makes of each.
func TestReadJSON_putsArgsIntoTheMessage(t *testing.T) {
	for _, test := range []struct {
		format, args, want string
		fits               bool
	}{
		{"%d items", `[3]`, "3 items", true},
		{"%s=%r", `["a", "it's"]`, "a=\"it's\"", true},
		{"%5d|%-5d|%05d|%+d|% d", `[1, 2, 3, 4, 5]`, "    1|2    |00003|+4| 5", true},
		{"%x %X %#x %o %#o", `[255, 255, 255, 8, 8]`, "ff FF 0xff 10 0o10", true},
		{"%.2f %e %g %G %10.3f|%-10.1f|", `[1.005, 12345.678, 1e-07, 1e+20, 3.14159, 2.5]`, "1.00 1.234568e+04 1e-07 1E+20      3.142|2.5       |", true},
		{"%s %s %s %s", `[null, true, 1.0, 1e+16]`, "None True 1.0 1e+16", true},
		{"%s", `[[1, "a", null, 2.5, {"k": "v"}]]`, "[1, 'a', None, 2.5, {'k': 'v'}]", true},
		{"%(a)s and %(b)d", `{"a": "x", "b": 2}`, "x and 2", true},
		{"%s", `{"a": 1}`, "{'a': 1}", true},
		{"100%%", `[1]`, "", false},
		{"100%", `[]`, "100%", true},
		{"%d%%", `{}`, "%d%%", true},
		{"%d%%", `null`, "%d%%", true},
		{"%d%%", `[5]`, "5%", true},
		{"%c%c", `[65, "b"]`, "Ab", true},
		{"%.3s|%8.2s|", `["abcdef", "xyz"]`, "abc|      xy|", true},
		{"%*d", `[5, 42]`, "   42", true},
		{"%.*f", `[2, 3.14159]`, "3.14", true},
		{"%d", `[1180591620717411303424]`, "1180591620717411303424", true},
		{"%d", `[3.99]`, "3", true},
		{"%d", `[true]`, "1", true},
		{"%r %a", `["\u00e9\n", "\u00e9"]`, "'\u00e9\\n' '\\xe9'", true},
		{"%s", `[NaN]`, "nan", true},
		{"%f %F", `[Infinity, -Infinity]`, "inf -INF", true},
		{"%i %u", `[-7, 7]`, "-7 7", true},
		{"%s %s", `["only"]`, "", false},
		{"%s", `["a", "b"]`, "", false},
		{"%d", `["x"]`, "", false},
		{"%q", `[1]`, "", false},
		{"%", `[1]`, "", false},
		{"%x", `[1.5]`, "", false},
		{"%(a)s", `[1]`, "", false},
		{"%(a", `{"a": 1}`, "", false},
		{"none", `{"a": 1}`, "none", true},
		{"%.0f %.0g %#.0f", `[2.5, 123.0, 2.0]`, "2 1e+02 2.", true},
		{"%-05d|%+.3d", `[42, 7]`, "42   |+007", true},
		{"%s", `[0.30000000000000004]`, "0.30000000000000004", true},
		{"%s", `[1e-05]`, "1e-05", true},
		{"%s", `[1.2345678901234568e+17]`, "1.2345678901234568e+17", true},
		{"%ld", `[4]`, "4", true},
		{"%s", `["\u00e9\ud83d\ude42"]`, "é🙂", true},
		{"%r", `["\"'"]`, "'\"\\''", true},
		{"%r", `["a\u0000\u007f\u200b"]`, "'a\\x00\\x7f\\u200b'", true},
		{"%+s", `["a"]`, "a", true},
		{"%g %g", `[100000, 1000000]`, "100000 1e+06", true},
		{"%-*d|", `[-4, 1]`, "1   |", true},
		{"%+x % o", `[-255, 8]`, "-ff  10", true},
		{"%s %r", `[[Infinity, -Infinity], "\\ \r\t\ud83d\udc69\u200d\u0085"]`, "[inf, -inf] '\\\\ \\r\\t\U0001f469\\u200d\\x85'", true},
		{"%a", `["\u20ac\ud83d\ude42"]`, "'\\u20ac\\U0001f642'", true},
		{"%c", `["ab"]`, "", false},
		{"%c", `[1.5]`, "", false},
		{"%f", `["1.5"]`, "", false},
		{"%*d", `["a", 1]`, "", false},
		{"%e", `[NaN]`, "nan", true},
		{"%s", `[false]`, "False", true},
		{"%r", `["\udb40\udc01"]`, "'\\U000e0001'", true},
		// CPython would do this one.
		{"%9999999999d", `[1]`, "", false},
	} {
		t.Run(test.format+" "+test.args, func(t *testing.T) {
			format, _ := json.Marshal(test.format)
			line := fmt.Sprintf(`{"levelno": 20, "msg": %s, "args": %s}`, format, test.args)
			r, _, err := wire.ReadJSON([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if !test.fits {
				want = test.format
			}
			if r.Message != want {
				t.Errorf("message %q, want %q", r.Message, want)
			}
			if _, has := slogworks.NewView(r).Attr("args"); has == test.fits {
				t.Errorf("args is an attribute: %v, want %v", has, !test.fits)
			}
		})
	}
}
