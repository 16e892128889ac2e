package handlertest

import (
	"log/slog"
	"time"
)

// Reporter lets tests see a rule fail.
type Reporter = reporter

const RaceEnabled = raceEnabled

// RuleNames returns the names of the rules of Run, or of RunSink.
func RuleNames(sink bool) []string {
	var names []string
	for _, r := range rules() {
		if !sink || !r.needsNext {
			names = append(names, r.name)
		}
	}
	return names
}

// PairRuleNames returns the names of the rules of Compose.
func PairRuleNames() []string {
	var names []string
	for _, r := range pairRules {
		names = append(names, r.name)
	}
	return names
}

// CheckWrapper checks one rule of Run.
func CheckWrapper(t Reporter, name string, patience time.Duration, newHandler func(slog.Handler) slog.Handler) {
	ruleOf(name).checkWrapper(t, patience, newHandler)
}

// CheckSink checks one rule of RunSink.
func CheckSink(t Reporter, name string, patience time.Duration, newSink func() (slog.Handler, func() []map[string]any)) {
	ruleOf(name).checkSink(t, patience, newSink)
}

func ruleOf(name string) rule {
	for _, r := range rules() {
		if r.name == name {
			return r
		}
	}
	panic("no rule " + name)
}

// CheckPair checks one rule of Compose.
func CheckPair(t Reporter, name string, patience time.Duration, outer, inner Stage) {
	for _, r := range pairRules {
		if r.name == name {
			r.checkPair(t, patience, pair{outer, inner})
			return
		}
	}
	panic("no rule " + name)
}
