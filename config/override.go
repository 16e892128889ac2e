package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/level"
	"github.com/slogworks/slogworks/internal/units"
	"github.com/slogworks/slogworks/levels"
)

// Levels that an operator sets stand over those of the document: one with a ttl
// until that ends, one without until the document changes.

// setLevel puts a logger, "" being the root, at a level for a time, or until the
// document changes if ttl is 0.
func (m *Manager) setLevel(logger string, l slog.Level, ttl time.Duration) {
	m.mu.Lock()
	m.now.table.Set(logger, l, ttl)
	m.mu.Unlock()
	m.log.Info("level changed", "name", nameOf(logger), "level", l, "ttl", ttl)
}

// resetLevel puts a logger back to what the document says.
func (m *Manager) resetLevel(logger string) {
	m.mu.Lock()
	document := new(levels.Table)
	m.now.document.setLevels(document)
	m.now.table.Reset(logger)
	for _, rule := range document.Rules() {
		if rule.Logger == logger {
			m.now.table.Set(logger, rule.Level, 0)
		}
	}
	m.mu.Unlock()
	m.log.Info("level reset", "name", nameOf(logger))
}

// carryOver puts the rules that end by themselves into the table of the next
// generation.
func carryOver(from, to *levels.Table) {
	for _, rule := range from.Rules() {
		if rest := time.Until(rule.Until); rest > 0 {
			to.Set(rule.Logger, rule.Level, rest)
		}
	}
}

// forget stops the timers of a table that nobody uses any more.
func forget(t *levels.Table) {
	for _, rule := range t.Rules() {
		if !rule.Until.IsZero() {
			t.Reset(rule.Logger)
		}
	}
}

// Levels returns the part of [Manager.Admin] that is about levels, without its
// checks: for mounting behind what asks for a token and refuses other sites
// itself, such as the Levels of a page of sinks/live.
func (m *Manager) Levels() http.Handler { return http.HandlerFunc(m.serveLevels) }

// rootName is what the root is called in paths. An empty name would be easily
// taken for another path.
const rootName = "root"

func nameOf(logger string) string { return cmp.Or(logger, rootName) }

// serveLevels answers what is below /levels.
func (m *Manager) serveLevels(w http.ResponseWriter, r *http.Request) {
	if m.Generation() == 0 { // a page may be there before all else is
		refuse(w, http.StatusServiceUnavailable, errors.New("config: the pipeline does not run yet"))
		return
	}
	name, isOne := strings.CutPrefix(r.URL.Path, "/levels/")
	logger := name
	if logger == rootName {
		logger = ""
	}
	switch isRead := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case isOne && name != "" && isRead:
		answer(w, http.StatusOK, m.levelOf(logger))
	case isOne && name != "" && r.Method == http.MethodPut:
		m.putLevel(w, r, logger)
	case isOne && name != "" && r.Method == http.MethodDelete:
		m.resetLevel(logger)
		answer(w, http.StatusOK, m.levelOf(logger))
	case isOne && name != "":
		refuseMethod(w, r, "GET, HEAD, PUT, DELETE")
	case r.URL.Path == "/levels" && isRead:
		m.allLevels(w)
	case r.URL.Path == "/levels":
		refuseMethod(w, r, "GET, HEAD")
	default:
		refuse(w, http.StatusNotFound, fmt.Errorf("config: no %s here: want /config, /levels or /levels/NAME", r.URL.Path))
	}
}

// loggerLevel is the level of a logger, or a rule.
type loggerLevel struct {
	Logger string    `json:"logger,omitempty"`
	Level  string    `json:"level"`
	Until  time.Time `json:"until,omitzero"`
}

func newLoggerLevel(logger string, l slog.Level, until time.Time) loggerLevel {
	return loggerLevel{logger, strings.ToLower(l.String()), until.UTC().Truncate(time.Second)}
}

// levelOf returns the level that the logger is at, by whatever rule.
func (m *Manager) levelOf(logger string) loggerLevel {
	table := m.current().table
	until := time.Time{}
	for _, rule := range table.Rules() {
		if rule.Logger == logger {
			until = rule.Until
		}
	}
	return newLoggerLevel(nameOf(logger), table.Level(logger), until)
}

func (m *Manager) allLevels(w http.ResponseWriter) {
	table := m.current().table
	all := struct {
		Root    string                 `json:"root"`
		Loggers map[string]loggerLevel `json:"loggers"`
	}{newLoggerLevel("", table.Level(""), time.Time{}).Level, map[string]loggerLevel{}}
	for _, rule := range table.Rules() {
		if rule.Logger != "" {
			all.Loggers[rule.Logger] = newLoggerLevel("", rule.Level, rule.Until)
		}
	}
	answer(w, http.StatusOK, all)
}

func (m *Manager) putLevel(w http.ResponseWriter, r *http.Request, logger string) {
	inURL, given, err := parameter(r, "ttl")
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuseBody(w, err)
		return
	}
	fields, err := readFields(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	l, ok := level.Parse(fields["level"])
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Errorf("config: level %q: want debug, info, warn or error, with an offset as in error+4, or a number", fields["level"]))
		return
	}
	if given {
		fields["ttl"] = inURL
	}
	var ttl time.Duration
	if text, ok := fields["ttl"]; ok {
		if ttl, err = units.Duration(text); err != nil || ttl <= 0 {
			refuse(w, http.StatusBadRequest, fmt.Errorf("config: ttl %q: want a time such as 90s, 10m or 7d; leave it out for a level that stays", text))
			return
		}
	}
	m.setLevel(logger, l, ttl)
	answer(w, http.StatusOK, m.levelOf(logger))
}

// readFields reads {"level":"debug"} or level=debug. The Content-Type does not
// tell them apart: curl -d calls everything a form.
func readFields(body []byte) (map[string]string, error) {
	fields := map[string]string{}
	if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "{") {
		var object map[string]any
		if err := json.Unmarshal(body, &object); err != nil {
			return nil, fmt.Errorf(`config: want {"level":"debug"}: %w`, err)
		}
		for key, value := range object {
			fields[key] = fmt.Sprint(value)
		}
	} else {
		form, err := url.ParseQuery(text)
		if err != nil {
			return nil, fmt.Errorf("config: want level=debug: %w", err)
		}
		for key := range form {
			// In a form, + is a blank; no level and no time has one.
			fields[key] = strings.ReplaceAll(form.Get(key), " ", "+")
		}
	}
	for key := range fields {
		if key != "level" && key != "ttl" {
			// A misspelt ttl would leave a level for ever.
			return nil, fmt.Errorf("config: unknown field %q: want level and ttl", key)
		}
	}
	if fields["level"] == "" {
		return nil, errors.New(`config: no level: send {"level":"debug"} or level=debug`)
	}
	return fields, nil
}
