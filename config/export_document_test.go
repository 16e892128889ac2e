package config

import (
	"context"

	"github.com/slogworks/slogworks/levels"
)

// Rebuild builds d after old, with what has not changed used again.
func Rebuild(ctx context.Context, d *Document, old *Pipeline) (*Pipeline, error) {
	table := levels.NewTable(nil)
	d.setLevels(table)
	return d.build(ctx, table, nil, old, false)
}

// TakeOver has p take over files from the pipeline that it was built after.
func TakeOver(p *Pipeline) { p.takeOver() }

// Retire shuts down what the successor does not share.
func Retire(ctx context.Context, p, successor *Pipeline) error { return p.retire(ctx, successor) }

// Fingerprint is equal for documents that say the same.
func Fingerprint(d *Document) string { return d.fingerprint() }

// SetLevels makes the rules of the table those of the document.
func SetLevels(d *Document, t *levels.Table) { d.setLevels(t) }

// ParseAfter parses a document in which *** stands for the secrets of old.
func ParseAfter(data []byte, opts Options, old *Document) (*Document, error) {
	opts.keep = old
	return Parse(data, &opts)
}
