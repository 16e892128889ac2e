package buffer_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/internal/peertest"
)

// TestMain lets the test binary be the processes that share a spool.
func TestMain(m *testing.M) {
	child, ok := children[os.Getenv("BUFFER_TEST_CHILD")]
	if !ok {
		os.Exit(peertest.Main(m, "slogworks/buffer.("))
	}
	if err := child(os.Getenv("BUFFER_TEST_DIR"), os.Getenv("BUFFER_TEST_NAME")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var children = map[string]func(dir, name string) error{
	"victim": victim,
	"sharer": sharer,
}

// child starts the test binary as a process that works on the spool in dir.
func child(t *testing.T, role, dir, name string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "BUFFER_TEST_CHILD="+role, "BUFFER_TEST_DIR="+dir, "BUFFER_TEST_NAME="+name)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &output
}

// recording is a sink that several processes write to: a line per batch, whole or
// without its end.
type recording struct {
	slog.Handler
	file *os.File
}

func record(dir string) (*recording, error) {
	f, err := os.OpenFile(filepath.Join(dir, "sent"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return &recording{slog.DiscardHandler, f}, err
}

func (r *recording) Enabled(context.Context, slog.Level) bool { return true }

func (r *recording) HandleBatch(_ context.Context, b slogworks.Batch) error {
	var line bytes.Buffer
	fmt.Fprintf(&line, "\n%s", b.ID)
	for _, item := range b.Items {
		line.WriteString(" " + item.Record.Message)
	}
	line.WriteString(" .\n")
	_, err := r.file.Write(line.Bytes())
	return err
}

// recorded returns the IDs of the batches that each record was in.
func recorded(t *testing.T, dir string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "sent"))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[len(words)-1] != "." {
			continue // whoever wrote it was killed
		}
		for _, message := range words[1 : len(words)-1] {
			in[message] = append(in[message], words[0])
		}
	}
	return in
}

// inside is for a spool next to the other files in dir.
func inside(dir string) buffer.Options {
	opts := manual(filepath.Join(dir, "spool"))
	opts.MaxBytes = 64 << 20
	return opts
}

// victim logs, acknowledges what is stored, and delivers, until it is killed.
func victim(dir, name string) error {
	to, err := record(dir)
	if err != nil {
		return err
	}
	h, err := buffer.Open(to, new(inside(dir)))
	if err != nil {
		return err
	}
	acks, err := os.OpenFile(filepath.Join(dir, "acks"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	go func() {
		for {
			h.Deliver(context.Background())
		}
	}()
	logger := slog.New(h)
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", name, i)
		r := slog.NewRecord(time.Now(), slog.LevelInfo, id, 0)
		if err := logger.Handler().Handle(context.Background(), r); err != nil {
			return err
		}
		if _, err := acks.WriteString("\n" + id + " .\n"); err != nil {
			return err
		}
	}
}

// A process that is killed at any moment loses no record that it was told is
// stored, and what is delivered twice has the same Batch.ID.
func TestSpool_survivesSIGKILL(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: no signals")
	}
	kills := 10
	if os.Getenv("BUFFER_TEST_FULL") == "1" {
		kills = 100
	}
	dir := t.TempDir()
	acks := filepath.Join(dir, "acks")
	size := func() int64 {
		info, err := os.Stat(acks)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for n := range kills {
		before := size()
		cmd, output := child(t, "victim", dir, strconv.Itoa(n))
		peertest.WaitFor(t, "the child logs", func() bool { return size() > before })
		<-time.After(rand.N(20 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
		if output.Len() > 0 {
			t.Fatalf("the child says %s", output)
		}
	}

	to, err := record(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.file.Close()
	h := open(t, to, inside(dir))
	for {
		if o := h.Deliver(t.Context()); o.Status != buffer.Sent {
			wantOutcome(t, o, buffer.Empty)
			break
		}
	}
	wantEqual(t, "Dropped", h.Stats().Dropped, 0)
	batches := recorded(t, dir)
	f, err := os.Open(acks)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	acked, lost, twice := 0, 0, 0
	for in := bufio.NewScanner(f); in.Scan(); {
		id, whole := strings.CutSuffix(in.Text(), " .")
		if !whole {
			continue
		}
		acked++
		if len(batches[id]) == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d records are lost", lost, acked)
	}
	for message, ids := range batches {
		if len(ids) > 1 {
			twice++
		}
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("record %s is in the batches %v", message, ids)
			}
		}
	}
	t.Logf("%d kills, %d records acknowledged, %d lost, %d delivered twice", kills, acked, lost, twice)
	if acked < kills {
		t.Errorf("only %d records were acknowledged", acked)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "lock", name == "sender", name == "state.json", strings.HasSuffix(name, ".tmp"):
		default:
			t.Errorf("%s is left in the spool", name)
		}
	}
}

const shared = 1000 // records by each process

// sharer logs and delivers in the background, among others.
func sharer(dir, name string) error {
	to, err := record(dir)
	if err != nil {
		return err
	}
	opts := inside(dir)
	opts.Manual, opts.Trigger = false, buffer.AtLeast(50, nil)
	h, err := buffer.Open(to, &opts)
	if err != nil {
		return err
	}
	for i := range shared {
		r := slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprintf("%s-%d", name, i), 0)
		if err := h.Handle(context.Background(), r); err != nil {
			return err
		}
	}
	if err := h.Close(); err != nil {
		return err
	}
	if a := h.Account(); a.Accepted != a.Delivered {
		return fmt.Errorf("the books do not balance: %+v", a)
	}
	return nil
}

func TestSpool_isSharedByProcesses(t *testing.T) {
	const processes = 4
	dir := t.TempDir()
	var cmds [processes]*exec.Cmd
	var outputs [processes]*bytes.Buffer
	for n := range processes {
		cmds[n], outputs[n] = child(t, "sharer", dir, strconv.Itoa(n))
	}
	for n, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, outputs[n])
		}
	}
	to, err := record(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.file.Close()
	h := open(t, to, inside(dir))
	for h.Deliver(t.Context()).Status == buffer.Sent {
	}
	batches := recorded(t, dir)
	wantEqual(t, "records delivered", len(batches), processes*shared)
	ids := map[string]bool{}
	for message, in := range batches {
		if len(in) != 1 {
			t.Errorf("record %s is in %d batches", message, len(in))
		}
		ids[in[0]] = true
	}
	t.Logf("%d batches", len(ids))
}
