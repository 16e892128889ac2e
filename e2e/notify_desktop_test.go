//go:build unix

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
)

// desktop is an X server without a screen, a session bus and a notification
// server, for one test.
type desktop struct {
	bus      string
	monitor  overheard // what dbus-monitor says of notifications
	importer string    // the program that takes screenshots
}

const dunstConfig = `[global]
font = DejaVu Sans 12
width = (300, 560)
height = 300
origin = top-right
offset = 10x10
gap_size = 8
frame_width = 2
[urgency_critical]
background = "#24292f"
foreground = "#f6f8fa"
frame_color = "#d1242f"
`

// startDesktop starts a desktop and sets the environment of this process so
// that programs find it.
func startDesktop(t *testing.T) *desktop {
	t.Helper()
	xvfb := real.Program(t, "Xvfb")
	dbusDaemon := real.Program(t, "dbus-daemon")
	dbusSend := real.Program(t, "dbus-send")
	dbusMonitor := real.Program(t, "dbus-monitor")
	dunst := real.Program(t, "dunst")
	d := &desktop{importer: real.Program(t, "import")} // of ImageMagick
	real.Program(t, "notify-send")

	dir := t.TempDir()
	t.Setenv("DISPLAY", ":"+startX(t, xvfb))
	d.bus = "unix:path=" + filepath.Join(dir, "bus")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", d.bus)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	startForTest(t, io.Discard, nil, dbusDaemon, "--session", "--nofork", "--address="+d.bus)
	hasServer := func() (reply []byte, err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return exec.CommandContext(ctx, dbusSend, "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus",
			"org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.Notifications").Output()
	}
	real.WaitFor(t, "the session bus", func() bool {
		_, err := hasServer()
		return err == nil
	})

	config := filepath.Join(dir, "dunstrc")
	if err := os.WriteFile(config, []byte(dunstConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	startForTest(t, io.Discard, nil, dunst, "-config", config)
	real.WaitFor(t, "the notification server", func() bool {
		reply, _ := hasServer()
		return bytes.Contains(reply, []byte("boolean true"))
	})
	startForTest(t, &d.monitor, nil, dbusMonitor, "--session", "interface='org.freedesktop.Notifications',member='Notify'")
	real.WaitFor(t, "dbus-monitor", func() bool { return strings.Contains(d.monitor.String(), "NameLost") })
	return d
}

// startX starts an X server on a display of its own choice and returns its
// number.
func startX(t *testing.T, path string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	startForTest(t, io.Discard, w, path, "-displayfd", "3", "-screen", "0", "620x240x24", "-nolisten", "tcp")
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the X server does not say which display it has: %v", err)
	}
	return strings.TrimSpace(number)
}

// startForTest starts a program that runs until the test ends; it gets the file as
// descriptor 3.
func startForTest(t *testing.T, stdout io.Writer, third *os.File, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdout = stdout
	cmd.WaitDelay = time.Second
	if third != nil {
		cmd.ExtraFiles = []*os.File{third}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait()
	})
}

// notified is what the notification server was asked to show.
type notified struct{ app, title, body, urgency string }

// notification is how dbus-monitor prints the arguments of a call of Notify.
var notification = regexp.MustCompile(`(?s)member=Notify\n   string "([^\n]*)"\n   uint32 0\n   string ""\n   string "(.*?)"\n   string "(.*?)"\n   array \[\n   \]\n   array \[\n.*?string "urgency"\n *variant *byte (\d).*?\n   \]\n   int32`)

// notifications waits until there are n notifications and returns them.
func (d *desktop) notifications(t *testing.T, n int) (all []notified) {
	t.Helper()
	real.WaitFor(t, fmt.Sprint(n, " notifications"), func() bool {
		all = nil
		for _, m := range notification.FindAllStringSubmatch(d.monitor.String(), -1) {
			all = append(all, notified{m[1], m[2], m[3], m[4]})
		}
		return len(all) >= n
	})
	if len(all) != n {
		t.Errorf("%d notifications, want %d: %q", len(all), n, all)
	}
	return all
}

// screenshot takes a picture of the part of the screen on which there is
// something.
func (d *desktop) screenshot(t *testing.T, file string) {
	t.Helper()
	real.Output(t, ".", d.importer, "-window", "root", "-trim", "+repage", "-strip", "-colors", "64", "png8:"+file)
}

// overheard is what a program has written so far.
type overheard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *overheard) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *overheard) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
