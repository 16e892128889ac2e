package notify_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slogworks/slogworks/notify"
)

// Whatever a template is and whatever is inserted, literal text comes out as it
// was, and what was inserted is not looked at again.
func FuzzCommand_template(f *testing.F) {
	for _, text := range []string{"", "{title}", "{{", "}}{", "a{body}b", "{attr:{}", "{attr:a.b}}}", "--x={level}{count}{time}{json}{urgency}"} {
		f.Add(text, "{title}")
	}
	double := strings.NewReplacer("{", "{{", "}", "}}")
	f.Fuzz(func(t *testing.T, text, title string) {
		m := &notify.Message{Title: title}
		if got, err := notify.Expand(text, m); err == nil && utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is not valid UTF-8", text, got)
		}
		got, err := notify.Expand(double.Replace(text)+"{title}", m)
		want, _ := notify.Expand("{title}", m)
		if err != nil || got != text+want {
			t.Errorf("the literal text %q became %q, %v", text, got, err)
		}
	})
}
