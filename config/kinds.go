package config

// NewRegistry returns a registry with the kinds of this module that need no
// further module:
//
//	console file memory socket syslog http live notify discard   where records go
//	queue fanout failover router first fingerscrossed buffer      in front of others
//	redact limit context middleware
//
// What they do, and with which options, is that of the packages of this module;
// Schema has them all.
func NewRegistry() *Registry {
	r := new(Registry)
	Register(r, "console", newConsole)
	Register(r, "file", newFile)
	Register(r, "memory", newMemory)
	Register(r, "socket", newSocket)
	Register(r, "syslog", newSyslog)
	Register(r, "http", newHTTP)
	Register(r, "live", newLive)
	Register(r, "notify", newNotify)
	Register(r, "discard", newDiscard)

	Register(r, "queue", newQueue)
	Register(r, "fanout", newFanout)
	Register(r, "failover", newFailover)
	Register(r, "router", newRouterKind)
	Register(r, "first", newFirst)
	Register(r, "fingerscrossed", newFingersCrossed)
	Register(r, "buffer", newBuffer)
	Register(r, "redact", newRedact)
	Register(r, "limit", newLimit)
	Register(r, "context", newContext)
	Register(r, "middleware", newMiddleware)
	return r
}
