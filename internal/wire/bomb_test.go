package wire_test

import (
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
