package wire_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/internal/wire"
)

// A format may name the same long text as often as it likes.
func TestReadJSON_makesNoLongMessageOfAShortLine(t *testing.T) {
	line := `{"name":"a","levelno":20,"msg":"` + strings.Repeat("%(a)s", 1000) + `","args":{"a":"` + strings.Repeat("x", 60_000) + `"}}`
	r, _, err := wire.ReadJSON([]byte(line))
	if err != nil || len(r.Message) > 2<<20 {
		t.Errorf("a line of %d bytes became a message of %d, %v", len(line), len(r.Message), err)
	}
}

// With a precision of 0 it gets no longer, and still had to be looked at each time.
func TestReadJSON_looksAtArgsSoOftenAndNoMore(t *testing.T) {
	for times, fits := range map[int]bool{10: true, 100: false} {
		line := `{"name":"a","levelno":20,"msg":"` + strings.Repeat("%(a).0r", times) + `","args":{"a":[` + strings.Repeat("1,", 30_000) + `1]}}`
		r, _, err := wire.ReadJSON([]byte(line))
		if err != nil || (r.Message == "") != fits {
			t.Errorf("%d times the same list became a message of %d bytes, %v", times, len(r.Message), err)
		}
	}
}

func TestReadJSON_takesGroupsWithoutAName(t *testing.T) {
	const doc = `{"":{"a":NaN},"b":[{"":1}],"c":{}}`
	var line strings.Builder
	r, _, err := wire.ReadJSON([]byte(`{"msg":"m","":` + doc + `,"g":` + doc + `}`))
	if err == nil {
		err = slog.NewJSONHandler(&line, nil).Handle(t.Context(), r)
	}
	valid := strings.Replace(doc, "NaN", `"NaN"`, 1)
	if want := `{"level":"INFO","msg":"m","":` + valid + `,"g":` + valid + "}\n"; err != nil || line.String() != want {
		t.Errorf("it prints %s, want %s, %v", &line, want, err)
	}
}
