package levels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/units"
)

// maxBody is how many bytes of a request's body are read.
const maxBody = 64 << 10

// change is what a request asks for.
type change struct{ logger, level, ttl string }

// answer is the state of a logger.
type answer struct {
	Logger  string            `json:"logger,omitempty"`
	Level   string            `json:"level"`
	Until   time.Time         `json:"until,omitzero"`
	Loggers map[string]answer `json:"loggers,omitempty"`
}

// ServeHTTP shows and changes levels. It does what the ServeHTTP of
// zap.AtomicLevel (go.uber.org/zap) does, and more:
//
//	GET                                 {"level":"info"}
//	PUT    {"level":"debug"}            as JSON, or
//	PUT    level=debug                  as a form or in the query
//
// That is about every logger that no rule for a name covers. The answer has the
// rules too, as {"level":"info","loggers":{"shop.db":{"level":"debug"}}}.
// A logger is named, and a rule made to end by itself, by the further fields
// logger and ttl of the JSON, the form or the query, of which the body counts:
//
//	GET    ?logger=shop.db              {"logger":"shop.db","level":"info"}
//	PUT    logger=shop.db&level=debug&ttl=10m
//	                                    {"logger":"shop.db","level":"debug","until":"2026-01-02T15:04:05Z"}
//	DELETE logger=shop.db               removes the rule; without a logger, the one for all
//
// so that this turns one logger to debug for ten minutes:
//
//	curl -X PUT localhost:8080/log/level -d logger=shop.db -d level=debug -d ttl=10m
//
// Levels are those of [Parse]. A ttl is one of [time.ParseDuration], also with
// days, as in 7d, and above 0. A mistake in the request changes nothing, an unknown
// field of a body and a logger in the path, as in /levels/shop.db, among them: it
// is answered with 400 and {"error":"…"}, which says what is accepted; other
// methods with 405.
//
// Whoever can reach ServeHTTP can change levels: it asks for no password, so
// serve it on an address that only operators reach, or behind what asks.
func (t *Table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		t.reply(w, r.URL.Query().Get("logger"))
	case http.MethodPut, http.MethodDelete:
		c, err := readChange(w, r)
		switch {
		case err != nil:
		case c.logger == "" && namesOne(r):
			err = errors.New("levels: a logger is not named by the path: send logger=NAME in the query or the body")
		case r.Method == http.MethodPut:
			err = t.apply(c)
		default:
			err = t.remove(c)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		t.reply(w, c.logger)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("levels: method %s: want GET, PUT or DELETE", r.Method))
	}
}

// namesOne reports whether the path names a logger and nothing else does: below
// where the table is mounted, it ends in levels/NAME, as the addresses of config
// do. To change the level of all loggers would be far more than was asked for.
func namesOne(r *http.Request) bool {
	_, name, found := strings.Cut(r.URL.Path, "/levels/")
	return found && name != "" && strings.HasSuffix(r.Pattern, "/") && !r.URL.Query().Has("logger")
}

// reply writes the state of the logger or, if it has no name, of all.
func (t *Table) reply(w http.ResponseWriter, logger string) {
	a := answer{Logger: logger, Level: format(t.Level(logger))}
	for _, rule := range t.Rules() {
		until := rule.Until.UTC().Truncate(time.Second)
		switch {
		case rule.Logger == logger:
			a.Level, a.Until = format(rule.Level), until
		case logger == "":
			if a.Loggers == nil {
				a.Loggers = map[string]answer{}
			}
			a.Loggers[rule.Logger] = answer{Level: format(rule.Level), Until: until}
		}
	}
	write(w, http.StatusOK, a)
}

func refuse(w http.ResponseWriter, status int, message string) {
	write(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is the client's, who has gone.
	_ = json.NewEncoder(w).Encode(v)
}

func (t *Table) apply(c change) error {
	if c.level == "" {
		return errors.New(`levels: no level: send {"level":"debug"} as JSON or level=debug as a form`)
	}
	level, err := Parse(c.level)
	if err != nil {
		return err
	}
	var ttl time.Duration
	if c.ttl != "" {
		ttl, err = units.Duration(c.ttl)
		if err != nil || ttl <= 0 {
			return fmt.Errorf("levels: bad ttl %q: want a duration above 0, such as 90s, 10m or 7d; leave it out for a level that stays", c.ttl)
		}
	}
	t.Set(c.logger, level, ttl)
	return nil
}

func (t *Table) remove(c change) error {
	if c.level != "" || c.ttl != "" {
		return errors.New("levels: DELETE removes a rule, and takes no level and no ttl: leave them out, or use PUT")
	}
	t.Reset(c.logger)
	return nil
}

// readChange reads the query and then the body, whose fields count where both
// have them.
func readChange(w http.ResponseWriter, r *http.Request) (change, error) {
	query := r.URL.Query()
	c := change{query.Get("logger"), query.Get("level"), query.Get("ttl")}
	if r.Body == nil { // in a request that came by no server
		return c, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return c, fmt.Errorf("levels: read the body: %w", err)
	}
	body = bytes.TrimSpace(body)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
		return c, nil
	case media == "application/x-www-form-urlencoded" && body[0] != '{':
		return c, c.readForm(string(body))
	}
	// curl -d calls JSON a form too.
	return c, c.readJSON(body)
}

func (c *change) readForm(body string) error {
	form, err := url.ParseQuery(body)
	if err != nil {
		return fmt.Errorf("levels: malformed form: %w", err)
	}
	for key, values := range form {
		field := c.field(key)
		if field == nil || len(values) > 1 {
			return fmt.Errorf("levels: bad field %q in the form: want level, logger and ttl, each once", key)
		}
		*field = values[0]
	}
	return nil
}

func (c *change) field(key string) *string {
	switch key {
	case "logger":
		return &c.logger
	case "level":
		return &c.level
	case "ttl":
		return &c.ttl
	}
	return nil
}

// readJSON is strict, because a misspelt ttl would leave a level for ever.
func (c *change) readJSON(body []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return fmt.Errorf(`levels: malformed JSON, want {"level":"debug"}: %w`, err)
	}
	for key, value := range fields {
		field := c.field(key)
		text, isText := value.(string)
		number, isNumber := value.(float64)
		switch {
		case field == nil || !isText && !(isNumber && key == "level"):
			return fmt.Errorf("levels: bad field %q in the JSON: want level, logger and ttl, as strings", key)
		case isText:
			*field = text
		default:
			*field = fmt.Sprint(number)
		}
	}
	return nil
}
