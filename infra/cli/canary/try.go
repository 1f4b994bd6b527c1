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

// things are what somebody has, or what nobody has.
type things struct {
	said, live, asks          chat.ThreadID // with a run that has ended, one that is working, and one that waits for a person
	saidRun, liveRun, asksRun chat.RunID
	question                  chat.InterruptID
	epoch                     chat.Epoch // of said
	head                      chat.Seq
}

func newThings() things {
	return things{
		said: chat.ThreadID(client.NewID()), live: chat.ThreadID(client.NewID()), asks: chat.ThreadID(client.NewID()),
		saidRun: chat.RunID(client.NewID()), liveRun: chat.RunID(client.NewID()), asksRun: chat.RunID(client.NewID()),
		question: chat.InterruptID(client.NewID()), epoch: chat.Epoch(client.NewID()), head: 9,
	}
}

// canary is one go at it.
type canary struct {
	one, other *person
	theirs     things            // the other's, as far as the one knows them
	nobodys    things            // that nobody has: what is said of them must be the same
	secrets    map[string]string // that may not reach the one: what they are, by their text
	own        string            // what the one says, and may not reach the other
	hidden     chat.ThreadID     // of the other's, which the one is never told of
	searched   int               // how many of the messages that came to the one
	report     report
}

// try has one user try to reach the other by every type of frame, and reports what came of it.
func try(ctx context.Context, p place, r report) error {
	c := &canary{theirs: newThings(), nobodys: newThings(), secrets: map[string]string{}, own: "canary of the one " + client.NewID(), report: r}
	var err error
	if c.other, err = connect(ctx, "the other", p.url, p.tokens[1]); err != nil {
		return err
	}
	defer c.other.close()
	if err := c.furnish(ctx); err != nil {
		return err
	}
	before, err := c.look(ctx)
	if err != nil {
		return err
	}
	if c.one, err = connect(ctx, "the one", p.url, p.tokens[0]); err != nil {
		return err
	}
	defer c.one.close()
	if err := c.live(ctx); err != nil {
		return err
	}
	return errors.Join(c.tries(ctx, p.erase), c.settle(ctx, before, p.erase))
}

// secret makes a text that the other says, and that may not come through.
func (c *canary) secret(what string) string {
	s := "canary-" + client.NewID()
	c.secrets[s] = what
	return s
}

// furnish gives the other something of everything: a thread that something was said on, one that waits for a person, if
// there is a tool that asks, and one that the one is never told of.
func (c *canary) furnish(ctx context.Context) error {
	t := &c.theirs
	ready, err := c.hello(ctx, c.other, t.said)
	if err != nil {
		return err
	}
	c.secrets[string(ready.ConnectionID)] = "the other's connection"
	c.hidden = chat.ThreadID(client.NewID())
	c.secrets[string(c.hidden)] = "a thread of the other's"
	word := c.secret("the other's words")
	for _, r := range []struct {
		thread chat.ThreadID
		run    chat.RunID
		text   string
	}{
		{t.asks, t.asksRun, "/call notes_clear {}"},
		{c.hidden, chat.RunID(client.NewID()), "/say " + word},
		{t.said, t.saidRun, "/say " + word},
	} {
		if err := c.other.says(ctx, r.thread, r.run, r.text); err != nil {
			return err
		}
		if err := c.other.runEnded(ctx, r.run); err != nil {
			return err
		}
	}
	if ready, err = c.hello(ctx, c.other, t.asks); err != nil {
		return err
	}
	if t.question = ""; len(ready.Interrupts) > 0 {
		t.question = chat.InterruptID(ready.Interrupts[0].ID)
	}
	if ready, err = c.hello(ctx, c.other, t.said); err != nil {
		return err
	}
	t.epoch, t.head = ready.Epoch, ready.Head
	c.secrets[string(ready.Epoch)] = "the epoch of the other's thread"
	return nil
}

// live has the other say something for a while.
func (c *canary) live(ctx context.Context) error {
	word := c.secret("the other's words, live")
	return c.other.says(ctx, c.theirs.live, c.theirs.liveRun, fmt.Sprintf("/say %s\n/stream 100 20\n/say %[1]s", word))
}

func (c *canary) hello(ctx context.Context, p *person, thread chat.ThreadID) (*wire.Ready, error) {
	m, err := p.ask(ctx, map[string]any{"type": wire.TypeHello, "n": p.next(), "threadId": thread})
	if err != nil {
		return nil, err
	}
	ready, ok := m.frame.(*wire.Ready)
	if !ok {
		return nil, fmt.Errorf("%s said hello and was told %s", p.name, m.raw)
	}
	return ready, nil
}

// tries are all types of frames but erase, those first that would find what the later ones make. At their end the one
// watches a thread that is called like the other's live one.
func (c *canary) tries(ctx context.Context, erase bool) error {
	var unanswered []error
	for _, typ := range slices.Insert(order(), 0, answers) {
		for _, t := range attempts(typ, c.own, erase) {
			if typ == wire.TypeErase || typ == answers && c.theirs.question == "" {
				continue
			}
			if err := c.attempt(ctx, typ, t); err != nil {
				unanswered = append(unanswered, err) // the other types may tell more
				break
			}
		}
	}
	if len(unanswered) > 0 {
		return errors.Join(unanswered...)
	}
	_, err := c.hello(ctx, c.one, c.theirs.live)
	return err
}

// attempt makes one try. Its answer about the other's things is compared with that about nobody's.
func (c *canary) attempt(ctx context.Context, typ wire.Type, t attempt) error {
	c.report.tried(typ)
	defer c.search(typ)
	theirs, err := c.one.ask(ctx, t.frame(c.theirs, c.one.next()))
	if err != nil || !t.alike {
		return err
	}
	nobodys, err := c.one.ask(ctx, t.frame(c.nobodys, c.one.next()))
	if a, b := shape(theirs.raw, c.theirs), shape(nobodys.raw, c.nobodys); err == nil && a != b {
		c.report.leak(typ, "what is the other's is answered otherwise than what is nobody's")
	}
	return err
}

// order is in which order the types are tried: after a run the one has a thread of that name, after erase nothing.
func order() []wire.Type {
	last := []wire.Type{wire.TypeRun, wire.TypeErase}
	all := slices.DeleteFunc(wire.ClientTypes(), func(t wire.Type) bool { return slices.Contains(last, t) })
	return append(all, last...)
}

// search looks through what has come to the one and was not looked through yet; what came late is noted beside a later type.
func (c *canary) search(typ wire.Type) {
	came := c.one.since(c.searched)
	c.searched += len(came)
	for _, m := range came {
		for text, what := range c.secrets {
			if contains(m.raw, text) {
				c.report.leak(typ, what+" came through")
			}
		}
	}
}
