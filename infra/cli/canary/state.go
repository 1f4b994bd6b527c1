package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// state is what the other has, as far as nothing of it should change: texts by what they are.
type state map[string]string

// look asks, as the other, for what the other has.
func (c *canary) look(ctx context.Context) (state, error) {
	s, t := state{}, c.theirs
	for _, thread := range []chat.ThreadID{t.said, t.asks} {
		m, err := c.other.ask(ctx, map[string]any{"type": wire.TypeHistory, "threadId": thread})
		if err != nil {
			return nil, err
		}
		page, ok := m.frame.(*wire.HistoryPage)
		if !ok {
			return nil, fmt.Errorf("the other asked for a history and was told %s", m.raw)
		}
		page.RequestID = ""
		s["what was said on the thread "+name(thread, t)] = text(page)
		ready, err := c.hello(ctx, c.other, thread)
		if err != nil {
			return nil, err
		}
		s["the position of the thread "+name(thread, t)] = text([]any{ready.Epoch, ready.Head, ready.Interrupts})
	}
	m, err := c.other.ask(ctx, map[string]any{"type": wire.TypeThreads, "limit": 100})
	if err != nil {
		return nil, err
	}
	list, ok := m.frame.(*wire.ThreadList)
	if !ok {
		return nil, fmt.Errorf("the other asked for the threads and was told %s", m.raw)
	}
	for _, row := range list.Threads {
		if row.ThreadID == t.said || row.ThreadID == t.asks {
			s["the row of the thread "+name(row.ThreadID, t)] = text(row)
		}
	}
	if m, err = c.other.ask(ctx, map[string]any{"type": wire.TypeRuns, "limit": 100}); err != nil {
		return nil, err
	}
	runs, ok := m.frame.(*wire.RunList)
	if !ok {
		return nil, fmt.Errorf("the other asked for the runs and was told %s", m.raw)
	}
	for _, run := range runs.Runs {
		switch run.RunID {
		case t.saidRun, t.asksRun:
			s["the run of the thread "+name(run.ThreadID, t)] = text(run)
		case t.liveRun:
			s["the live run"] = string(run.Status)
		}
	}
	return s, nil
}

func name(id chat.ThreadID, t things) string {
	if id == t.asks {
		return "that asks"
	}
	return "that was talked on"
}

// text is a value as JSON; what the protocol has always has one.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// settle waits for the end of what the other says, and has it say more, while the one watches a thread of that name; has the
// one be forgotten; and then compares what the other has with what it was, whatever of this failed: it may have failed
// because of a leak.
func (c *canary) settle(ctx context.Context, before state, erase bool) error {
	c.report.tried(afterwards)
	err := c.watched(ctx)
	c.search(afterwards)
	if !erase {
		err = errors.Join(err, c.clear(ctx, c.one))
	}
	for _, t := range attempts(wire.TypeErase, c.own, erase) {
		err = errors.Join(err, c.attempt(ctx, wire.TypeErase, t))
	}
	after, lookErr := c.look(ctx)
	if lookErr == nil {
		c.compare(before, after)
	}
	return errors.Join(err, lookErr, c.clear(ctx, c.other))
}

// compare notes what has become of the other's things.
func (c *canary) compare(before, after state) {
	c.search(afterwards)
	for _, m := range c.other.since(0) {
		if contains(m.raw, c.own) {
			c.report.leak(afterwards, "what the one says came to the other")
		}
	}
	if status := after["the live run"]; status == "" || status == string(chat.RunCancelled) {
		c.report.leak(wire.TypeCancel, "the other's run was cancelled or taken away")
	}
	for what, was := range before {
		if after[what] != was {
			c.report.leak(afterwards, "of the other's, "+what+" has changed")
		}
	}
}

// watched has the other speak while the one watches: what it began before may have ended by now.
func (c *canary) watched(ctx context.Context) error {
	if err := c.other.runEnded(ctx, c.theirs.liveRun); err != nil {
		return err
	}
	run := chat.RunID(client.NewID())
	if err := c.other.says(ctx, c.theirs.live, run, "/say "+c.secret("what the other said while the one watched")); err != nil {
		return err
	}
	return c.other.runEnded(ctx, run)
}

// clear takes away what one of them has of this, so that the next go begins as this one did.
func (c *canary) clear(ctx context.Context, p *person) error {
	for _, thread := range []chat.ThreadID{c.theirs.said, c.theirs.asks, c.theirs.live, c.nobodys.said, c.nobodys.live, c.hidden} {
		if p == c.one && thread == c.hidden {
			continue // which it is not to name
		}
		if _, err := p.ask(ctx, map[string]any{"type": wire.TypeDelete, "threadId": thread}); err != nil {
			return err
		}
	}
	return nil
}
