// Package e2e tests slogworks with the programs and libraries that its users
// have beside it. A test whose program is not installed says so and is skipped;
// with SLOGWORKS_REAL=1 in the environment it fails.
package e2e
