package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/slogworks/slogworks/config"
)

const configHelp = `Usage: slogworks config COMMAND

Commands:
  check FILE...   say what is wrong with documents that describe a pipeline
  schema          print their JSON Schema, for editors

slogworks config COMMAND -h tells more about one.
`

const configCheckHelp = `Usage: slogworks config check [flags] FILE...

Checks documents, YAML or JSON, that describe a pipeline, as slogworks pipe and
receive take them by --config. It opens nothing that they name. For each it prints
FILE: ok on stdout, or on stderr every mistake with its line:

  pipeline.yaml:3: handlers.q.kind: unknown kind "queu" (did you mean "queue"?)

The exit status is 1 if there is a mistake.

Flags:
`

const configSchemaHelp = `Usage: slogworks config schema

Prints the JSON Schema (2020-12) of the documents that describe a pipeline. Editors
complete and check by it, such as those with the YAML language server if this is
the first line of a document:

  # yaml-language-server: $schema=slogworks.schema.json
`

// configCommand is about documents that describe a pipeline.
func configCommand(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags(configHelp)
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	known := []string{"check", "schema"}
	if flags.NArg() == 0 {
		return usagef("no command%s", hint("", known))
	}
	switch name, rest := flags.Arg(0), flags.Args()[1:]; name {
	case "check":
		return usageOf(name, configCheck(rest, stdout, stderr))
	case "schema":
		return usageOf(name, configSchema(rest, stdout))
	default:
		return usagef("unknown command %q%s", name, hint(name, known))
	}
}

func configCheck(args []string, stdout, stderr io.Writer) error {
	var env []string
	flags := newFlags(configCheckHelp)
	envFlag(flags, &env)
	files, err := flags.parseMixed(args, stdout)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usagef("no file: name the documents, such as pipeline.yaml")
	}
	wrong := false
	for _, file := range files {
		if _, err := readDocument(file, env); err != nil {
			wrong = true
			fmt.Fprintln(stderr, err) // a mistake on each line, with the file in front
			continue
		}
		if _, err := fmt.Fprintf(stdout, "%s: ok\n", file); err != nil {
			return err
		}
	}
	if wrong {
		return &toldError{exitFailed}
	}
	return nil
}

func configSchema(args []string, stdout io.Writer) error {
	flags := newFlags(configSchemaHelp)
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	if err := flags.noArgs(); err != nil {
		return err
	}
	_, err := stdout.Write(config.Schema(newRegistry()))
	return err
}

// envFlag defines the flag that names variables for documents.
func envFlag(flags *flagSet, to *[]string) {
	listFlag(flags, to, "env", "let the document read the variable `NAME` of the environment, besides SLOGWORKS_...; may be repeated")
}

// readBeginning reads more of a file than a document may have, and not all of one
// that has no end.
func readBeginning(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 2<<20))
}

// readDocument reads a document. Each line of its errors begins with the file.
func readDocument(file string, env []string) (*config.Document, error) {
	data, err := readBeginning(file)
	if err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return config.Parse(data, &config.Options{Registry: newRegistry(), File: file, Env: env, NamesOnRecords: true})
}
