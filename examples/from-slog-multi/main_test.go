package main

import (
	"strings"
	"testing"
)

func TestRun_sendsRecordsWhereTheyBelong(t *testing.T) {
	var all, grave strings.Builder
	if err := run(&all, &grave); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(all.String(), "\n"); n != 3 {
		t.Errorf("there are %d lines:\n%s", n, all.String())
	}
	if strings.Contains(all.String(), "tops3cret") {
		t.Errorf("the password is in the log:\n%s", all.String())
	}
	if strings.Count(grave.String(), "\n") != 1 || !strings.Contains(grave.String(), "database is gone") {
		t.Errorf("the grave ones are\n%s", grave.String())
	}
}
