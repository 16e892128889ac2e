package sharedfile_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

// A test process that finds this variable is the child of one, and does what it
// says instead of running tests.
const childVariable = "SHAREDFILE_TEST_CHILD"

func TestMain(m *testing.M) {
	task := os.Getenv(childVariable)
	if task == "" {
		os.Exit(m.Run())
	}
	args := strings.Split(task, "\n")
	if err := map[string]func([]string) error{"hold": holdLock, "append": appendLines}[args[0]](args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A child is a process that a test has started.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr strings.Builder
	once   sync.Once
	err    error
}

// start starts a child. It is killed at the end of the test if it still runs.
func start(t *testing.T, task ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(task, "\n"),
		"GORACE=atexit_sleep_ms=0") // it would sleep for a second
	c.cmd.Stderr = &c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin, c.stdout = stdin, bufio.NewReader(stdout)
	t.Cleanup(c.kill)
	return c
}

// expect reads a line from the child.
func (c *child) expect(line string) {
	c.t.Helper()
	got, err := c.stdout.ReadString('\n')
	if err != nil || got != line+"\n" {
		c.kill()
		c.t.Fatalf("the child said %q (%v), want %q; stderr: %s", got, err, line, &c.stderr)
	}
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.wait()
}

func (c *child) wait() error {
	c.once.Do(func() {
		io.Copy(io.Discard, c.stdout)
		c.err = c.cmd.Wait()
	})
	return c.err
}

// finish lets the child end, which it has to do without an error.
func (c *child) finish() {
	c.t.Helper()
	c.stdin.Close()
	if err := c.wait(); err != nil {
		c.t.Errorf("the child: %v; stderr: %s", err, &c.stderr)
	}
}

// holdLock takes the lock at args[0] and holds it until its standard input ends.
func holdLock(args []string) error {
	l := sharedfile.NewLock(args[0], 0)
	if ok, err := l.TryLock(); !ok {
		return fmt.Errorf("TryLock: %v, %v", ok, err)
	}
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	return l.Unlock()
}

// appendLines appends the lines of writer args[1] to the log at args[0], args[2]
// of them, or if that is 0 until standard input ends. It keeps the number of
// lines that are in the log in the file args[3]. args[4] is 1 for a lock for each
// write. What the Appender reports is an error unless args[5] says otherwise.
func appendLines(args []string) error {
	writer, lines := atoi(args[1]), atoi(args[2])
	acks, err := os.Create(args[3])
	if err != nil {
		return err
	}
	var failed error
	opts := logOptions(args[0], atoi(args[4]) == 1)
	if args[5] == "" {
		opts.OnError = func(err error) { failed = err }
	}
	a, err := sharedfile.Open(args[0], opts)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	fmt.Println("open")
	var ack [8]byte
	for i := 0; lines == 0 || i < lines; i++ {
		select {
		case <-stop:
			lines = i
		default:
		}
		if lines != 0 && i >= lines {
			break
		}
		if _, err := a.Append(lineOf(writer, i)); err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(ack[:], uint64(i+1))
		if _, err := acks.WriteAt(ack[:], 0); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return a.Close()
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
