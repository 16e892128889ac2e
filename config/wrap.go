package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/internal/nearest"
	"github.com/slogworks/slogworks/limit"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/redact"
)

type queueOptions struct {
	_            struct{}     `doc:"hand-off to a slow handler, off the path of the code that logs"`
	To           Ref          `config:"to,required" doc:"the handler that the queue is in front of"`
	Capacity     count        `doc:"how many records may wait; default 1024"`
	ReserveLevel slog.Leveler `doc:"the lowest level that may use the reserve and may wait for room; default warn"`
	Reserve      int          `doc:"places for reserve_level and above; default a fifth of capacity, below 0: none"`
	BlockAll     bool         `doc:"records of every level wait for room"`
	MaxBlock     Duration     `doc:"how long a record may wait for room; default 100ms, below 0: not at all"`
	SyncLevel    slog.Leveler `doc:"the lowest level whose records the program waits for; default none"`
	SyncTimeout  Duration     `doc:"bounds that wait; default 1s"`
	MaxBatch     count        `doc:"how many records are handed on at once; default 64"`
	Linger       Duration     `doc:"how long the worker sleeps before it looks again; default 200us, below 0: not at all"`
	Retry        Backoff      `doc:"waiting between attempts; default 50ms to 30s, for ever"`
	Fallback     Ref          `doc:"the handler that gets what is dropped; default none"`
	DropContext  bool         `doc:"hand records on without the values of their contexts"`
	ReportEvery  Duration     `doc:"the shortest time between two records that tell what was dropped; default 10s"`
}

func newQueue(_ context.Context, o queueOptions, env *Env) (slog.Handler, error) {
	return queue.New(o.To.Handler(), &queue.Options{
		Capacity: int(o.Capacity), ReserveLevel: o.ReserveLevel, Reserve: o.Reserve, BlockAll: o.BlockAll,
		MaxBlock: o.MaxBlock.Std(), SyncLevel: o.SyncLevel, SyncTimeout: o.SyncTimeout.Std(), MaxBatch: int(o.MaxBatch),
		Linger: o.Linger.Std(), Retry: o.Retry.Std(), Fallback: o.Fallback.Handler(), DropContext: o.DropContext,
		ReportEvery: o.ReportEvery.Std(), OnError: env.OnError,
	}), nil
}

type fingersCrossedOptions struct {
	_          struct{}     `doc:"records held until something goes wrong"`
	To         Ref          `config:"to,required" doc:"the handler that gets what is released"`
	Level      slog.Leveler `doc:"the lowest level that is written without a trigger; default info"`
	Hold       slog.Leveler `doc:"the lowest level that is held in a scope; default debug"`
	Trigger    slog.Leveler `doc:"the lowest level that releases what is held; default error"`
	Live       bool         `doc:"write records of level and above at once"`
	After      string       `enum:"pass_all,pass_level,rearm" doc:"what becomes of records after a trigger; default pass_all, with process rearm"`
	Process    bool         `doc:"hold records outside of scopes too"`
	MaxRecords count        `doc:"how many records one buffer holds; default 256"`
	MaxBytes   Size         `doc:"how many bytes one buffer holds; default 256KiB"`
	TotalBytes Size         `doc:"how many bytes all buffers hold; default 64MiB"`
	Slow       Duration     `doc:"release what a scope holds that takes longer; default 0: never"`
}

func newFingersCrossed(_ context.Context, o fingersCrossedOptions, env *Env) (slog.Handler, error) {
	after := map[string]fingerscrossed.After{
		"pass_all": fingerscrossed.PassAll, "pass_level": fingerscrossed.PassLevel, "rearm": fingerscrossed.Rearm,
	}
	return fingerscrossed.New(o.To.Handler(), &fingerscrossed.Options{
		Level: o.Level, Hold: o.Hold, Trigger: o.Trigger, Live: o.Live, After: after[o.After], Process: o.Process,
		MaxRecords: int(o.MaxRecords), MaxBytes: int(o.MaxBytes), TotalBytes: int64(o.TotalBytes), Slow: o.Slow.Std(),
		OnError: env.OnError,
	}), nil
}

type bufferOptions struct {
	_              struct{}        `doc:"records collected, over restarts too, until they are worth a batch"`
	To             Ref             `config:"to,required" doc:"the handler that gets the batches, such as one of kind mail, or notify with direct"`
	Level          slog.Leveler    `doc:"the lowest level that is collected; default warn"`
	Dir            string          `doc:"the directory of the spool; default none: records are kept in memory"`
	Sync           string          `enum:"interval,always" doc:"when records are safe from a power failure; default interval: within a second"`
	Trigger        []bufferTrigger `doc:"what makes a batch, any of these; default 5 records of level error, or older than 24h"`
	Manual         bool            `doc:"deliver only when asked to, and at the end"`
	Every          Duration        `doc:"how often the trigger is asked; default 1m, below 0: never"`
	Limit          rate            `doc:"how many batches go out in a time; default 6 in 1h"`
	Retry          Backoff         `doc:"waiting between attempts; default 1m to 1h, for 7d"`
	MaxBytes       Size            `doc:"how many bytes are held; default 8MiB"`
	MaxRecordBytes Size            `doc:"how long a record may be; default 64KiB"`
}

// rate is a slogworks.Rate.
type rate struct {
	N   int      `doc:"how many; below 0: no limit"`
	Per Duration `doc:"in which time"`
}

func (r rate) std() slogworks.Rate { return slogworks.Rate{N: r.N, Per: r.Per.Std()} }

// bufferTrigger is a trigger that fires when all that it says is so.
type bufferTrigger struct {
	Count     int          `doc:"so many records are held"`
	Level     slog.Leveler `doc:"of at least this level; default error"`
	OlderThan Duration     `doc:"the oldest record is older"`
	Quiet     Duration     `doc:"no record has come for so long"`
}

// Check reports a trigger that would never or always fire.
func (t *bufferTrigger) Check() error {
	switch {
	case t.Count < 0 || t.OlderThan < 0 || t.Quiet < 0:
		return errors.New("a trigger cannot be below 0")
	case t.Count == 0 && t.OlderThan == 0 && t.Quiet == 0 && t.Level == nil:
		return errors.New("a trigger needs count, level, older_than or quiet")
	}
	return nil
}

func (t bufferTrigger) std() buffer.Trigger {
	var all []buffer.Trigger
	if t.Count > 0 || t.Level != nil {
		var min slog.Leveler = slog.LevelError
		if t.Level != nil {
			min = t.Level
		}
		all = append(all, buffer.AtLeast(max(t.Count, 1), min))
	}
	if t.OlderThan > 0 {
		all = append(all, buffer.OlderThan(t.OlderThan.Std()))
	}
	if t.Quiet > 0 {
		all = append(all, buffer.Quiet(t.Quiet.Std()))
	}
	return buffer.All(all...)
}

func newBuffer(_ context.Context, o bufferOptions, env *Env) (slog.Handler, error) {
	next, ok := o.To.Handler().(slogworks.BatchHandler)
	if !ok {
		return nil, fmt.Errorf("the handler %s takes no batches", strings.Join(o.To.Names(), ", "))
	}
	opts := &buffer.Options{
		Level: o.Level, Dir: o.Dir, Manual: o.Manual, Every: o.Every.Std(), Limit: o.Limit.std(), Retry: o.Retry.Std(),
		MaxBytes: int64(o.MaxBytes), MaxRecordBytes: int(o.MaxRecordBytes),
		OnOutcome: func(out buffer.Outcome) {
			if out.Err != nil {
				env.OnError(out.Err)
			}
		},
	}
	if env.rehearsal && o.Dir != "" {
		// In the spool are records, to be delivered once.
		if err := couldHave(o.Dir); err != nil {
			return nil, err
		}
		opts.Dir = ""
	}
	if o.Sync == "always" {
		opts.Sync = buffer.SyncAlways
	}
	var triggers []buffer.Trigger
	for _, t := range o.Trigger {
		triggers = append(triggers, t.std())
	}
	if len(triggers) > 0 {
		opts.Trigger = buffer.Any(triggers...)
	}
	return buffer.Open(next, opts)
}

// pattern is a regular expression.
type pattern struct{ *regexp.Regexp }

// UnmarshalText reads a regular expression of package regexp.
func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(text))
	return err
}

func regexps(patterns []pattern) []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, p := range patterns {
		list = append(list, p.Regexp)
	}
	return list
}

type redactOptions struct {
	_             struct{}  `doc:"secrets out of records"`
	To            Ref       `config:"to,required" doc:"the handler that gets the records without them"`
	Keys          []string  `doc:"keys of secrets, in whichever group; default a list of usual ones"`
	Paths         []string  `doc:"keys of secrets with the groups that they stand in, as req.headers.authorization"`
	KeyPatterns   []pattern `doc:"regular expressions that match keys of secrets"`
	ValuePatterns []pattern `doc:"regular expressions that match secrets in text"`
	Text          string    `doc:"what stands in the place of a secret; default [REDACTED]"`
	HashKey       Secret    `doc:"show the HMAC of a secret under this key instead"`
	Last          count     `doc:"show so many characters from the end of a secret instead"`
	Remove        bool      `doc:"leave secrets out, key and all"`
	MaskAny       bool      `doc:"mask structs, maps and JSON as a whole instead of looking into them"`
}

// Check reports what does not go together.
func (o *redactOptions) Check() error {
	masks := 0
	for _, set := range []bool{o.Text != "", o.HashKey != (Secret{}), o.Last != 0, o.Remove} {
		if set {
			masks++
		}
	}
	switch {
	case masks > 1:
		return errors.New("text, hash_key, last and remove are four ways: choose one")
	case o.Last < 0:
		return errors.New("last cannot be below 0")
	case slices.Contains(o.Keys, ""):
		return errors.New("a key cannot be empty")
	}
	for _, path := range o.Paths {
		if slices.Contains(strings.Split(path, "."), "") {
			return fmt.Errorf("the path %q has an empty part", path)
		}
	}
	return nil
}

func newRedact(_ context.Context, o redactOptions, _ *Env) (slog.Handler, error) {
	opts := &redact.Options{
		Keys: o.Keys, Paths: o.Paths, KeyPatterns: regexps(o.KeyPatterns), ValuePatterns: regexps(o.ValuePatterns),
		Text: o.Text, Remove: o.Remove, MaskAny: o.MaskAny,
	}
	switch {
	case o.HashKey != (Secret{}):
		opts.Mask = redact.Hash([]byte(o.HashKey.Reveal()))
	case o.Last > 0:
		opts.Mask = redact.Last(int(o.Last))
	}
	return redact.New(o.To.Handler(), opts), nil
}

type limitOptions struct {
	_        struct{} `doc:"storms and repeats cut short and counted"`
	To       Ref      `config:"to,required" doc:"the handler that gets the others"`
	First    int      `doc:"how many records of a kind pass in a window; default 100, below 0: all"`
	Window   Duration `doc:"how long a window lasts; default 1m"`
	MaxKinds count    `doc:"how many kinds are remembered in a window; default 10000"`
	Rate     rate     `doc:"bounds all records; default none"`
	Sample   []sample `doc:"thin out records by their level; the first entry that a record is below decides"`
}

// sample is a limit.Sample.
type sample struct {
	Below slog.Leveler `doc:"records below this level; default info"`
	Every int          `config:"every,required" doc:"of so many, one passes"`
}

func newLimit(_ context.Context, o limitOptions, env *Env) (slog.Handler, error) {
	opts := &limit.Options{First: o.First, Window: o.Window.Std(), MaxKinds: int(o.MaxKinds), Rate: o.Rate.std(), OnError: env.OnError}
	for _, s := range o.Sample {
		opts.Sample = append(opts.Sample, limit.Sample{Below: s.Below, Every: s.Every})
	}
	return limit.New(o.To.Handler(), opts), nil
}

type contextOptions struct {
	_       struct{} `doc:"what slogctx.With put into the context is added to records"`
	To      Ref      `config:"to,required" doc:"the handler that gets the records"`
	InGroup bool     `doc:"put the attributes into the group that the logger has open"`
}

func newContext(_ context.Context, o contextOptions, _ *Env) (slog.Handler, error) {
	return slogctx.New(o.To.Handler(), &slogctx.Options{InGroup: o.InGroup}), nil
}

type middlewareOptions struct {
	_   struct{} `doc:"functions that the program has registered, the first outermost"`
	Use []string `config:"use,required" doc:"their names"`
	To  Ref      `config:"to,required" doc:"the handler that they wrap"`
}

// checkIn reports names that the program has not registered.
func (o *middlewareOptions) checkIn(r *Registry) error {
	for _, name := range o.Use {
		if r.middlewareOf(name) != nil {
			continue
		}
		if near := nearest.Of(name, r.middlewareNames()); near != "" {
			return fmt.Errorf("unknown middleware %q, did you mean %q?", name, near)
		}
		return fmt.Errorf("unknown middleware %q: the program has not registered it", name)
	}
	return nil
}

func newMiddleware(ctx context.Context, o middlewareOptions, env *Env) (_ slog.Handler, err error) {
	h := o.To.Handler()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			slogworks.Shutdown(ctx, h) // what the others have started
		}
	}()
	for _, name := range slices.Backward(o.Use) {
		outer := env.Middleware(name)(h)
		if outer == nil {
			return nil, fmt.Errorf("the middleware %s has returned no handler", name)
		}
		h = outer
	}
	return h, nil
}
