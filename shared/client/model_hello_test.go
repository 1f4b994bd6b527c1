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
			b.watchRun(c.link, f.ThreadID, f.N)
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

// together runs steps that do not wait for each other, in any order, and then the step after them.
func (b *backend) together(then func(), all ...func()) {
	left := len(all)
	for _, f := range all {
		b.w.later(180*time.Millisecond, func() {
			f()
			if left--; left == 0 {
				then()
			}
		})
	}
}

// position is the state of a thread at one read. A thread that does not exist has the zero position.
type position struct {
	life *life
	head chat.Seq
	open []agui.Interrupt
}

func (b *backend) position(id chat.ThreadID) position {
	l := b.thread(id).life
	if l == nil {
		return position{}
	}
	return position{l, l.head, l.open}
}

// reading holds the results of the reads of one hello.
type reading struct {
	c      *call
	f      *wire.Hello
	moved  bool     // a later frame has stored another thread for the connection
	before position // what a snapshot restates
	now    position // read at the same time as the log
	at     position // what ready reports
	end    chat.Seq // of the log
	floor  chat.Seq // the last event that retention has removed
	usable bool
	from   chat.Seq
	to     chat.Seq
	queue  []wire.RunState
}

// hello stores the connection's thread, and reads the thread beside that if the client sent no cursor. Everything else
// is read afterwards.
func (c *call) hello(f *wire.Hello) {
	r := &reading{c: c, f: f}
	if c.b.lapsed(lapseQueue) {
		r.queue = c.b.states()
	}
	watch := func() { r.moved = c.b.watch(c.link, f.ThreadID, f.N) != f.ThreadID }
	first := []func(){watch}
	if c.b.lapsed(lapseWatch) {
		first = []func(){func() {}}
	}
	if f.Cursor == nil {
		first = append(first, func() { r.before = c.b.position(f.ThreadID) })
	}
	c.b.together(func() {
		switch {
		case r.moved:
		case f.Cursor != nil:
			r.readByCursor()
		default:
			r.readForSnapshot()
		}
	}, first...)
}

func (r *reading) readNow() { r.now = r.c.b.position(r.f.ThreadID) }

func (r *reading) readQueue() {
	if !r.c.b.lapsed(lapseQueue) {
		r.queue = r.c.b.states()
	}
}

func (r *reading) readLog(l *life) {
	if l != nil {
		r.end, r.floor = l.end(), l.floor
	}
}

// readByCursor reads the log of the cursor's epoch at the same time as the thread. A cursor that is of no use leads to
// a snapshot.
func (r *reading) readByCursor() {
	b, c := r.c.b, r.f.Cursor
	l := b.thread(r.f.ThreadID).lives[c.Epoch]
	b.together(func() {
		if r.at = r.now; r.now.life == nil {
			r.answer()
			return
		}
		r.from, r.to = c.Seq, max(r.now.head, r.end)
		if r.floor > c.Seq && b.lapsed(lapseRetention) {
			r.from, r.floor = r.floor, c.Seq
		}
		r.usable = r.now.life == l && c.Seq <= r.to && c.Seq >= r.floor && r.to-c.Seq <= maxReplay
		if r.usable {
			r.answer()
			return
		}
		r.before = r.now
		r.readForSnapshot()
	}, r.readNow, r.readQueue, func() { r.readLog(l) })
}

// readForSnapshot reads the log after the thread's head. If the thread has another epoch by now, it reads again.
func (r *reading) readForSnapshot() {
	b := r.c.b
	b.together(func() {
		if r.now.life != r.before.life && !b.lapsed(lapseBeside) {
			r.before = r.now
			r.readForSnapshot()
			return
		}
		r.usable = r.before.life == nil && r.f.Cursor == nil
		if r.at = r.before; r.now.life == r.before.life && r.now.head == r.before.head {
			r.at = r.now // its interrupts are newer
		}
		if r.before.life != nil {
			r.from, r.to = r.before.head, max(r.before.head, r.end)
		}
		if b.lapsed(lapseRetention) {
			r.from = max(r.from, r.floor)
		}
		r.answer()
	}, r.readNow, r.readQueue, func() { r.readLog(r.before.life) })
}

func (r *reading) answer() {
	b, id := r.c.b, r.f.ThreadID
	if !b.lapsed(lapseWatch) {
		r.post()
		return
	}
	b.steps(func() { r.moved = b.watch(r.c.link, id, r.f.N) != id }, func() {
		if !r.moved {
			r.post()
		}
	})
}

func (r *reading) post() {
	b, id := r.c.b, r.f.ThreadID
	ready := &wire.Ready{RequestID: r.f.RequestID, N: r.f.N, ConnectionID: "c", ThreadID: id, Recovered: r.usable,
		Head: r.to}
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
	if l := r.at.life; l != nil {
		ready.Epoch, ready.Interrupts = l.epoch, r.at.open
		if !b.lapsed(lapseCarried) && r.to > r.at.head {
			ready.Interrupts = carried(r.at.open, l.events[r.at.head:r.to])
		}
		if !r.usable {
			frames = append(frames, r.snapshot())
		}
		frames = append(frames, l.records(id, r.from, r.to)...)
	}
	r.c.answer(frames...)
}

func (r *reading) snapshot() *wire.Snapshot {
	b, l, upTo := r.c.b, r.before.life, r.before.head
	s := &wire.Snapshot{N: r.f.N, ThreadID: r.f.ThreadID, Epoch: l.epoch, Seq: upTo, Interrupts: r.before.open}
	switch {
	case b.lapsed(lapseSnapshot):
		s.Seq = r.to
	case b.lapsed(lapseTranscript):
		upTo = l.head // by now
	}
	s.Messages = fold(l.events[:min(upTo, l.end())])
	return s
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
	l, end := b.thread(f.ThreadID).life, chat.Seq(0)
	b.together(func() {
		if l != nil && pong.Epoch == l.epoch && !b.lapsed(lapsePongLog) {
			pong.Head = max(pong.Head, end)
		}
		if b.lapsed(lapsePongHead) {
			pong.Head = 0
		}
		if b.lapsed(lapsePongRuns) {
			pong.Runs = nil
		}
		c.answer(pong)
	}, func() {
		if now := b.thread(f.ThreadID).life; now != nil && f.ThreadID != "" {
			pong.Epoch, pong.Head = now.epoch, now.head
			pong.Interrupted = len(now.open) > 0 && !b.lapsed(lapsePongAsks)
		}
	}, func() {
		if l != nil {
			end = l.end()
		}
	}, func() { pong.Runs = b.states() })
}

func fold(events []agui.Event) []agui.Message {
	var f agui.Folder
	for _, e := range events {
		f.Add(e)
	}
	return f.Messages()
}

// watchRun is watch for a run, which changes nothing if the connection watches its thread already.
func (b *backend) watchRun(l *link, id chat.ThreadID, n int64) {
	if r := b.row(l); r == nil || r.n == 0 || r.thread != id {
		b.watch(l, id, n)
	}
}
