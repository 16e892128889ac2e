package config

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/slogworks/slogworks/notify"
)

type notifyOptions struct {
	_          struct{}          `doc:"notifications for people"`
	Via        string            `config:"via,required" enum:"desktop,notify_send,wall,logger,apprise,terminal_notifier,osascript,powershell,webhook,slack,discord,ntfy,command" doc:"what sends them"`
	App        string            `doc:"desktop, notify_send, powershell: the application that they come from"`
	Tag        string            `doc:"logger: the tag"`
	URL        Secret            `config:"url" doc:"webhook, slack, discord: where to"`
	URLs       []Secret          `config:"urls" doc:"apprise: where to"`
	Server     string            `doc:"ntfy: the server; default https://ntfy.sh"`
	Topic      string            `doc:"ntfy: the topic"`
	Token      Secret            `doc:"ntfy: the access token"`
	Header     map[string]Secret `doc:"webhook: further headers of the request"`
	Command    commandOptions    `doc:"command: what is run"`
	Direct     bool              `doc:"send each record and each batch at once, for use behind a queue or a buffer; then there is no level, window, max_window, max_records or timeout"`
	Level      slog.Leveler      `doc:"the lowest level that is notified of; default error"`
	Window     Duration          `doc:"how long after a message the next may follow; default 10s"`
	MaxWindow  Duration          `doc:"what window grows to while there is something to tell; default 5m"`
	MaxRecords count             `doc:"how many records a message holds; default 20"`
	Timeout    Duration          `doc:"how long a message may take; default 30s"`
}

type commandOptions struct {
	Path      string            `doc:"the program"`
	Args      []string          `doc:"its arguments, with {title} {body} {level} {count} {time} {json} {urgency} {attr:KEY}; never a shell"`
	Stdin     string            `doc:"what it reads"`
	Env       map[string]Secret `doc:"further variables of its environment"`
	CleanEnv  bool              `doc:"no variables but these"`
	Dir       string            `doc:"its working directory"`
	Timeout   Duration          `doc:"how long it may take; default 10s, below 0 as long as the message"`
	Grace     Duration          `doc:"how long it may take to end after SIGTERM; default 1s"`
	MaxArg    Size              `doc:"how many bytes a placeholder can become; default 8KiB"`
	AllowDash bool              `doc:"do not look for placeholders that could become an option"`
}

func (c commandOptions) sender() *notify.Command {
	env := make([]string, 0, len(c.Env))
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		env = append(env, name+"="+c.Env[name].Reveal())
	}
	return &notify.Command{
		Path: c.Path, Args: c.Args, Stdin: c.Stdin, Env: env, CleanEnv: c.CleanEnv, Dir: c.Dir,
		Timeout: c.Timeout.Std(), Grace: c.Grace.Std(), MaxArg: int(c.MaxArg), AllowDash: c.AllowDash,
	}
}

// Check reports what is missing for the way that notifications go.
func (o *notifyOptions) Check() error {
	needs := func(missing bool, option string) error {
		if missing {
			return fmt.Errorf("%s needs %s", o.Via, option)
		}
		return nil
	}
	switch o.Via {
	case "webhook", "slack", "discord":
		return needs(o.URL == (Secret{}), "url or url_file")
	case "ntfy":
		return needs(o.Topic == "", "topic")
	case "command":
		return needs(o.Command.Path == "", "command with a path")
	}
	return nil
}

func (o *notifyOptions) sender() (notify.Sender, error) {
	switch o.Via {
	case "desktop":
		return notify.Desktop(o.App)
	case "notify_send":
		return notify.NotifySend(o.App), nil
	case "wall":
		return notify.Wall(), nil
	case "logger":
		return notify.Logger(o.Tag), nil
	case "apprise":
		urls := make([]string, len(o.URLs))
		for i, u := range o.URLs {
			urls[i] = u.Reveal()
		}
		return notify.Apprise(urls...), nil
	case "terminal_notifier":
		return notify.TerminalNotifier(), nil
	case "osascript":
		return notify.OSAScript(), nil
	case "powershell":
		return notify.PowerShellToast(o.App), nil
	case "slack":
		return notify.Slack(o.URL.Reveal()), nil
	case "discord":
		return notify.Discord(o.URL.Reveal()), nil
	case "ntfy":
		return notify.Ntfy(o.Server, o.Topic, o.Token.Reveal()), nil
	case "webhook":
		w := notify.JSON(o.URL.Reveal())
		w.Header = headerOf(o.Header)
		return w, nil
	}
	return o.Command.sender(), nil
}

func newNotify(_ context.Context, o notifyOptions, env *Env) (slog.Handler, error) {
	s, err := o.sender()
	if err != nil {
		return nil, err
	}
	if o.Direct {
		if c, ok := s.(interface{ Check() error }); ok {
			if err := c.Check(); err != nil {
				return nil, err
			}
		}
		return notify.Direct(s), nil
	}
	return notify.New(s, &notify.Options{
		Level: o.Level, Window: o.Window.Std(), MaxWindow: o.MaxWindow.Std(), MaxRecords: int(o.MaxRecords), Timeout: o.Timeout.Std(),
		OnResult: func(_ *notify.Message, err error) {
			if err != nil {
				env.OnError(err)
			}
		},
	})
}
