package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// meaning is what an answer that is an error means.
type meaning struct {
	remedy    string // "" if the answer says it
	operator  bool   // somebody has to do something first
	replica   bool   // the server is one, and perhaps no longer the one that is meant
	permanent bool
}

// meaningOf reads an answer to a command for the key. All that somebody can
// mend, at the server or by giving another password, is worth another attempt:
// the records are still there.
func meaningOf(answer, key string) (m meaning) {
	code, _, _ := strings.Cut(answer, " ")
	switch code {
	case "LOADING", "MASTERDOWN", "TRYAGAIN", "ASK", "BUSY", "UNKILLABLE", "UNBLOCKED":
	case "NOGROUP":
		m.remedy = "it is created again"
	case "CLUSTERDOWN":
		m.remedy = "not all of the cluster can be reached, or this server has not joined it"
	case "NOREPLICAS":
		m.remedy = "too few replicas are connected: see min-replicas-to-write"
	case "MOVED":
		m.remedy = "the server is part of a cluster: want a Client made by NewClusterClient"
	case "CROSSSLOT":
		m.remedy, m.operator = "in a cluster, stream and list need one {tag} in both names", true
	case "READONLY":
		m.remedy, m.replica = "this is a replica: use the URL of the primary", true
	case "OOM":
		m.remedy = "the server is at its maxmemory: raise it, or have the stream or list keep less"
	case "MISCONF":
		m.remedy = "the server cannot save to its disk"
	case "NOAUTH":
		m.remedy, m.operator = "the server wants a password: put it into the URL", true
	case "WRONGPASS":
		m.remedy, m.operator = "user or password of the URL are wrong", true
	case "NOPERM":
		m.remedy, m.operator = "the user may not do this: see ACL SETUSER", true
	case "DENIED":
		m.remedy, m.operator = "the server takes no client from another machine: give it a password", true
	case "WRONGTYPE":
		m.remedy, m.operator = fmt.Sprintf("%q holds something else: use another name, or delete it", key), true
	default:
		if strings.HasPrefix(answer, tooManyClients) {
			m.remedy = "raise the maxclients of the server, or find out who all of them are"
		}
		m.operator = true
		m.permanent = strings.HasPrefix(answer, "ERR unknown command") || strings.HasPrefix(answer, "ERR wrong number of arguments")
	}
	return m
}

// explained returns the answer with the remedy, which some answers have a whole
// page of.
func (m meaning) explained(answer string) error {
	if m.remedy == "" {
		return errors.New(answer)
	}
	answer, _, _ = strings.Cut(answer, ". ")
	return fmt.Errorf("%s: %s", strings.TrimSuffix(answer, "."), m.remedy)
}

// answerOf returns what the server said, if err is that.
func answerOf(err error) (text string, ok bool) {
	var answer goredis.Error
	var away turnedAway
	switch {
	case errors.As(err, &away):
		return string(away), true
	case errors.As(err, &answer):
		return answer.Error(), true
	}
	return "", false
}

const tooManyClients = "ERR max number of clients"

// turnedAway is what a server says that hangs up on whoever connects. The client
// would take it for the answer to its greeting, which old servers do not know,
// and go on.
type turnedAway string

func (t turnedAway) Error() string { return string(t) }

// door is a hook of the client that notices this.
type door struct{}

func (door) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		answer, ok := answerOf(err)
		if ok && cmd.Name() == "hello" && (strings.HasPrefix(answer, "DENIED ") || strings.HasPrefix(answer, tooManyClients)) {
			return turnedAway(answer)
		}
		return err
	}
}

func (door) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (door) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// failureOf returns why the commands were not all answered, where err is that of
// the exchange. That there is nothing to read, or no such key, is an answer too.
func failureOf(err error, commands ...goredis.Cmder) error {
	isAnswered := false
	var aborted error
	for _, command := range commands {
		switch err := command.Err(); {
		case err == nil:
		case errors.Is(err, goredis.Nil), strings.Contains(err.Error(), "no such key"):
			isAnswered = true
		case goredis.HasErrorPrefix(err, "EXECABORT"):
			aborted = err // because of one of the others
		default:
			return err
		}
	}
	// Where the connection could not be had, commands have no error of their own.
	if aborted == nil && !isAnswered {
		return err
	}
	return aborted
}
