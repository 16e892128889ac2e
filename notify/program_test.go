package notify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of Command run this test program itself as the program, so that
// they need nothing else and know what it does.

const (
	roleVariable   = "NOTIFY_TEST_ROLE"
	reportVariable = "NOTIFY_TEST_REPORT" // a file, or the address of a listener
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// run is what the role "report" says about how it was run.
type run struct {
	Args  []string
	Stdin string
	Env   []string
	Dir   string
}

func play(role string) (code int) {
	switch role {
	case "report":
		var r run
		r.Args = os.Args[1:]
		stdin, _ := io.ReadAll(os.Stdin)
		r.Stdin, r.Env = string(stdin), os.Environ()
		r.Dir, _ = os.Getwd()
		doc, _ := json.Marshal(r)
		if os.WriteFile(os.Getenv(reportVariable), doc, 0o600) != nil {
			return 1
		}
	case "fail":
		fmt.Fprintln(os.Stderr, strings.Join(os.Args[1:], " "))
		return 3
	case "flood":
		for range 1 << 10 {
			fmt.Print(strings.Repeat("x", 1<<10))
		}
		fmt.Print("the end")
		return 1
	case "hang":
		hang()
	case "deaf": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		hang()
	case "held": // until the listener closes the connection
		if conn, err := net.Dial("tcp", os.Getenv(reportVariable)); err == nil {
			fmt.Fprintln(conn, "running")
			_, _ = io.ReadAll(conn)
		}
	case "sleep":
		time.Sleep(5 * time.Minute)
	case "polite":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		if conn, err := net.Dial("tcp", os.Getenv(reportVariable)); err == nil {
			fmt.Fprintln(conn, "running")
			<-asked
			fmt.Fprintln(conn, "good bye")
		}
	case "polite family":
		startChild("polite")
		time.Sleep(5 * time.Minute)
	case "deaf family":
		signal.Ignore(syscall.SIGTERM)
		startChild("deaf")
		hang()
	case "family": // hangs together with a child that ignores SIGTERM
		startChild("deaf")
		hang()
	case "parent": // leaves such a child behind, which holds the output
		startChild("deaf")
		fmt.Println("the parent ends")
	}
	return 0
}

// hang tells the listener that it runs, and keeps the connection, whose end is
// the end of this process.
func hang() {
	conn, err := net.Dial("tcp", os.Getenv(reportVariable))
	if err != nil {
		return
	}
	fmt.Fprintln(conn, "running")
	time.Sleep(5 * time.Minute)
	conn.Close()
}

func startChild(role string) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"="+role)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if child.Start() == nil {
		waitForChild()
	}
}

// waitForChild waits until the child has told the listener, which says so.
func waitForChild() {
	conn, err := net.Dial("tcp", os.Getenv(reportVariable))
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintln(conn, "waiting")
	_, _ = io.ReadAll(conn)
}
