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

// start is what an attempt goes on from.
type start struct {
	first   []agui.Event // its first record
	events  []agui.Event // of the run, up to and with the first record
	said    []agui.Message
	pending []engine.PendingCall
}

// begin writes the attempt's first record: nothing else happens until the claim stands in the log. Should an earlier
// attempt have written once more, it is chosen anew.
func (t *turn) begin(ctx context.Context) (start, error) {
	var s start
	var seq chat.Seq
	at := t.now() // of all tries: the log recognises a record that it has by its text
	err := t.durably(ctx, "writing the first record", func(ctx context.Context) (err error) {
		if s, err = t.start(at); err != nil {
			return err
		}
		seq, err = t.held.Append(ctx, s.first)
		return err
	})
	if err != nil {
		return s, err
	}
	t.emitter.Deliver(seq, s.first)
	t.measureBegin()
	if earlier := s.events[:len(s.events)-len(s.first)]; len(earlier) > 0 {
		t.uc.Count(agui.RunStats(earlier))
		t.monitor.Count(monitor.RunsDied, 1)
		t.log.WarnContext(ctx, "going on with a run whose worker died", "attempt", t.held.Run().Attempts,
			"events", len(earlier), "pending", len(s.pending))
	}
	return s, nil
}

// start decides what this attempt goes on from, by what the log holds of the run.
func (t *turn) start(at time.Time) (start, error) {
	run, earlier := t.held.Run(), t.held.PreviousEvents()
	s := start{first: []agui.Event{t.started(at)}}
	var open []string
	if len(earlier) > 0 {
		value, err := json.Marshal(struct {
			Attempt int `json:"attempt"`
		}{run.Attempts})
		if err != nil {
			return s, err
		}
		s.first, open = agui.CloseAttempt(earlier)
		s.first = append(s.first, agui.Event{Type: agui.Custom, Name: "carrel.attempt", Value: value})
		for i := range s.first {
			s.first[i].Timestamp = at.UnixMilli()
		}
	}
	s.events = slices.Concat(earlier, s.first)
	var f agui.Folder
	for _, e := range s.events {
		f.Add(e)
	}
	messages := f.Messages()
	s.said = engine.DropUnfinished(messages)
	for _, m := range messages {
		for _, c := range m.ToolCalls {
			if slices.Contains(open, c.ID) {
				s.pending = append(s.pending, engine.PendingCall{Call: c, MayHaveRun: true})
			}
		}
	}
	return s, nil
}

// started is the run's first event. It names the agent that answers, also if the run asked for none.
func (t *turn) started(at time.Time) agui.Event {
	in := t.held.Input()
	name := in.Agent
	if a, err := t.agents.Agent(name); err == nil { // else the run fails and reports it
		name = a.Name
	}
	return emit.Started(in.RunInput(), name, at)
}

// answered are the calls that a person was asked about in an earlier run, as far as they have no result yet.
func (t *turn) answered(s start) ([]engine.PendingCall, error) {
	earlier := s.events[:len(s.events)-len(s.first)]
	var all []engine.PendingCall
	for _, a := range t.held.Input().Answers {
		p, err := engine.Resolve(a.Asked, a.Resume)
		if err != nil {
			return nil, fmt.Errorf("go on with what a person answered: %w", err)
		}
		p.MayHaveRun = len(earlier) > 0
		if !slices.ContainsFunc(earlier, func(e agui.Event) bool { return e.Type == agui.ToolCallResult && e.ToolCallID == p.Call.ID }) {
			all = append(all, p)
		}
	}
	return all, nil
}

// ready refuses to start work with too little of the lease left: then the process stood still, and the run may be
// somebody else's by now.
func (t *turn) ready(ctx context.Context) error {
	if t.now().Before(t.held.Expires().Add(-leaseMargin)) {
		return nil
	}
	if err := t.renew(ctx); err != nil {
		return fmt.Errorf("%w: its lease is nearly past and could not be renewed: %w", chat.ErrLeaseLost, err)
	}
	return nil
}
