// Package soak runs a whole pipeline under load while everything around it
// fails in turn.
package soak
