package main

import (
	"strings"
	"testing"

	"github.com/slogworks/slogworks/config"
)

// elva publishes to the channel that her page reads.
const elva = `version: 1
handlers:
  redis:     {kind: redis, url: "redis://127.0.0.1:6379/0", channel: hermey, format: redislog, level: debug}
  redis_q:   {kind: queue, to: redis, capacity: 16384, max_batch: 500}
  other.log: {kind: file, path: other.log, level: info, naming: numbered, max_backups: 5, max_size: 10MB, format: {layout: "{time} - {logger} - {level} - {msg}"}}
root: {level: warn, to: []}
loggers:
  my.log:     {level: debug, to: [other.log, redis_q]}
  exceptions: {to: [redis_q]}
`

func kindsDocument(handler string) string {
	return "version: 1\nhandlers:\n  a: " + handler + "\nroot: {to: [a]}\n"
}

func TestKinds_takeTheirOptions(t *testing.T) {
	t.Setenv("SLOGWORKS_SECRET", "hush")
	for name, document := range map[string]string{
		"Elva's": elva,
		"every option of redis": kindsDocument(`{kind: redis, url: "rediss://elva@127.0.0.1:6380/1", password: "${SLOGWORKS_SECRET}", channel: a, stream: b, list: c,
    max_len: -1, max_list: 100, format: wire, tls: {server_name: redis.example.org}, max_record_bytes: 8KiB, dial_timeout: 1s, timeout: 2s,
    backoff: {min: 1s, max: 1m}, host: h, process: p, level: warn}`),
		"every option of mail": kindsDocument(`{kind: mail, host: smtp.example.org, port: 465, tls: implicit, tls_config: {server_name: mail.example.org}, helo: shop,
    timeout: 1m, username: shop, password: "${SLOGWORKS_SECRET}", auth: [PLAIN, LOGIN], from: Shop <shop@example.org>, to: [a@example.org], cc: [b@example.org], bcc: [c@example.org],
    subject: "[shop] {{.Subject}}", text: "{{range .Groups}}{{.Count}}{{end}}", html: "<p>{{.Level}}</p>", max_attach: 1MiB, level: error}`),
		"a mail without attachment": kindsDocument(`{kind: mail, host: localhost, from: a@example.org, bcc: [b@example.org], no_attach: true}`),
	} {
		d, err := config.Parse([]byte(document), &config.Options{Registry: newRegistry()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text := string(d.JSON()); strings.Contains(text, "hush") || strings.Contains(text, "SECRET") {
			t.Errorf("%s: the secret is in %s", name, text)
		}
	}
}

func TestKinds_sayWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ handler, want string }{
		{`{kind: redis}`, "needs url"},
		{`{kind: redis, url: "http://127.0.0.1"}`, "redis://"},
		{`{kind: redis, url: "redis://:hush@127.0.0.1:x"}`, "redis"},
		{`{kind: redis, url: "redis://:hush@127.0.0.1", password: more}`, "one of the two"},
		{`{kind: redis, url: "redis://127.0.0.1", tls: {ca_file: x}}`, "rediss://"},
		{`{kind: redis, url: "redis://127.0.0.1", maxlen: 1}`, `did you mean "max_len"?`},
		{`{kind: redis, url: "redis://127.0.0.1", format: json}`, "wire, redislog"},
		{`{kind: redis, url: "redis://127.0.0.1", stream: a, list: a}`, "both stream and list"},
		{`{kind: mail, host: localhost, from: a@example.org}`, "recipient"},
		{`{kind: mail, host: localhost, from: nobody, to: [b@example.org]}`, "From"},
		{`{kind: mail, host: localhost, from: a@example.org, to: [b@example.org], password: hush}`, "no username"},
		{`{kind: mail, host: localhost, from: a@example.org, to: [b@example.org], subject: "{{"}`, "subject"},
		{`{kind: mail, host: localhost, from: a@example.org, to: [b@example.org], subject: "{{.Sbject}}"}`, "Sbject"},
		{`{kind: mail, host: localhost, from: a@example.org, to: [b@example.org], text: "{{.Nothing}}"}`, "Nothing"},
		{`{kind: mail, host: localhost, from: a@example.org, to: [b@example.org], no_attach: true, max_attach: 1MiB}`, "choose one"},
		{`{kind: mail, host: example.org, from: a@example.org, to: [b@example.org], username: a, password: hush, tls: plaintext}`, "unencrypted"},
	} {
		_, err := config.Parse([]byte(kindsDocument(test.handler)), &config.Options{Registry: newRegistry(), File: "f"})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "f:3: handlers.a") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v; want %q", test.handler, err, test.want)
		}
	}
}
