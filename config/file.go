package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/memory"
)

type fileOptions struct {
	_           struct{} `doc:"records into a file that rotates"`
	Path        string   `config:"path,required" doc:"the file, relative to the working directory; its directory is made if it is missing"`
	Format      format   `doc:"json, text, or {layout: …}; default json"`
	MaxSize     Size     `doc:"rotate before the file has more bytes; default 0: never"`
	Schedule    schedule `doc:"when to rotate whatever the size: hourly, daily, daily 03:00, weekly monday 03:00, every 15m; UTC or the name of a time zone may follow; default never"`
	MaxBackups  count    `doc:"how many backups are kept; default 0: all, or 9 if they are numbered"`
	MaxAge      Duration `doc:"how long backups are kept; default 0: for ever"`
	MaxTotal    Size     `doc:"how many bytes the file and its backups may have together; default 0: no limit"`
	Naming      string   `enum:"timestamp,numbered" doc:"how backups are called; default timestamp"`
	Compress    bool     `doc:"compress backups by gzip"`
	Mode        fileMode `doc:"mode of a new file, in octal; default 0600"`
	Buffer      Size     `doc:"bytes of whole records gathered before they are written; default 0: none"`
	FlushEvery  Duration `doc:"how long a record may wait in the buffer; default 1s, below 0: until it is full"`
	ReopenEvery Duration `doc:"how often to look whether the file was moved; default 1s, below 0: never"`
	Fsync       bool     `doc:"have each write put on the disk before it returns"`
	Shared      bool     `doc:"several processes on this machine write to the file, with the same options"`
	Lazy        bool     `doc:"open the file at the first record"`
}

func newFile(_ context.Context, o fileOptions, env *Env) (slog.Handler, error) {
	opts := &rotate.Options{
		MaxBytes: int64(o.MaxSize), Schedule: o.Schedule.Schedule, MaxBackups: int(o.MaxBackups), MaxAge: o.MaxAge.Std(),
		MaxTotal: int64(o.MaxTotal), Compress: o.Compress, Mode: fs.FileMode(o.Mode), Lazy: o.Lazy,
		ReopenEvery: o.ReopenEvery.Std(), Buffer: int(o.Buffer), FlushEvery: o.FlushEvery.Std(), Fsync: o.Fsync,
		Shared: o.Shared, OnError: env.OnError,
	}
	if o.Naming != "" {
		if err := opts.Naming.UnmarshalText([]byte(o.Naming)); err != nil {
			return nil, err
		}
	}
	lines := func(w io.Writer) slog.Handler { return o.Format.handler(w, env.relayed) }
	return newFileHandler(o.Path, opts, lines, env.rehearsal)
}

// couldWrite returns why a file cannot be opened, or cannot be made, as far as
// that is known without doing it.
func couldWrite(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case err == nil && !info.Mode().IsRegular():
		return nil // to open a pipe would be noticed
	case err == nil:
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		return f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return couldHave(filepath.Dir(path))
	}
	return err
}

// couldHave returns why there cannot be such a directory.
func couldHave(dir string) error {
	info, err := os.Stat(dir)
	switch up := filepath.Dir(dir); {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case errors.Is(err, fs.ErrNotExist) && up != dir:
		return couldHave(up)
	}
	return err
}

// fileMode is a mode in octal, as "0640".
type fileMode fs.FileMode

// UnmarshalText wants a 0 in front, as everybody writes modes who means octal.
func (m *fileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || text[0] != '0' || n > 0o777 {
		return errors.New(`has to be a mode in octal such as "0640"`)
	}
	*m = fileMode(n)
	return nil
}

type memoryOptions struct {
	_          struct{} `doc:"records in memory, for tests"`
	MaxRecords int      `doc:"how many records are kept, the newest; default 10000"`
}

func newMemory(_ context.Context, o memoryOptions, _ *Env) (slog.Handler, error) {
	return memory.New(&memory.Options{MaxRecords: o.MaxRecords}), nil
}

type discardOptions struct {
	_ struct{} `doc:"records go nowhere"`
}

func newDiscard(context.Context, discardOptions, *Env) (slog.Handler, error) {
	return slog.DiscardHandler, nil
}
