package soak_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// open opens a file that may be compressed.
func open(t *testing.T, name string) (lines *bufio.Scanner, end func()) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	return bufio.NewScanner(r), func() { file.Close() }
}
