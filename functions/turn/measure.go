package main

import (
	"context"
	"errors"

	"carrel/shared/agui"
	"carrel/shared/monitor"
	"carrel/shared/usercontext"
)

// measureBegin records how long the user waited, after the attempt's first record is in the log. The first attempt
// waited for a slot and a worker. A later attempt waited for its predecessor to die, which RunsDied counts, so its wait
// is not recorded.
func (t *turn) measureBegin() {
	run := t.lease.Run()
	values := []monitor.Value{monitor.N(monitor.Attempts, run.Attempts)}
	if run.Attempts == 1 {
		values = append(values, monitor.Took(monitor.TimeQueued, run.Started.Sub(run.Created)),
			monitor.Took(monitor.TimeToFirstEvent, t.now().Sub(run.Created)))
	}
	t.monitor.Record(values...)
}

// measureEnd records the run's outcome and duration, after the end is written.
func (t *turn) measureEnd(last []agui.Event) {
	t.monitor.Record(monitor.N(monitor.RunsEnded, 1), monitor.N(outcome(last), 1),
		monitor.Took(monitor.TimeRunning, t.now().Sub(t.lease.Run().Started)))
}

// measureDelivery records how the run's events reached the user's connections, after the last post.
func (t *turn) measureDelivery() {
	s := t.emitter.Stats()
	t.monitor.Record(monitor.N(monitor.FramesPosted, s.Posted), monitor.N(monitor.FramesRetried, s.Retried),
		monitor.N(monitor.FramesThrottled, s.Throttled), monitor.N(monitor.ConnectionsGone, s.Gone),
		monitor.N(monitor.ConnectionsCut, s.Cut), monitor.N(monitor.DeliveryBehind, s.Behind),
		monitor.Took(monitor.TimeToDeliver, s.Lag))
}

// measureClose records what remains after Close of the user context, and how many contexts the process has.
func (t *turn) measureClose(ctx context.Context, err error) {
	left := 0
	if residue := (*usercontext.ResidueError)(nil); errors.As(err, &residue) {
		left = residue.Count()
		t.log.ErrorContext(ctx, "close the user context", "err", err)
	}
	n := t.gauge.Take()
	t.monitor.Record(monitor.N(monitor.Residue, left), monitor.N(monitor.ContextsMade, n.Made),
		monitor.N(monitor.ContextsCleaned, n.Cleaned), monitor.N(monitor.ContextsActive, n.Active),
		monitor.N(monitor.ContextsPeak, n.Peak))
}

// outcome returns the metric that counts a run with these last events.
func outcome(last []agui.Event) string {
	e := last[len(last)-1]
	switch {
	case e.Type == agui.RunError:
		return monitor.RunsFailed
	case e.Outcome != nil && e.Outcome.Type == agui.OutcomeCancelled:
		return monitor.RunsCancelled
	case e.Outcome != nil && e.Outcome.Type == agui.OutcomeInterrupt:
		return monitor.RunsSuspended
	}
	return monitor.RunsFinished
}
