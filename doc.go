// Package slogworks is what the packages of this module share. Each of them
// wraps a [slog.Handler] or produces one, so that a pipeline is put together by
// calling functions and given to [slog.New]:
//
//	people := console.New(os.Stderr, nil)
//	programs := queue.New(slog.NewJSONHandler(file, nil), nil)
//	h := fanout.New(people, programs)
//	defer slogworks.Shutdown(context.Background(), h)
//	logger := slog.New(h)
//
// The packages:
//
//   - fanout: many handlers as one: all, routed, first match, failover,
//     encode once
//   - context, package slogctx: attributes, processors and handlers carried by
//     a context
//   - context/httplog: requests to a net/http server
//   - fingerscrossed: records held until it is known whether they are needed
//   - levels: a level per logger, changed while the program runs
//   - redact: secrets out of records
//   - limit: storms and repeats cut short and counted
//   - queue: hand-off to a slow handler, off the caller's path
//   - rotate: a file that rotates by size and time, also shared by processes;
//     rotate/lumberjack: the same on a lumberjack
//   - buffer: records collected over restarts until they are worth a batch;
//     buffer/mail: a batch as one mail
//   - notify: notifications by a command or a webhook
//   - sinks/console: records for people, in colour on a terminal
//   - sinks/socket: records from process to process, Python's too
//   - sinks/syslog, sinks/httpsink: records to and from syslog and HTTP
//   - sinks/redis: records to Redis, and from there, for many machines
//   - sinks/live: the log in the browser while it is written
//   - sinks/memory: records for unit tests
//   - config: a pipeline from a document, replaced while the program runs
//   - handlertest: a conformance test for handlers
//
// Shared here are [Flush], [Shutdown] and [Books], which reach every stage of a
// pipeline; [View] and [Predicate], by which a stage looks at records with all
// their attributes; [Named], which names loggers; and [Batch] with
// [DeliveryError], by which stages hand records on together and say what became
// of them. Nothing here starts a goroutine. Use log/slog alone where records go
// to one place that is always up.
//
// You never get less than slog alone would have written, and every loss has a
// number: what a stage drops it counts by reason, and after [Shutdown] the
// [Account] of each stage balances. What is lost without a number is what a
// process holds in memory when it is killed or calls os.Exit; the package
// comment of each stage says what that can be.
package slogworks
