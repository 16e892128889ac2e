package slogworks_test

import (
	"testing"

	"github.com/slogworks/slogworks"
)

func TestKind_string(t *testing.T) {
	for kind, want := range map[slogworks.Kind]string{
		slogworks.Stream:     "stream",
		slogworks.Escalation: "escalation",
		slogworks.Digest:     "digest",
		3:                    "Kind(3)",
		-1:                   "Kind(-1)",
	} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d) is %q, want %q", int(kind), got, want)
		}
	}
	if (slogworks.Batch{}).Kind != slogworks.Stream {
		t.Error("a zero Batch is no Stream")
	}
}
