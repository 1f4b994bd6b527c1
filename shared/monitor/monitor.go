// Package monitor writes metrics in CloudWatch's embedded metric format and the record of isolation violations. A user's
// id is never a dimension and never stands in clear. What is recorded is written before the call returns.
package monitor

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// namespace is the metrics' in CloudWatch.
const namespace = "Carrel"

// The metrics of the core.
const (
	IsolationViolation = "IsolationViolation" // a guard refused to mix two users
	FramesRefused      = "FramesRefused"      // clients' frames that were answered with error or rejected: the log has the code of each
	FramesShed         = "FramesShed"         // clients' frames over their user's limit: they ended before any request
	RunsDied           = "RunsDied"           // a worker was lost: counted by who goes on with its run, or ends it
	ToolCallsDenied    = "ToolCallsDenied"    // a model called a tool that its user's token does not grant

	// Of each turn, when its run has begun.
	TimeQueued       = "TimeQueued"       // from the admission to the first claim
	TimeToFirstEvent = "TimeToFirstEvent" // from the admission until the run's first event is in the log
	Attempts         = "Attempts"         // which one this is

	// Of each turn, when its run has ended. RunsEnded is the sum of the four after it.
	RunsEnded     = "RunsEnded"
	RunsFinished  = "RunsFinished"
	RunsFailed    = "RunsFailed"
	RunsCancelled = "RunsCancelled"
	RunsSuspended = "RunsSuspended"
	TimeRunning   = "TimeRunning" // from the first claim, all attempts together
	SeatsInUse    = "SeatsInUse"  // of this user, after what waited was started

	// Of each turn, when its user context is closed. Active should be zero then, and Made what Cleaned is.
	Residue         = "Residue" // pieces that were left after the clean-up
	ContextsMade    = "ContextsMade"
	ContextsCleaned = "ContextsCleaned"
	ContextsActive  = "ContextsActive" // now, in this process
	ContextsPeak    = "ContextsPeak"   // at most, in this process

	// Delivery, of each turn when its run has ended.
	FramesPosted    = "FramesPosted"    // messages that connections took; also of each hello that replayed
	FramesRetried   = "FramesRetried"   // posts that were repeated, because they had been throttled
	FramesThrottled = "FramesThrottled" // posts that were refused because a connection, or the account, is too slow
	ConnectionsGone = "ConnectionsGone" // found gone by a post
	ConnectionsCut  = "ConnectionsCut"  // that could not keep up or failed: live delivery ended until their next hello
	TimeToDeliver   = "TimeToDeliver"   // of the slowest live client: from a record's append to the end of its post, at most
	DeliveryBehind  = "DeliveryBehind"  // of the slowest live client: durable events that it was not posted yet, at most

	// Of each hello that brought something, and of each ping of a client that lags.
	Replays        = "Replays"        // cursors from which the log was replayed
	ReplayedEvents = "ReplayedEvents" // events of those
	GapsHealed     = "GapsHealed"     // those, on a socket that had said hello before, that brought all that was missing
	Snapshots      = "Snapshots"      // hellos without a usable cursor
	ClientBehind   = "ClientBehind"   // events that the client has not applied
	TimeBehind     = "TimeBehind"     // how old the first of those is, at least

	// What sweep had to repair, each of which somebody else should have done, but for what expired.
	SweepResumed = "SweepResumed" // runs whose worker died or never came: another attempt was asked for
	SweepEnded   = "SweepEnded"   // such runs without another attempt
	SweepExpired = "SweepExpired" // runs that waited for too long
	SweepStarted = "SweepStarted" // runs that waited although they could have started
	SweepErased  = "SweepErased"  // erasures that were asked for before and are not through
	SweepSeats   = "SweepSeats"   // seats whose run has ended or is gone

	NoCapacity = "NoCapacity" // runs that sweep ended because Lambda had no capacity to start them
)

// Monitor writes one function's metrics and audit records to one stream, one JSON object a line. It is safe for
// concurrent use.
type Monitor struct {
	function string
	log      *slog.Logger
	now      func() time.Time

	mu  sync.Mutex
	out io.Writer
}

// New makes the monitor of one function, which writes to out; what it cannot write is told to log.
func New(out io.Writer, function string, log *slog.Logger) *Monitor {
	return &Monitor{function: function, log: log, now: time.Now, out: out}
}

type metric struct {
	Name, Unit        string
	StorageResolution int `json:",omitempty"` // seconds; absent, CloudWatch's minute
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metadata struct {
	Timestamp         int64
	CloudWatchMetrics []directive
}

// Value is one metric: a count, or a time in milliseconds.
type Value struct {
	name, unit string
	value      any
}

// N is a count.
func N(name string, n int) Value { return Value{name, "Count", n} }

// Took is a time.
func Took(name string, d time.Duration) Value {
	return Value{name, "Milliseconds", float64(max(d, 0).Microseconds()) / 1000}
}

// Count records n of a metric.
func (m *Monitor) Count(name string, n int) { m.Record(N(name, n)) }

// Record records metrics that belong together as one line. Each name may come once.
func (m *Monitor) Record(values ...Value) { m.write(values, nil) }

func (m *Monitor) write(values []Value, more map[string]any) {
	line := map[string]any{"Function": m.function}
	metrics := make([]metric, len(values))
	for i, v := range values {
		metrics[i] = metric{Name: v.name, Unit: v.unit}
		if v.name == IsolationViolation {
			metrics[i].StorageResolution = 1 // an alarm may look at it each ten seconds
		}
		line[v.name] = v.value
	}
	line["_aws"] = metadata{m.now().UnixMilli(), []directive{{namespace, [][]string{{"Function"}}, metrics}}}
	for k, v := range more {
		line[k] = v
	}
	b, err := json.Marshal(line)
	if err == nil {
		m.mu.Lock()
		_, err = m.out.Write(append(b, '\n'))
		m.mu.Unlock()
	}
	if err != nil {
		m.log.Error("metrics are lost", "metrics", fmt.Sprint(values), "err", err)
	}
}
