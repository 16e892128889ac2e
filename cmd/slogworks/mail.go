package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/slogworks/slogworks/buffer"
)

const mailHelp = `Usage: slogworks mail COMMAND

Commands:
  status DIRECTORY      say what waits in the spool of a mail buffer
  flush --config FILE   send what waits, if it is time to

slogworks mail COMMAND -h tells more about one.
`

const mailStatusHelp = `Usage: slogworks mail status DIRECTORY

Prints one line: how many records wait for a mail, how many are in mails that were
refused for good, since when the oldest waits, and when a mail that could not be
delivered is tried again; - stands for none. It changes nothing.
`

// mailCommand looks into a spool, or empties it.
func mailCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags(mailHelp)
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	known := []string{"flush", "status"}
	if flags.NArg() == 0 {
		return usagef("no command%s", hint("", known))
	}
	switch name, rest := flags.Arg(0), flags.Args()[1:]; name {
	case "flush":
		return usageOf(name, mailFlush(ctx, rest, stdout))
	case "status":
		return usageOf(name, mailStatus(rest, stdout))
	default:
		return usagef("unknown command %q%s", name, hint(name, known))
	}
}

func mailStatus(args []string, stdout io.Writer) error {
	flags := newFlags(mailStatusHelp)
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	switch {
	case flags.NArg() == 0:
		return usagef("no directory: name the spool, such as /var/spool/shop")
	case flags.NArg() > 1:
		return usagef("unexpected argument %q", flags.Arg(1))
	}
	info, err := buffer.Inspect(flags.Arg(0))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, statusLine(info))
	return err
}

func statusLine(info buffer.Info) string {
	pending, dead := info.Total, 0
	oldest, next := info.Oldest, time.Time{}
	for _, batch := range info.Pending {
		pending += batch.Records - batch.Accepted
		if oldest.IsZero() || !batch.Oldest.IsZero() && batch.Oldest.Before(oldest) {
			oldest = batch.Oldest
		}
		if next.IsZero() || !batch.Next.IsZero() && batch.Next.Before(next) {
			next = batch.Next
		}
	}
	for _, batch := range info.Dead {
		dead += batch.Records - batch.Accepted
	}
	return fmt.Sprintf("pending=%d dead=%d oldest=%s next=%s", pending, dead, timeOrNone(oldest), timeOrNone(next))
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
