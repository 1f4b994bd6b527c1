// Package monitor writes metrics in CloudWatch's embedded metric format and the record of isolation violations. A user's
// id is never a dimension and never stands in clear.
package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"carrel/shared/chat"
)

// namespace is the metrics' in CloudWatch.
const namespace = "Carrel"

// The metrics of the core.
const (
	IsolationViolation = "IsolationViolation" // a guard refused to mix two users
	Residue            = "Residue"            // something was left of a run after its clean-up
	RunsEnded          = "RunsEnded"
	RunsDied           = "RunsDied" // ended by sweep

	// What sweep had to repair, each of which somebody else should have done.
	SweepResumed = "SweepResumed" // runs whose worker died or never came: another attempt was asked for
	SweepEnded   = "SweepEnded"   // such runs without another attempt
	SweepExpired = "SweepExpired" // runs that waited for too long
	SweepStarted = "SweepStarted" // runs that waited although they could have started
	SweepErased  = "SweepErased"  // erasures that were asked for before and are not through
	SweepSeats   = "SweepSeats"   // seats whose run has ended or is gone
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

type metric struct{ Name, Unit string }

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metadata struct {
	Timestamp         int64
	CloudWatchMetrics []directive
}

// Count records n of a metric.
func (m *Monitor) Count(name string, n int) { m.write(name, n, nil) }

// Violation records that a guard refused to mix two users: which guard, and the hash of whose request it was. Content is
// never recorded.
func (m *Monitor) Violation(ctx context.Context, guard string, u chat.User) {
	m.log.ErrorContext(ctx, "isolation violation", "guard", guard, "user", u)
	m.write(IsolationViolation, 1, map[string]any{"Guard": guard, "UserHash": u.Hash()})
}

func (m *Monitor) write(name string, n int, more map[string]any) {
	line := map[string]any{
		"_aws":     metadata{m.now().UnixMilli(), []directive{{namespace, [][]string{{"Function"}}, []metric{{name, "Count"}}}}},
		"Function": m.function,
		name:       n,
	}
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
		m.log.Error("a metric is lost", "metric", name, "n", n, "reason", fmt.Sprint(err))
	}
}
