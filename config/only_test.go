package config_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

const several = `
version: 1
handlers:
  direct: {kind: discard}
  front:  {kind: fanout, to: [behind, seen]}
  behind: {kind: queue, to: file, reserve_level: error}
  file:   {kind: file, path: "${SLOGWORKS_ONLY}", level: warn}
  seen:   {kind: memory}
  other:  {kind: redact, to: direct}
root: {level: error, to: [front]}
loggers:
  shop: {to: [other]}
`

func TestDocument_OnlyKeepsTheNamedAndWhatTheyWrap(t *testing.T) {
	path := t.TempDir() + "/only.log"
	t.Setenv("SLOGWORKS_ONLY", path)
	whole, err := config.Parse([]byte(several), &config.Options{File: "pipeline.yaml"})
	must(t, err)
	before := string(whole.JSON())
	os.Unsetenv("SLOGWORKS_ONLY") // what was in it holds
	d, err := whole.Only("behind", "seen")
	must(t, err)
	check(t, "the whole document afterwards", string(whole.JSON()), before)
	again, err := config.Parse(d.JSON(), &config.Options{Env: nil})
	if err == nil || !strings.Contains(err.Error(), "SLOGWORKS_ONLY is not set") {
		t.Errorf("the variable is not shown as it was written: %v %v", again, err)
	}
	p, err := d.Build(t.Context())
	must(t, err)
	check(t, "names", strings.Join(p.Names(), " "), "seen behind file")
	logger := slog.New(p).With("logger", "shop.db")
	logger.Debug("below root's level")
	logger.Info("below the floor of file")
	logger.Warn("arrives")
	must(t, slogworks.Shutdown(context.Background(), p))
	content, err := os.ReadFile(path)
	must(t, err)
	if strings.Count(string(content), "\n") != 1 || !strings.Contains(string(content), "arrives") {
		t.Errorf("the file has %s", content)
	}
	twice, err := d.Only("file")
	must(t, err)
	p, err = twice.Build(context.Background())
	must(t, err)
	check(t, "names of a reduced document reduced", strings.Join(p.Names(), " "), "file")
	must(t, slogworks.Shutdown(context.Background(), p))
}

func TestDocument_OnlyTellsAllThatIsWrongWithTheNames(t *testing.T) {
	t.Setenv("SLOGWORKS_ONLY", "no.log")
	d, err := config.Parse([]byte(several), &config.Options{File: "pipeline.yaml"})
	must(t, err)
	for want, names := range map[string][]string{
		"pipeline.yaml: name the handlers that are to be left":                                                                nil,
		"pipeline.yaml: unknown handler \"sen\" (did you mean \"seen\"?)\npipeline.yaml: unknown handler \"zzzzzzzzzzzzzzz\"": {"sen", "front", "zzzzzzzzzzzzzzz"},
		`pipeline.yaml: the handler "seen" is named a second time`:                                                            {"seen", "file", "seen"},
	} {
		got, err := d.Only(names...)
		var mistakes config.Mistakes
		if got != nil || !errors.As(err, &mistakes) || err.Error() != want {
			t.Errorf("%v: got %v, want %s", names, err, want)
		}
	}
}

func TestPipeline_NamesAreInTheOrderThatRecordsPass(t *testing.T) {
	t.Setenv("SLOGWORKS_ONLY", t.TempDir()+"/names.log")
	d, err := config.Parse([]byte(several), nil)
	must(t, err)
	p, err := d.Build(t.Context())
	must(t, err)
	defer func() { must(t, slogworks.Shutdown(context.Background(), p)) }()
	names := p.Names()
	for _, pair := range [][2]string{{"front", "behind"}, {"front", "seen"}, {"behind", "file"}, {"other", "direct"}} {
		if slices.Index(names, pair[0]) < 0 || slices.Index(names, pair[0]) >= slices.Index(names, pair[1]) {
			t.Errorf("%s stands after %s in %v", pair[0], pair[1], names)
		}
	}
	check(t, "all", len(names), 6)
}
