package notify

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"unicode/utf16"
)

// NotifySend returns a Command that shows a notification on the desktops that
// follow the Desktop Notifications Specification, by the program notify-send of
// libnotify (Debian: libnotify-bin). app is the name of the application. The
// text is shown as it is: what the specification takes for markup and notify-send
// for escapes is neutralised.
//
// It needs the user's session bus: started by cron or as a system service it
// fails with what notify-send says about that. A notification from Error on is
// critical, and stays until it is dismissed.
func NotifySend(app string) *Command {
	return &Command{
		Path:   "notify-send",
		Args:   []string{"--app-name=" + literal(app), "--urgency={urgency}", "--", "{title}", "{body}"},
		Escape: escapeNotifySend,
	}
}

// notify-send undoes C escapes in the body, and the server reads it as markup.
// The title, which the specification calls summary, is plain text to both.
var notifySendBody = strings.NewReplacer(`\`, `\\`, "&", "&amp;", "<", "&lt;", ">", "&gt;")

func escapeNotifySend(name, value string) string {
	if name == "title" {
		return value
	}
	return notifySendBody.Replace(value)
}

// Wall returns a Command that writes to the terminals of all users who are
// logged in, by the program wall. It succeeds also if there are none.
func Wall() *Command { return &Command{Path: "wall", Stdin: "{title}\n{body}\n"} }

// Logger returns a Command that writes to the system's log under the tag, with
// priority user.err, by the program logger of util-linux or BSD, one entry for
// each line. logger cuts entries at 1 KiB, and it succeeds also if there is no
// log to write to.
func Logger(tag string) *Command {
	return &Command{
		Path:  "logger",
		Args:  []string{"-t", literal(tag), "-p", "user.err"},
		Stdin: "{title}{body}\n",
		Escape: func(name, value string) string {
			switch {
			case name != "body" || value == "":
				return value
			case strings.Contains(value, "\n"):
				return "\n" + value
			}
			return " " + value
		},
	}
}

// Apprise returns a Command that sends to any of the services that the program
// apprise knows (github.com/caronc/apprise), given by their URLs; without any,
// to those of apprise's own configuration. The URLs, which hold passwords, are
// given by the environment variable APPRISE_URLS. Python makes a message take
// about a second.
func Apprise(urls ...string) *Command {
	c := &Command{
		Path:  "apprise",
		Args:  []string{"--title={title}", "--input-format=text"},
		Stdin: "{body}\n",
	}
	if len(urls) > 0 {
		c.Env = []string{"APPRISE_URLS=" + literal(strings.Join(urls, " "))}
	}
	return c
}

// OSAScript returns a Command that shows a notification on macOS by the program
// osascript. Texts are arguments of the script and no part of it; an invisible
// U+200B in front keeps them from being options.
//
// It is unproven: nothing of it was run on macOS.
func OSAScript() *Command {
	return &Command{
		Path: "osascript",
		Args: []string{
			"-e", "on run argv",
			"-e", "display notification (item 2 of argv) with title (item 1 of argv)",
			"-e", "end run",
			"\u200b{title}", "\u200b{body}",
		},
	}
}

// TerminalNotifier returns a Command that shows a notification on macOS by the
// program terminal-notifier (github.com/julienXX/terminal-notifier). The body
// goes to its stdin, and the title has a backslash in front, which the program
// removes, because it fails on arguments that begin with one of [({<-.
//
// It is unproven: nothing of it was run on macOS.
func TerminalNotifier() *Command {
	return &Command{
		Path:  "terminal-notifier",
		Args:  []string{"-title", `\{title}`},
		Stdin: "{body}\n",
	}
}

// toast reads its texts from the environment, and escapes them for XML, so that
// no text is part of it.
const toast = `$ErrorActionPreference = 'Stop'
[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
[void][Windows.Data.Xml.Dom.XmlDocument, Windows.Data.Xml.Dom.XmlDocument, ContentType = WindowsRuntime]
$title = [Security.SecurityElement]::Escape($env:NOTIFY_TITLE)
$body = [Security.SecurityElement]::Escape($env:NOTIFY_BODY)
$xml = New-Object Windows.Data.Xml.Dom.XmlDocument
$xml.LoadXml('<toast><visual><binding template="ToastGeneric"><text>' + $title + '</text><text>' + $body + '</text></binding></visual></toast>')
$shown = New-Object Windows.UI.Notifications.ToastNotification $xml
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($env:NOTIFY_APP).Show($shown)
`

// powerShellID is the application ID of Windows PowerShell, which Windows knows.
const powerShellID = `{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe`

// PowerShellToast returns a Command that shows a toast on Windows 10 and later
// by Windows PowerShell 5.1. appID is the AppUserModelID that it is shown under,
// which Windows must know; "" is that of PowerShell.
//
// It is unproven: nothing of it was run on Windows.
func PowerShellToast(appID string) *Command {
	if appID == "" {
		appID = powerShellID
	}
	var script []byte
	for _, unit := range utf16.Encode([]rune(toast)) {
		script = binary.LittleEndian.AppendUint16(script, unit)
	}
	return &Command{
		Path: "powershell.exe",
		Args: []string{"-NoProfile", "-NonInteractive", "-EncodedCommand", base64.StdEncoding.EncodeToString(script)},
		Env:  []string{"NOTIFY_APP=" + literal(appID), "NOTIFY_TITLE={title}", "NOTIFY_BODY={body}"},
	}
}

// Desktop returns the Command that shows a notification on the desktop of this
// system: [NotifySend], on macOS [TerminalNotifier] if it is installed and else
// [OSAScript], on Windows [PowerShellToast]. Those for macOS and Windows are
// unproven. The error wraps [errors.ErrUnsupported] if nothing fits. app is the
// name of the application, which macOS and Windows do not show.
func Desktop(app string) (*Command, error) {
	var candidates []*Command
	switch runtime.GOOS {
	case "darwin":
		candidates = []*Command{TerminalNotifier(), OSAScript()}
	case "windows":
		candidates = []*Command{PowerShellToast("")}
	default:
		candidates = []*Command{NotifySend(app)}
	}
	for _, c := range candidates {
		if _, err := exec.LookPath(c.Path); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("notify: no program for notifications on %s, install %s: %w", runtime.GOOS, candidates[0].Path, errors.ErrUnsupported)
}
