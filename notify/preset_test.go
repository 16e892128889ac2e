package notify_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/slogworks/slogworks/notify"
)

// played returns the preset with this test program in place of its own.
func played(t *testing.T, preset *notify.Command, m *notify.Message) run {
	t.Helper()
	c := program(t, "report")
	preset.Path, preset.Env = c.Path, append(preset.Env, c.Env...)
	return reportOf(t, preset, m)
}

const (
	strangeTitle = "--help {body} <b>&amp;</b> $(id) \\n"
	strangeBody  = "-x {title} <b>&amp;</b>\n[(<{ \\n"
)

func TestPresets_giveTextToTheirPrograms(t *testing.T) {
	m := messageOf(t, strangeTitle, strangeBody)
	for name, test := range map[string]struct {
		preset *notify.Command
		args   []string
		stdin  string
		env    []string
	}{
		"NotifySend": {
			notify.NotifySend("{title}"),
			[]string{"--app-name={title}", "--urgency=critical", "--", strangeTitle, `-x {title} &lt;b&gt;&amp;amp;&lt;/b&gt;` + "\n" + `[(&lt;{ \\n`},
			"", nil,
		},
		"Wall":   {notify.Wall(), nil, strangeTitle + "\n" + strangeBody + "\n", nil},
		"Logger": {notify.Logger("{body}"), []string{"-t", "{body}", "-p", "user.err"}, strangeTitle + "\n" + strangeBody + "\n", nil},
		"Apprise": {
			notify.Apprise("json://a{title}", "json://b"),
			[]string{"--title=" + strangeTitle, "--input-format=text"},
			strangeBody + "\n", []string{"APPRISE_URLS=json://a{title} json://b"},
		},
		"OSAScript": {
			notify.OSAScript(),
			[]string{"-e", "on run argv", "-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "\u200b" + strangeTitle, "\u200b" + strangeBody},
			"", nil,
		},
		"TerminalNotifier": {notify.TerminalNotifier(), []string{"-title", `\` + strangeTitle}, strangeBody + "\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := played(t, test.preset, m)
			if !slices.Equal(r.Args, test.args) {
				t.Errorf("arguments %q\nwant %q", r.Args, test.args)
			}
			if r.Stdin != test.stdin {
				t.Errorf("stdin %q, want %q", r.Stdin, test.stdin)
			}
			for _, variable := range test.env {
				if !slices.Contains(r.Env, variable) {
					t.Errorf("the environment lacks %q", variable)
				}
			}
		})
	}
}

func TestPowerShellToast_hasItsTextsInTheEnvironment(t *testing.T) {
	r := played(t, notify.PowerShellToast(""), messageOf(t, strangeTitle, strangeBody))
	if len(r.Args) != 4 || r.Args[2] != "-EncodedCommand" {
		t.Fatalf("arguments %q", r.Args)
	}
	script, err := base64.StdEncoding.DecodeString(r.Args[3])
	if err != nil {
		t.Fatal(err)
	}
	var units []uint16
	for pair := range slices.Chunk(script, 2) {
		units = append(units, binary.LittleEndian.Uint16(pair))
	}
	text := string(utf16.Decode(units))
	if !strings.Contains(text, "[Security.SecurityElement]::Escape($env:NOTIFY_TITLE)") || strings.Contains(text, "--help") {
		t.Errorf("the script is\n%s", text)
	}
	for _, variable := range []string{"NOTIFY_TITLE=" + strangeTitle, "NOTIFY_BODY=" + strangeBody, `NOTIFY_APP={1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe`} {
		if !slices.Contains(r.Env, variable) {
			t.Errorf("the environment lacks %q", variable)
		}
	}
	if !slices.Contains(played(t, notify.PowerShellToast("shop"), new(notify.Message)).Env, "NOTIFY_APP=shop") {
		t.Error("the environment lacks the ID that was given")
	}
}

func TestLogger_writesOneEntryForOneLine(t *testing.T) {
	for body, want := range map[string]string{"": "title\n", "one line": "title one line\n", "two\nlines": "title\ntwo\nlines\n"} {
		if got := played(t, notify.Logger("shop"), messageOf(t, "title", body)).Stdin; got != want {
			t.Errorf("%q: stdin %q, want %q", body, got, want)
		}
	}
}

func TestDesktop_findsTheProgramOfTheSystem(t *testing.T) {
	program := map[string]string{"darwin": "osascript", "windows": "powershell.exe"}[runtime.GOOS]
	if program == "" {
		program = "notify-send"
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if c, err := notify.Desktop("shop"); !errors.Is(err, errors.ErrUnsupported) || c != nil || !strings.HasPrefix(err.Error(), "notify: ") {
		t.Errorf("where there is none: %v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, program), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := notify.Desktop("shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(c.Path); err != nil || c.Path != program {
		t.Errorf("it is %s", c.Path)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}
