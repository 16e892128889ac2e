package config_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/config"
)

func Example() {
	doc, err := config.Parse([]byte(`
version: 1
handlers:
  people: {kind: console, output: stdout, format: {layout: "{level} {logger} {msg} {attrs}"}}
  behind: {kind: queue, to: people}
root: {level: warn, to: [behind]}
loggers:
  shop.db: {level: debug}
`), nil)
	if err != nil {
		log.Fatal(err)
	}
	p, err := doc.Build(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(p)
	logger.Info("not asked for")
	logger.Warn("disk nearly full", "free", "2%")
	slogworks.Named(logger, "shop.db.pool").Debug("connected", "host", "db1")

	if err := slogworks.Shutdown(context.Background(), p); err != nil {
		log.Fatal(err)
	}
	// Output:
	// WARN  disk nearly full free=2%
	// DEBUG shop.db.pool connected host=db1
}

// All mistakes are told at once.
func ExampleParse() {
	_, err := config.Parse([]byte(`
version: 1
handlers:
  all:    {kind: flie, path: app.log}
  behind: {kind: queue, to: al, capacity: many, max_bach: 10}
root: {level: warm, to: [behind]}
`), &config.Options{File: "pipeline.yaml"})
	fmt.Println(err)
	// Output:
	// pipeline.yaml:4: handlers.all.kind: unknown kind "flie" (did you mean "file"?)
	// pipeline.yaml:5: handlers.behind.max_bach: unknown option "max_bach" (did you mean "max_batch"?)
	// pipeline.yaml:5: handlers.behind.capacity: is "many" and has to be a whole number
	// pipeline.yaml:5: handlers.behind.to: unknown handler "al" (did you mean "all"?)
	// pipeline.yaml:6: root.level: is "warm" and has to be a level such as info, error+4 or -4 (did you mean "warn"?)
}

// A program adds kinds of its own.
func ExampleRegister() {
	type options struct {
		_     struct{}      `doc:"prints messages in capitals"`
		Shout bool          `doc:"with three exclamation marks"`
		Token config.Secret `doc:"what lets one shout"`
	}
	r := config.NewRegistry()
	config.Register(r, "crier", func(_ context.Context, o options, env *config.Env) (slog.Handler, error) {
		fmt.Println("building", env.Name, o.Shout, o.Token)
		return slog.DiscardHandler, nil
	})
	doc, err := config.Parse([]byte(`
version: 1
handlers:
  town: {kind: crier, shout: true, token: hunter2}
root: {to: town}
`), &config.Options{Registry: r})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := doc.Build(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", doc.JSON())
	// Output:
	// building town true ***
	// {
	//   "version": 1,
	//   "handlers": {
	//     "town": {
	//       "kind": "crier",
	//       "shout": true,
	//       "token": "***"
	//     }
	//   },
	//   "root": {
	//     "to": "town"
	//   }
	// }
}

type mailOptions struct {
	Host     string        `config:"host,required"`
	Username string        `doc:"who to log in as"`
	Password config.Secret `doc:"the password of username"`
	From     string        `config:"from,required"`
	To       []string      `config:"to,required"`
}

func registerMail(r *config.Registry) {
	config.Register(r, "mail", func(_ context.Context, o mailOptions, _ *config.Env) (slog.Handler, error) {
		return mail.New(mail.Config{
			Host: o.Host, Username: o.Username, Password: mail.Password(o.Password.Reveal()), From: o.From, To: o.To,
		})
	})
}

// Mails need a module that package config does without, so the program registers
// them, with the options that it wants to have in documents.
func ExampleRegister_mail() {
	r := config.NewRegistry()
	registerMail(r)
	doc, err := config.Parse([]byte(`
version: 1
handlers:
  post:  {kind: mail, host: smtp.example.com, username: shop, password: hunter2, from: shop@example.com, to: [ops@example.com]}
  mails: {kind: buffer, to: post, level: error}
root: {to: [mails]}
`), &config.Options{Registry: r})
	if err != nil {
		log.Fatal(err)
	}
	p, err := doc.Build(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Names())
	if err := slogworks.Shutdown(context.Background(), p); err != nil {
		log.Fatal(err)
	}
	// Output: [mails post]
}
