package console_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/slogworks/slogworks/sinks/console"
)

// openTerminal returns a new pseudo-terminal and the end to read it from.
func openTerminal(t *testing.T) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	var number, unlock int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Skipf("no pseudo-terminals: %v", errno)
		}
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, screen
}

func TestColorAuto_onTerminal(t *testing.T) {
	const plain = "- INF m\r\n"
	const colored = "\x1b[2m-\x1b[0m \x1b[92mINF\x1b[0m m\r\n"
	for _, test := range []struct {
		name, noColor, term string
		color               console.Color
		want                string
	}{
		{"uses colour", "", "xterm", console.ColorAuto, colored},
		{"of an unknown value is auto", "", "xterm", console.Color(99), colored},
		{"obeys NO_COLOR", "1", "xterm", console.ColorAuto, plain},
		{"knows a dumb terminal", "", "dumb", console.ColorAuto, plain},
		{"yields to ColorNever", "", "xterm", console.ColorNever, plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			t.Setenv("TERM", test.term)
			terminal, screen := openTerminal(t)
			slog.New(console.New(terminal, &console.Options{TimeFormat: "-", Color: test.color})).Info("m")
			terminal.Close() // so that reading ends
			got, err := bufio.NewReader(screen).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			check(t, "on the screen", got, test.want)
		})
	}
}
