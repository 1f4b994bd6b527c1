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

// state holds the victim's data that must not change, as JSON, by description.
type state map[string]string

// look reads the victim's data as the victim.
func (c *canary) look(ctx context.Context) (state, error) {
	s, t := state{}, c.existing
	for _, thread := range []chat.ThreadID{t.said, t.asks} {
		m, err := c.victim.ask(ctx, map[string]any{"type": wire.TypeHistory, "threadId": thread})
		if err != nil {
			return nil, err
		}
		page, ok := m.frame.(*wire.HistoryPage)
		if !ok {
			return nil, fmt.Errorf("the victim asked for a history and received %s", m.raw)
		}
		page.RequestID = ""
		s["the history of the thread "+name(thread, t)] = text(page)
		ready, err := c.hello(ctx, c.victim, thread)
		if err != nil {
			return nil, err
		}
		s["the position of the thread "+name(thread, t)] = text([]any{ready.Epoch, ready.Head, ready.Interrupts})
	}
	m, err := c.victim.ask(ctx, map[string]any{"type": wire.TypeThreads, "limit": 100})
	if err != nil {
		return nil, err
	}
	list, ok := m.frame.(*wire.ThreadList)
	if !ok {
		return nil, fmt.Errorf("the victim asked for the threads and received %s", m.raw)
	}
	for _, row := range list.Threads {
		if row.ThreadID == t.said || row.ThreadID == t.asks {
			s["the row of the thread "+name(row.ThreadID, t)] = text(row)
		}
	}
	if m, err = c.victim.ask(ctx, map[string]any{"type": wire.TypeRuns, "limit": 100}); err != nil {
		return nil, err
	}
	runs, ok := m.frame.(*wire.RunList)
	if !ok {
		return nil, fmt.Errorf("the victim asked for the runs and received %s", m.raw)
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

func name(id chat.ThreadID, t ids) string {
	if id == t.asks {
		return "awaiting input"
	}
	return "with messages"
}

// text returns a value as JSON. Values of the protocol always have one.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// settle lets the victim finish and say more while the attacker watches a thread of the same id, has the attacker
// erased, and compares the victim's data with its earlier state. It compares also after an error, which may be caused
// by a leak.
func (c *canary) settle(ctx context.Context, before state, erase bool) error {
	c.report.tried(afterwards)
	err := c.watched(ctx)
	c.search(afterwards)
	if !erase {
		err = errors.Join(err, c.clear(ctx, c.attacker))
	}
	for _, t := range attempts(wire.TypeErase, c.own, erase) {
		err = errors.Join(err, c.attempt(ctx, wire.TypeErase, t))
	}
	after, lookErr := c.look(ctx)
	if lookErr == nil {
		c.compare(before, after)
	}
	return errors.Join(err, lookErr, c.clear(ctx, c.victim))
}

// compare reports changes of the victim's data.
func (c *canary) compare(before, after state) {
	c.search(afterwards)
	for _, m := range c.victim.since(0) {
		if contains(m.raw, c.own) {
			c.report.leak(afterwards, "the victim received the attacker's text")
		}
	}
	if status := after["the live run"]; status == "" || status == string(chat.RunCancelled) {
		c.report.leak(wire.TypeCancel, "the victim's run was cancelled or deleted")
	}
	for what, was := range before {
		if after[what] != was {
			c.report.leak(afterwards, "of the victim, "+what+" has changed")
		}
	}
}

// watched has the victim speak while the attacker watches: the live run may have ended before.
func (c *canary) watched(ctx context.Context) error {
	if err := c.victim.runEnded(ctx, c.existing.liveRun); err != nil {
		return err
	}
	run := chat.RunID(client.NewID())
	if err := c.victim.says(ctx, c.existing.live, run,
		"/say "+c.secret("the victim's words while the attacker watched")); err != nil {
		return err
	}
	return c.victim.runEnded(ctx, run)
}

// clear deletes the threads of one user, so that the next canary begins with none.
func (c *canary) clear(ctx context.Context, p *person) error {
	for _, thread := range []chat.ThreadID{c.existing.said, c.existing.asks, c.existing.live, c.absent.said,
		c.absent.live, c.hidden} {
		if p == c.attacker && thread == c.hidden {
			continue // the attacker must not name it
		}
		if _, err := p.ask(ctx, map[string]any{"type": wire.TypeDelete, "threadId": thread}); err != nil {
			return err
		}
	}
	return nil
}
