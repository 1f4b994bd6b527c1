package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/engine"
	"carrel/shared/monitor"
)

// start is the state of the run in which an attempt begins to work.
type start struct {
	first    []agui.Event         // the events of the attempt's first record
	events   []agui.Event         // the run's events, including the first record
	messages []agui.Message       // the messages that these events build
	pending  []engine.PendingCall // calls that the previous attempt began and did not finish
}

// begin writes the attempt's first record. Nothing else happens before that record is in the log. If a previous attempt
// has written another record in the meantime, begin computes the first record again. A worker that continues a run
// that was handed over has no first record.
func (t *turn) begin(ctx context.Context) (start, error) {
	var s start
	var seq chat.Seq
	at := t.now() // the same for all tries, so that the log recognises a record that it has already by its text
	err := t.durably(ctx, "first record", func(ctx context.Context) (err error) {
		if s, err = t.start(at); err != nil {
			return err
		}
		if len(s.first) > 0 {
			seq, err = t.lease.Append(ctx, s.first)
		}
		return err
	})
	if err != nil {
		return s, err
	}
	previous := s.events[:len(s.events)-len(s.first)]
	if t.lease.Continues() && len(previous) > 0 {
		t.uc.Count(agui.RunStats(previous))
		t.log.InfoContext(ctx, "continue a run that was handed over", "handOvers", t.lease.Run().HandOvers,
			"events", len(previous), "pending", len(s.pending))
		return s, nil
	}
	t.emitter.Deliver(seq, s.first, row(t.lease.Thread(), chat.ThreadRunning))
	t.measureBegin()
	if len(previous) > 0 {
		t.uc.Count(agui.RunStats(previous))
		t.monitor.Count(monitor.RunsDied, 1)
		t.log.WarnContext(ctx, "continue a run whose worker died", "attempt", t.lease.Run().Attempts,
			"events", len(previous), "pending", len(s.pending))
	}
	return s, nil
}

// start derives the attempt's starting state from the run's events in the log.
func (t *turn) start(at time.Time) (start, error) {
	run, previous := t.lease.Run(), t.lease.PreviousEvents()
	s := start{first: []agui.Event{t.started(at)}}
	var open []string
	if len(previous) > 0 {
		value, err := json.Marshal(struct {
			Attempt int `json:"attempt"`
		}{run.Attempts})
		if err != nil {
			return s, err
		}
		s.first, open = agui.CloseAttempt(previous)
		if t.lease.Continues() {
			s.first = nil // nothing is left open
		} else {
			s.first = append(s.first, agui.Event{Type: agui.Custom, Name: agui.CustomAttempt, Value: value})
		}
		for i := range s.first {
			s.first[i].Timestamp = at.UnixMilli()
		}
	}
	s.events = slices.Concat(previous, s.first)
	var f agui.Folder
	for _, e := range s.events {
		f.Add(e)
	}
	s.messages = f.Messages()
	s.pending = engine.UnfinishedCalls(agui.Line(previous, ""), open)
	return s, nil
}

// started makes the run's first event. It names the agent that answers, even if the run names none.
func (t *turn) started(at time.Time) agui.Event {
	in := t.lease.Input()
	name := in.Agent
	if a, err := t.agents.Agent(name, in.Grants); err == nil { // if not, prepare reports it and the run fails
		name = a.Name
	}
	return emit.Started(in.RunInput(), name, at)
}

// resolved returns the calls that an earlier run interrupted and this run's responses decide. Calls whose result is in
// the log already are left out.
func (t *turn) resolved(s start) ([]engine.PendingCall, error) {
	previous := s.events[:len(s.events)-len(s.first)]
	var all []engine.PendingCall
	for _, a := range t.lease.Input().Responses {
		p, err := engine.Resolve(a.Interrupt, a.Resume)
		if err != nil {
			return nil, fmt.Errorf("apply a response to an interrupt: %w", err)
		}
		p.MayHaveRun = len(previous) > 0
		if len(p.Path) > 0 || !agui.HasResult(previous, p.Call.ID) { // the engine continues the lines of a path
			all = append(all, p)
		}
	}
	return all, nil
}

// ready returns an error if the lease is about to expire and cannot be renewed. A lease that short means that the
// process was suspended, and that another worker may have the run by now.
func (t *turn) ready(ctx context.Context) error {
	if t.now().Before(t.lease.Expires().Add(-leaseMargin)) {
		return nil
	}
	if err := t.renew(ctx); err != nil {
		return fmt.Errorf("%w: it is about to expire and could not be renewed: %w", chat.ErrLeaseLost, err)
	}
	return nil
}
