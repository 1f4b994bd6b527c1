package client_test

import (
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// run is an admitted run.
type run struct {
	id     chat.RunID
	thread *thread
	life   *life
	frame  *wire.Run
	taken  []agui.Interrupt // the interrupts that it answers
	began  bool
	over   bool
	cancel bool
	texts  int // steps with text so far
	length int // of them in all
	pause  time.Duration
}

// admit admits a run if it answers the thread's open interrupts, and returns the reply to the client.
func (b *backend) admit(f *wire.Run) wire.ServerFrame {
	t := b.thread(f.ThreadID)
	r := b.runs[f.RunID]
	if r != nil && b.lapsed(lapseSame) && r.over && t.life != nil && !b.hasActive(t) {
		r.over, r.began, r.texts, r.life = false, false, 0, t.life
		b.active = append(b.active, r)
		b.work(r)
	}
	if r == nil && t.deleted {
		return &wire.Rejected{RequestID: f.RequestID, RunID: f.RunID, Code: wire.CodeNotFound,
			Message: "It was deleted."}
	}
	if r == nil {
		if t.life != nil && !answers(t.life.open, f.Resume) || t.life == nil && f.Resume != nil {
			rejected := &wire.Rejected{RequestID: f.RequestID, RunID: f.RunID, Code: wire.CodeInterrupted,
				Message: "It is awaiting input."}
			if t.life != nil {
				rejected.Interrupts = t.life.open
			}
			return rejected
		}
		r = b.take(t, f)
	}
	state := "running"
	switch {
	case r.over:
		state = "ended"
	case slices.Contains(b.queued, r):
		state = "queued"
	}
	return &wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: f.ThreadID, State: state}
}

// take creates the thread if needed and queues a new run.
func (b *backend) take(t *thread, f *wire.Run) *run {
	if t.life == nil {
		b.make(t)
	}
	r := &run{id: f.RunID, thread: t, life: t.life, frame: f, taken: t.life.open, length: 1 + b.w.rnd.IntN(10),
		pause: 400 * time.Millisecond}
	if b.w.often(b.w.traits.slowRuns) {
		r.pause = 8 * time.Second
	}
	t.life.open = nil
	b.runs[r.id] = r
	if f.Resume != nil {
		b.queued = slices.Insert(b.queued, 0, r)
	} else {
		b.queued = append(b.queued, r)
	}
	b.next()
	b.changed(t)
	if slices.Contains(b.queued, r) {
		b.broadcastRow(t)
	}
	return r
}

// answers reports whether a run's responses cover exactly the open interrupts.
func answers(open []agui.Interrupt, given []agui.Resume) bool {
	for _, g := range given {
		if !slices.ContainsFunc(open, func(i agui.Interrupt) bool { return i.ID == g.InterruptID }) {
			return false
		}
	}
	return len(open) == len(given)
}

func (b *backend) hasActive(t *thread) bool {
	return slices.ContainsFunc(b.active, func(r *run) bool { return r.thread == t })
}

// next starts the queued runs that have a free slot and whose thread is idle and not awaiting input.
func (b *backend) next() {
	for _, r := range slices.Clone(b.queued) {
		if len(b.active) >= slots || b.hasActive(r.thread) || r.thread.life == nil || len(r.thread.life.open) > 0 {
			continue
		}
		b.queued = slices.DeleteFunc(b.queued, func(o *run) bool { return o == r })
		b.active = append(b.active, r)
		b.changed(r.thread)
		b.work(r)
	}
}

// cancel asks an active run to stop. A queued run ends at once.
func (b *backend) cancel(c *call, f *wire.Cancel) {
	r := b.runs[f.RunID]
	if r == nil {
		c.answer(&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, State: "ended"})
		return
	}
	a := &wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: r.thread.id, State: "running"}
	switch {
	case r.over:
		a.State = "ended"
	case slices.Contains(b.queued, r):
		a.State = "ended"
		b.leave(r)
		defer b.broadcast(&wire.Ended{RunID: r.id, ThreadID: r.thread.id, Status: chat.RunCancelled})
		b.broadcastRow(r.thread)
	default:
		r.cancel = true
	}
	c.answer(a)
}

// leave ends a queued run and reopens the interrupts that it was to answer.
func (b *backend) leave(r *run) {
	r.over = true
	b.queued = slices.DeleteFunc(b.queued, func(o *run) bool { return o == r })
	if r.taken != nil && r.life == r.thread.life && r.life != nil {
		r.life.open, r.thread.answers = r.taken, true
	}
	b.changed(r.thread)
	b.next()
}
