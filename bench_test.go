package slogworks_test

import "testing"

func BenchmarkView_Attr(b *testing.B) {
	view := busyView()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := view.Attr("request", "ratio"); !ok {
			b.Fatal("nothing there")
		}
	}
}
