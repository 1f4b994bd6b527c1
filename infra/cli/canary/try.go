package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// ids name threads, runs and a question: those of the victim, or ones that do not exist.
type ids struct {
	said, live, asks          chat.ThreadID // with an ended, a running and a suspended run
	saidRun, liveRun, asksRun chat.RunID
	question                  chat.InterruptID
	epoch                     chat.Epoch // of said
	head                      chat.Seq
}

func newIDs() ids {
	return ids{
		said: chat.ThreadID(client.NewID()), live: chat.ThreadID(client.NewID()), asks: chat.ThreadID(client.NewID()),
		saidRun: chat.RunID(client.NewID()), liveRun: chat.RunID(client.NewID()), asksRun: chat.RunID(client.NewID()),
		question: chat.InterruptID(client.NewID()), epoch: chat.Epoch(client.NewID()), head: 9,
	}
}

// canary is one execution of the canary.
type canary struct {
	attacker, victim *person
	existing         ids               // the victim's, which the attacker knows
	absent           ids               // of nothing that exists: their answers must equal those about existing
	secrets          map[string]string // descriptions, by the texts and ids of the victim; the attacker receives none
	own              string            // the attacker's text, which the victim must not receive
	hidden           chat.ThreadID     // a thread of the victim that the attacker does not know
	searched         int               // how many of the attacker's messages were searched
	report           report
}

// try has the attacker try to reach the victim with every type of frame, and reports the leaks.
func try(ctx context.Context, p place, r report) error {
	c := &canary{existing: newIDs(), absent: newIDs(), secrets: map[string]string{},
		own: "canary of the attacker " + client.NewID(), report: r}
	var err error
	if c.victim, err = connect(ctx, "the victim", p.url, p.tokens[1]); err != nil {
		return err
	}
	defer c.victim.close()
	if err := c.furnish(ctx); err != nil {
		return err
	}
	before, err := c.look(ctx)
	if err != nil {
		return err
	}
	if c.attacker, err = connect(ctx, "the attacker", p.url, p.tokens[0]); err != nil {
		return err
	}
	defer c.attacker.close()
	if err := c.live(ctx); err != nil {
		return err
	}
	return errors.Join(c.tries(ctx, p.erase), c.settle(ctx, before, p.erase))
}

// secret makes a text that the victim says and the attacker must not receive.
func (c *canary) secret(what string) string {
	s := "canary-" + client.NewID()
	c.secrets[s] = what
	return s
}

// furnish gives the victim data of every kind: a thread with a message, a thread that is awaiting input (if there is a
// tool that asks), and a thread that the attacker does not know.
func (c *canary) furnish(ctx context.Context) error {
	t := &c.existing
	ready, err := c.hello(ctx, c.victim, t.said)
	if err != nil {
		return err
	}
	c.secrets[string(ready.ConnectionID)] = "the victim's connection"
	c.hidden = chat.ThreadID(client.NewID())
	c.secrets[string(c.hidden)] = "a thread of the victim"
	word := c.secret("the victim's words")
	for _, r := range []struct {
		thread chat.ThreadID
		run    chat.RunID
		text   string
	}{
		{t.asks, t.asksRun, "/call notes_clear {}"},
		{c.hidden, chat.RunID(client.NewID()), "/say " + word},
		{t.said, t.saidRun, "/say " + word},
	} {
		if err := c.victim.says(ctx, r.thread, r.run, r.text); err != nil {
			return err
		}
		if err := c.victim.runEnded(ctx, r.run); err != nil {
			return err
		}
	}
	if ready, err = c.hello(ctx, c.victim, t.asks); err != nil {
		return err
	}
	if t.question = ""; len(ready.Interrupts) > 0 {
		t.question = chat.InterruptID(ready.Interrupts[0].ID)
	}
	if ready, err = c.hello(ctx, c.victim, t.said); err != nil {
		return err
	}
	t.epoch, t.head = ready.Epoch, ready.Head
	c.secrets[string(ready.Epoch)] = "the epoch of the victim's thread"
	return nil
}

// live starts a run of the victim that takes some seconds.
func (c *canary) live(ctx context.Context) error {
	word := c.secret("the victim's live words")
	return c.victim.says(ctx, c.existing.live, c.existing.liveRun,
		fmt.Sprintf("/say %s\n/stream 100 20\n/say %[1]s", word))
}

func (c *canary) hello(ctx context.Context, p *person, thread chat.ThreadID) (*wire.Ready, error) {
	m, err := p.ask(ctx, map[string]any{"type": wire.TypeHello, "n": p.next(), "threadId": thread})
	if err != nil {
		return nil, err
	}
	ready, ok := m.frame.(*wire.Ready)
	if !ok {
		return nil, fmt.Errorf("%s sent hello and received %s", p.name, m.raw)
	}
	return ready, nil
}

// tries makes the attempts of every frame type but erase. Types that would find the results of others come first. In
// the end the attacker watches a thread with the id of the victim's live one.
func (c *canary) tries(ctx context.Context, erase bool) error {
	var unanswered []error
	for _, typ := range slices.Insert(order(), 0, answers) {
		for _, t := range attempts(typ, c.own, erase) {
			if typ == wire.TypeErase || typ == answers && c.existing.question == "" {
				continue
			}
			if err := c.attempt(ctx, typ, t); err != nil {
				unanswered = append(unanswered, err) // the other types may still find a leak
				break
			}
		}
	}
	if len(unanswered) > 0 {
		return errors.Join(unanswered...)
	}
	_, err := c.hello(ctx, c.attacker, c.existing.live)
	return err
}

// attempt makes one attempt, and compares the answer about the victim's ids with the answer about absent ones.
func (c *canary) attempt(ctx context.Context, typ wire.Type, t attempt) error {
	c.report.tried(typ)
	defer c.search(typ)
	theirs, err := c.attacker.ask(ctx, t.frame(c.existing, c.attacker.next()))
	if err != nil || !t.alike {
		return err
	}
	nobodys, err := c.attacker.ask(ctx, t.frame(c.absent, c.attacker.next()))
	if a, b := shape(theirs.raw, c.existing), shape(nobodys.raw, c.absent); err == nil && a != b {
		c.report.leak(typ, "the answer about the victim differs from the answer about absent ids")
	}
	return err
}

// order returns the frame types in the order of the attempts. After a run the attacker has a thread of that id, and
// after erase nothing.
func order() []wire.Type {
	last := []wire.Type{wire.TypeRun, wire.TypeErase}
	all := slices.DeleteFunc(wire.ClientTypes(), func(t wire.Type) bool { return slices.Contains(last, t) })
	return append(all, last...)
}

// search searches the attacker's messages since the last search for the victim's secrets. A leak that arrives late is
// reported under a later type.
func (c *canary) search(typ wire.Type) {
	received := c.attacker.since(c.searched)
	c.searched += len(received)
	for _, m := range received {
		for text, what := range c.secrets {
			if contains(m.raw, text) {
				c.report.leak(typ, what+" leaked")
			}
		}
	}
}
