package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/config"
)

const mailFlushHelp = `Usage: slogworks mail flush --config FILE [flags]

Looks into the spool of the mail buffer that a document describes, a handler of kind
buffer in front of one of kind mail, and sends what waits if its trigger says so and
its limit permits it: for cron, where no program runs that would. One that runs may
go on doing so.

It prints a line for each mail: its status, how many records are in it, which attempt
it was, and when it is tried again; or one that says that nothing was due. The exit
status is 1 if a mail could not be delivered; its records are kept.

Flags:
`

func mailFlush(ctx context.Context, args []string, stdout io.Writer) error {
	var file, name string
	var env []string
	var now bool
	flags := newFlags(mailFlushHelp)
	textFlag(flags, &file, "config", "the document, a `FILE`")
	textFlag(flags, &name, "handler", "the buffer, or the mail handler behind it, by `NAME`; needed if the document has several")
	flags.BoolVar(&now, "now", false, "send all that waits, whatever trigger, limit and waiting time say")
	envFlag(flags, &env)
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	if err := flags.noArgs(); err != nil {
		return err
	}
	if file == "" {
		return usagef("no --config: name the document that describes the mail buffer, such as pipeline.yaml")
	}
	d, err := readDocument(file, env)
	if err != nil {
		return err
	}
	name, err = mailBufferIn(d, name)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	b, err := openBuffer(ctx, d, name, env)
	if err != nil {
		return err
	}
	deliver := b.handler.Evaluate
	if now {
		deliver = b.handler.Deliver
	}
	err = b.flush(ctx, deliver, stdout)
	return errors.Join(err, b.close(ctx))
}

// mailBuffer is the buffer of a document.
type mailBuffer struct {
	handler  *buffer.Handler
	pipeline *config.Pipeline
	// isManual says that nothing is delivered but by flush. Otherwise what waits
	// for another attempt may have been tried a moment ago.
	isManual bool
}

// flush delivers until nothing is due any more, and prints what came of it.
func (b *mailBuffer) flush(ctx context.Context, deliver func(context.Context) buffer.Outcome, stdout io.Writer) error {
	for sent := 0; ; sent++ {
		out := deliver(ctx)
		switch out.Status {
		case buffer.Empty, buffer.Kept, buffer.Limited:
			if out.Err != nil && out.BatchID == "" {
				return fmt.Errorf("what waits could not be looked at: %w", out.Err)
			}
			if sent > 0 && out.Records == 0 {
				return nil
			}
			_, err := fmt.Fprintf(stdout, "status=%v records=%d next=%s\n", out.Status, out.Records, timeOrNone(out.Next))
			if err == nil && out.Err != nil && !b.isManual {
				err = fmt.Errorf("%s could not be delivered, kept for another attempt: %w", records(out.Records), out.Err)
			}
			return err
		}
		if _, err := fmt.Fprintf(stdout, "status=%v records=%d attempt=%d next=%s\n", out.Status, out.Records, out.Attempt, timeOrNone(out.Next)); err != nil {
			return err
		}
		switch out.Status {
		case buffer.Sent:
		case buffer.Rejected:
			return fmt.Errorf("%s refused for good, kept in the directory dead of the spool: %w", records(out.Records), out.Err)
		default:
			return fmt.Errorf("%s could not be delivered, kept for another attempt: %w", records(out.Records), out.Err)
		}
	}
}

// handlersOf returns the handlers of a document, without secrets.
func handlersOf[T any](d *config.Document) (map[string]T, error) {
	var document struct {
		Handlers map[string]T `json:"handlers"`
	}
	err := json.Unmarshal(d.JSON(), &document)
	return document.Handlers, err
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// described is a handler as a document has it.
type described struct {
	Kind string          `json:"kind"`
	Dir  string          `json:"dir"`
	To   json.RawMessage `json:"to"`
}

// next returns the names of the handlers that it wraps.
func (d described) next() (names []string) {
	if d.Kind == "mail" {
		return nil // to has recipients
	}
	var one string
	if json.Unmarshal(d.To, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(d.To, &names) // of what wraps none there is nothing to read
	return names
}

// mailBufferIn returns the name of the buffer in front of a mail handler, the
// name of either of which is given if it is not "".
func mailBufferIn(d *config.Document, name string) (string, error) {
	handlers, err := handlersOf[described](d)
	if err != nil {
		return "", err
	}
	// leads reports whether records of the handler get to one of kind mail, and
	// to that of the name unless it is "".
	var leads func(from, to string) bool
	leads = func(from, to string) bool {
		h := handlers[from]
		if h.Kind == "mail" {
			return to == "" || from == to
		}
		return slices.ContainsFunc(h.next(), func(next string) bool { return leads(next, to) })
	}
	var all, meant []string
	for _, from := range slices.Sorted(maps.Keys(handlers)) {
		if handlers[from].Kind != "buffer" || !leads(from, "") {
			continue
		}
		all = append(all, from)
		if name == "" || from == name || leads(from, name) {
			meant = append(meant, from)
		}
	}
	switch {
	case len(all) == 0:
		return "", errors.New("no handler of kind buffer is in front of one of kind mail")
	case len(meant) == 0:
		return "", fmt.Errorf("--handler %q is no mail buffer, and no mail handler behind one%s", name, hint(name, all))
	case len(meant) > 1:
		return "", fmt.Errorf("there are the mail buffers %s: choose one by --handler", list(meant))
	case handlers[meant[0]].Dir == "":
		return "", fmt.Errorf("handlers.%s has no dir: what it holds is in the memory of the program that runs", meant[0])
	}
	return meant[0], nil
}

// openBuffer opens the buffer of that name, and what is behind it.
func openBuffer(ctx context.Context, d *config.Document, name string, env []string) (*mailBuffer, error) {
	only, err := reduced(d, name, env)
	if err != nil {
		return nil, err
	}
	b := &mailBuffer{isManual: only != nil}
	if only == nil {
		if only, err = d.Only(name); err != nil {
			return nil, err
		}
	}
	if b.pipeline, err = only.Build(ctx); err != nil {
		return nil, err
	}
	var ok bool
	if b.handler, ok = b.pipeline.Lookup(name).(*buffer.Handler); !ok {
		return nil, errors.Join(fmt.Errorf("handlers.%s is a %T", name, b.pipeline.Lookup(name)), b.close(ctx))
	}
	return b, nil
}

func (b *mailBuffer) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return slogworks.Shutdown(ctx, b.pipeline)
}

// reduced returns a document that has the handler and what it wraps, so that
// nothing else is opened: the service whose document it is may run. Its buffer is
// manual. It returns nil if these have a secret that stands in the document or in
// a variable, which a document does not tell; then Document.Only has to do.
func reduced(d *config.Document, name string, env []string) (*config.Document, error) {
	wraps, err := handlersOf[described](d)
	if err != nil {
		return nil, err
	}
	all, err := handlersOf[map[string]json.RawMessage](d)
	if err != nil {
		return nil, err
	}
	kept := map[string]map[string]json.RawMessage{}
	var keep func(name string)
	keep = func(name string) {
		kept[name] = all[name]
		for _, next := range wraps[name].next() {
			keep(next)
		}
	}
	keep(name)
	kept[name]["manual"] = json.RawMessage("true")
	text, err := json.Marshal(map[string]any{"version": 1, "handlers": kept, "root": map[string]any{"to": []string{name}}})
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(text), "***") {
		return nil, nil
	}
	return config.Parse(text, &config.Options{Registry: newRegistry(), Env: env})
}
