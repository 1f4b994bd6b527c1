package client_test

import (
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// call is the invocation of a function for one frame of a client.
type call struct {
	b    *backend
	link *link
	mute bool // the function fails before it answers
}

// answer posts frames one by one, until a post fails.
func (c *call) answer(frames ...wire.ServerFrame) {
	if c.mute || len(frames) == 0 {
		return
	}
	c.b.post(c.link, frames[0], func(err error) {
		if err == nil {
			c.answer(frames[1:]...)
		}
	})
}

func (c *call) serve(f wire.ClientFrame) {
	b := c.b
	switch f := f.(type) {
	case *wire.Hello:
		c.hello(f)
	case *wire.Run:
		if !b.lapsed(lapseRunWatches) {
			b.watch(c.link, f.ThreadID, f.N)
		}
		b.w.later(40*time.Millisecond, func() { c.answer(b.admit(f)) })
	case *wire.Cancel:
		b.cancel(c, f)
	case *wire.Delete:
		b.delete(c, f)
	case *wire.Ping:
		c.ping(f)
	case *wire.Threads:
		list := &wire.ThreadList{RequestID: f.RequestID}
		for _, t := range b.threads {
			if t.life != nil {
				list.Threads = append(list.Threads, b.info(t))
			}
		}
		slices.SortFunc(list.Threads, func(a, b wire.ThreadInfo) int {
			if a.ThreadID > b.ThreadID {
				return -1
			}
			return 1
		})
		c.answer(list)
	}
}

// steps runs steps one after the other. In the pauses between them other events of the world happen.
func (b *backend) steps(all ...func()) {
	if len(all) > 0 {
		b.w.later(60*time.Millisecond, func() { all[0](); b.steps(all[1:]...) })
	}
}

// reading holds the results of the reads of one hello.
type reading struct {
	c      *call
	f      *wire.Hello
	moved  bool // a later frame has stored another thread for the connection
	life   *life
	head   chat.Seq
	open   []agui.Interrupt
	upTo   chat.Seq
	usable bool
	from   chat.Seq
	to     chat.Seq
	queue  []wire.RunState
}

func (c *call) hello(f *wire.Hello) {
	r := &reading{c: c, f: f}
	watch := func() { r.moved = c.b.watch(c.link, f.ThreadID, f.N) != f.ThreadID }
	order := []func(){r.row, r.transcripts, r.log, r.states, r.answer}
	switch {
	case c.b.lapsed(lapseTranscript):
		order = []func(){r.transcripts, r.row, r.log, r.states, r.answer}
	case c.b.lapsed(lapseQueue):
		order = []func(){r.states, r.row, r.transcripts, r.log, r.answer}
	case c.b.lapsed(lapseWatch):
		c.b.steps(append(order[:4:4], watch, r.answer)...)
		return
	}
	watch()
	if !r.moved {
		c.b.steps(order...)
	}
}

func (r *reading) row() {
	if r.life = r.c.b.thread(r.f.ThreadID).life; r.life != nil {
		r.head, r.open = r.life.head, r.life.open
	}
}

// transcripts reads the transcripts up to the head. Under lapseTranscript it runs before the thread is read, and
// uses the present head of the thread.
func (r *reading) transcripts() {
	if r.upTo = r.head; r.life == nil {
		if l := r.c.b.thread(r.f.ThreadID).life; l != nil {
			r.upTo = l.head
		}
	}
}

func (r *reading) log() {
	l, c := r.life, r.f.Cursor
	if l == nil {
		r.usable = c == nil
		return
	}
	r.from, r.to = r.head, l.end()
	held := c != nil && c.Epoch == l.epoch && c.Seq <= r.to && (c.Seq >= l.floor || r.c.b.lapsed(lapseRetention))
	if r.usable = held && r.to-c.Seq <= maxReplay; r.usable {
		r.from = max(c.Seq, l.floor)
	} else if r.c.b.lapsed(lapseRetention) {
		r.from = max(r.from, l.floor)
	}
}

func (r *reading) states() { r.queue = r.c.b.states() }

func (r *reading) answer() {
	b, id := r.c.b, r.f.ThreadID
	if r.moved {
		return
	}
	ready := &wire.Ready{RequestID: r.f.RequestID, N: r.f.N, ConnectionID: "c", ThreadID: id, Recovered: r.usable,
		Head: max(r.head, r.to)}
	for _, s := range r.queue {
		switch {
		case s.ThreadID != id:
		case s.Status == chat.RunRunning:
			ready.Active = &s
		default:
			ready.Queued = append(ready.Queued, s)
		}
	}
	if b.w.chance(b.w.traits.handovers) {
		ready.ReconnectInMs = b.w.within(3 * time.Minute).Milliseconds()
	}
	frames := []wire.ServerFrame{ready}
	if l := r.life; l != nil {
		ready.Epoch, ready.Interrupts = l.epoch, r.open
		if !b.lapsed(lapseCarried) {
			ready.Interrupts = carried(r.open, l.events[r.head:r.to])
		}
		if !r.usable {
			s := &wire.Snapshot{N: r.f.N, ThreadID: id, Epoch: l.epoch, Seq: r.head,
				Messages: fold(l.events[:min(r.upTo, l.end())]), Interrupts: r.open}
			if b.lapsed(lapseSnapshot) {
				s.Seq = r.to
			}
			frames = append(frames, s)
		}
		frames = append(frames, l.records(id, r.from, r.to)...)
	}
	r.c.answer(frames...)
}

// carried returns the interrupts that are open after some more events.
func carried(open []agui.Interrupt, events []agui.Event) []agui.Interrupt {
	for _, e := range events {
		switch {
		case e.Type == agui.RunStarted:
			open = nil
		case e.Type == agui.RunFinished && e.Outcome != nil:
			open = e.Outcome.Interrupts
		}
	}
	return open
}

// records cuts the log between two positions into records, each of one run and at most six events.
func (l *life) records(id chat.ThreadID, from, to chat.Seq) []wire.ServerFrame {
	var all []wire.ServerFrame
	for at := from; at < to; {
		next := at + 1
		for next < to && next < at+6 && l.owner[next] == l.owner[at] {
			next++
		}
		all = append(all, l.record(id, at, next))
		at = next
	}
	return all
}

func (l *life) record(id chat.ThreadID, from, to chat.Seq) *wire.Events {
	return &wire.Events{ThreadID: id, Epoch: l.epoch, Seq: from + 1, RunID: l.owner[from],
		Events: slices.Clone(l.events[from:to])}
}

func (c *call) ping(f *wire.Ping) {
	b := c.b
	pong := &wire.Pong{RequestID: f.RequestID, ThreadID: f.ThreadID}
	var l *life
	b.steps(func() {
		if l = b.thread(f.ThreadID).life; l != nil && f.ThreadID != "" {
			pong.Epoch, pong.Head = l.epoch, l.head
			pong.Interrupted = len(l.open) > 0 && !b.lapsed(lapsePongAsks)
		}
	}, func() {
		if l != nil && !b.lapsed(lapsePongLog) {
			pong.Head = max(pong.Head, l.end())
		}
		if b.lapsed(lapsePongHead) {
			pong.Head = 0
		}
	}, func() {
		if pong.Runs = b.states(); b.lapsed(lapsePongRuns) {
			pong.Runs = nil
		}
		c.answer(pong)
	})
}

func fold(events []agui.Event) []agui.Message {
	var f agui.Folder
	for _, e := range events {
		f.Add(e)
	}
	return f.Messages()
}
