package sharedfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

func Example() {
	dir, err := os.MkdirTemp("", "sharedfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")
	opts := &sharedfile.Options{
		MaxBytes: 16,
		Rename:   func() error { return os.Rename(path, path+".1") },
	}

	// Two handles in one process are to each other as two processes are.
	one, err := sharedfile.Open(path, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := sharedfile.Open(path, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()

	one.Append([]byte("started\n"))
	two.Append([]byte("started\n"))
	one.Append([]byte("working\n"))

	// Until two has noticed the rotation it may still write to the old file.
	_, err = sharedfile.Claim(path + ".1")
	fmt.Println(err)
	two.Check()
	old, err := sharedfile.Claim(path + ".1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer old.Close()

	for _, name := range []string{path + ".1", path} {
		content, _ := os.ReadFile(name)
		fmt.Printf("%s: %q\n", filepath.Base(name), content)
	}
	// Output:
	// sharedfile: in use by another process
	// app.log.1: "started\nstarted\n"
	// app.log: "working\n"
}

func ExampleLock() {
	dir, err := os.MkdirTemp("", "sharedfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	one := sharedfile.NewLock(filepath.Join(dir, "lock"), 0o600)
	defer one.Close()
	two := sharedfile.NewLock(filepath.Join(dir, "lock"), 0o600)
	defer two.Close()

	if err := one.Lock(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = two.Lock(ctx)
	fmt.Println("two in time:", !errors.Is(err, context.DeadlineExceeded))
	one.Unlock()
	fmt.Println(two.TryLock())
	two.Unlock()
	// Output:
	// two in time: false
	// true <nil>
}
