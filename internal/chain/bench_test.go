package chain_test

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/internal/chain"
)

func BenchmarkFreezeRecord(b *testing.B) {
	r := scalarRecord()
	b.ReportAllocs()
	for b.Loop() {
		chain.FreezeRecord(r)
	}
}

func BenchmarkFreeze_struct(b *testing.B) {
	v := slog.AnyValue(struct {
		Path  string
		Sizes []int
	}{"/index.html", []int{1, 2, 3}})
	b.ReportAllocs()
	for b.Loop() {
		chain.Freeze(v)
	}
}
