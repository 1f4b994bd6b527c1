package main

import (
	"context"
	"errors"

	"carrel/shared/agui"
	"carrel/shared/monitor"
	"carrel/shared/usercontext"
)

// measureBegin tells how long the user waited, once the attempt's first record is in the log. Only the first attempt's
// wait is one for a seat and a worker; a later one waited for its predecessor's death, which RunsDied counts.
func (t *turn) measureBegin() {
	run := t.held.Run()
	values := []monitor.Value{monitor.N(monitor.Attempts, run.Attempts)}
	if run.Attempts == 1 {
		values = append(values, monitor.Took(monitor.TimeQueued, run.Started.Sub(run.Created)),
			monitor.Took(monitor.TimeToFirstEvent, t.now().Sub(run.Created)))
	}
	t.monitor.Record(values...)
}

// measureEnd tells how the run ended, once that is written.
func (t *turn) measureEnd(last []agui.Event) {
	t.monitor.Record(monitor.N(monitor.RunsEnded, 1), monitor.N(outcome(last), 1),
		monitor.Took(monitor.TimeRunning, t.now().Sub(t.held.Run().Started)))
}

// measureDelivery tells how the run's events reached its user's connections, once all posts are over.
func (t *turn) measureDelivery() {
	f := t.emitter.Stats()
	t.monitor.Record(monitor.N(monitor.FramesPosted, f.Posted), monitor.N(monitor.FramesRetried, f.Retried),
		monitor.N(monitor.FramesThrottled, f.Throttled), monitor.N(monitor.ConnectionsGone, f.Gone), monitor.N(monitor.ConnectionsCut, f.Cut),
		monitor.N(monitor.DeliveryBehind, f.Behind), monitor.Took(monitor.TimeToDeliver, f.Lag))
}

// measureClose tells what Close of the user context left, and of the process's contexts.
func (t *turn) measureClose(ctx context.Context, err error) {
	left := 0
	if residue := (*usercontext.ResidueError)(nil); errors.As(err, &residue) {
		left = residue.Count()
		t.log.ErrorContext(ctx, "residue of the run", "err", err)
	}
	n := t.gauge.Take()
	t.monitor.Record(monitor.N(monitor.Residue, left), monitor.N(monitor.ContextsMade, n.Made),
		monitor.N(monitor.ContextsCleaned, n.Cleaned), monitor.N(monitor.ContextsActive, n.Active), monitor.N(monitor.ContextsPeak, n.Peak))
}

// outcome is the metric of a run that ended with these events.
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
