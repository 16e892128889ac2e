// Package bench measures slogworks beside the standard library and other
// modules that do the same work. It is a module of its own, so that nobody who
// uses slogworks depends on what it is compared with.
//
// The benchmarks are in the tests, one file for each package. They all log the
// same record, and tests show that those which are compared write the same. Run
// them as any other benchmark, or have the tables of README.md made:
//
//	go -C bench test -bench Fanout
//	go -C bench run ./cmd/table
package bench
