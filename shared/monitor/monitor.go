// Package monitor writes metrics in CloudWatch's embedded metric format, and records isolation violations. A user's id
// is never a dimension of a metric, and it is written only as a hash. Every method writes its line before it returns.
package monitor

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// namespace holds all metrics in CloudWatch.
const namespace = "Carrel"

// The names of the metrics. Times are in milliseconds.
const (
	IsolationViolation = "IsolationViolation" // a guard refused to mix the data of two users
	FramesRefused      = "FramesRefused"      // client frames answered with error or rejected; the log has each code
	FramesShed         = "FramesShed"         // client frames over their user's limit, dropped before any AWS request
	RunsDied           = "RunsDied"           // lost workers, counted by the function that continues or ends the run
	ToolCallsDenied    = "ToolCallsDenied"    // calls of a tool that the user's token does not grant

	// Recorded by each turn when its run has started.
	TimeQueued       = "TimeQueued"       // from the admission to the first claim
	TimeToFirstEvent = "TimeToFirstEvent" // from the admission until the run's first event is in the log
	Attempts         = "Attempts"         // the number of this attempt, from 1

	// Recorded by each turn when its run has ended. RunsEnded is the sum of the next four.
	RunsEnded     = "RunsEnded"
	RunsFinished  = "RunsFinished"
	RunsFailed    = "RunsFailed"
	RunsCancelled = "RunsCancelled"
	RunsSuspended = "RunsSuspended"
	TimeRunning   = "TimeRunning" // from the first claim, all attempts together
	SlotsInUse    = "SlotsInUse"  // the slots this user holds, after queued runs have been started

	// Recorded by each turn when its user context is closed. ContextsActive should be zero then, and ContextsMade equal
	// to ContextsCleaned.
	Residue         = "Residue" // goroutines, children and clean-ups that remain after the clean-up
	ContextsMade    = "ContextsMade"
	ContextsCleaned = "ContextsCleaned"
	ContextsActive  = "ContextsActive" // now, in this process
	ContextsPeak    = "ContextsPeak"   // at most, in this process

	// Delivery, recorded by each turn when its run has ended.
	FramesPosted    = "FramesPosted"    // messages that connections accepted; each hello that replays records it too
	FramesRetried   = "FramesRetried"   // posts that were repeated after throttling
	FramesThrottled = "FramesThrottled" // posts throttled because of a slow connection or the account limit
	ConnectionsGone = "ConnectionsGone" // connections that a post found closed
	ConnectionsCut  = "ConnectionsCut"  // connections too slow or failed: no live events until their next hello
	TimeToDeliver   = "TimeToDeliver"   // the longest time over all live clients from append to the end of the post
	DeliveryBehind  = "DeliveryBehind"  // the most durable events, over all live clients, that were not posted yet

	// Recorded by each hello that replayed or sent a snapshot, and by each ping of a client that lags.
	Replays        = "Replays"        // cursors from which the log was replayed
	ReplayedEvents = "ReplayedEvents" // events of these replays
	GapsHealed     = "GapsHealed"     // replays for a socket after its first hello that filled the whole gap
	Snapshots      = "Snapshots"      // hellos without a usable cursor
	ClientBehind   = "ClientBehind"   // events that the client has not applied
	TimeBehind     = "TimeBehind"     // the minimum age of the first of these events

	// Repairs by sweep. Except for SweepExpired, each replaces work that another function should have done.
	SweepResumed = "SweepResumed" // runs whose worker died or never started; another attempt was requested
	SweepEnded   = "SweepEnded"   // such runs that had no attempt left
	SweepExpired = "SweepExpired" // runs that were queued for too long
	SweepStarted = "SweepStarted" // runs that were still queued although a slot was free
	SweepErased  = "SweepErased"  // erasures that were requested before and have not completed
	SweepSlots   = "SweepSlots"   // slots whose run has ended or does not exist

	// Failures of models' providers, recorded by each turn.
	ModelRefused = "ModelRefused" // the deployment may not use a model: key, permission, quota, or the model is retired
	ModelInvalid = "ModelInvalid" // a provider found a request invalid, which is a defect of Carrel
	ModelFailed  = "ModelFailed"  // throttled, overloaded or cut, and requested again

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

// New returns the monitor of one function. It writes to out, and reports lines that it cannot write to log.
func New(out io.Writer, function string, log *slog.Logger) *Monitor {
	return &Monitor{function: function, log: log, now: time.Now, out: out}
}

type metric struct {
	Name, Unit        string
	StorageResolution int `json:",omitempty"` // in seconds; if it is absent, CloudWatch stores one value a minute
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

// Value is the value of one metric: a count, or a time in milliseconds.
type Value struct {
	name, unit string
	value      any
}

// N returns the value of a count.
func N(name string, n int) Value { return Value{name, "Count", n} }

// Took returns the value of a time. A negative time becomes 0, because the clocks of two machines may differ.
func Took(name string, d time.Duration) Value {
	return Value{name, "Milliseconds", float64(max(d, 0).Microseconds()) / 1000}
}

// Count records a single count.
func (m *Monitor) Count(name string, n int) { m.Record(N(name, n)) }

// Record records values that belong together as one line. Each name may occur only once.
func (m *Monitor) Record(values ...Value) { m.write(values, nil) }

func (m *Monitor) write(values []Value, fields map[string]any) {
	line := map[string]any{"Function": m.function}
	metrics := make([]metric, len(values))
	for i, v := range values {
		metrics[i] = metric{Name: v.name, Unit: v.unit}
		if v.name == IsolationViolation {
			metrics[i].StorageResolution = 1 // so that an alarm can evaluate it every ten seconds
		}
		line[v.name] = v.value
	}
	line["_aws"] = metadata{m.now().UnixMilli(), []directive{{namespace, [][]string{{"Function"}}, metrics}}}
	for k, v := range fields {
		line[k] = v
	}
	b, err := json.Marshal(line)
	if err == nil {
		m.mu.Lock()
		_, err = m.out.Write(append(b, '\n'))
		m.mu.Unlock()
	}
	if err != nil {
		m.log.Error("write metrics", "metrics", fmt.Sprint(values), "err", err)
	}
}
