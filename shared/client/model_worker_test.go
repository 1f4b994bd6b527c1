package client_test

import (
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// worker executes a run: it appends events to the thread's log, and its emitter posts them to the subscribers.
type worker struct {
	b           *backend
	run         *run
	subscribers map[*link]*subscriber
	last        *wire.Events
	startRow    wire.ThreadInfo // the thread's row at the run's start
	row         *wire.Thread    // the last row that a record had, for new subscribers
	recordAt    time.Duration   // when the last record is posted
	done        bool
}

// subscriber is the emitter's record of one connection.
type subscriber struct {
	n      int64
	thread chat.ThreadID
	listed bool // the last list contained it
	cut    bool // a post failed
	busy   bool // a post is in progress
	queue  []wire.ServerFrame
}

// work starts a worker for a run.
func (b *backend) work(r *run) {
	w := &worker{b: b, run: r, subscribers: map[*link]*subscriber{}}
	b.w.later(200*time.Millisecond, w.begin)
}

func (w *worker) begin() {
	if w.run.over {
		return
	}
	w.startRow = w.b.info(w.run.thread)
	if !w.b.lapsed(lapseStart) {
		w.list()
	}
	w.b.w.at(w.b.w.now+listing, w.timer)
	w.b.w.later(w.run.pause/2, w.step)
}

func (w *worker) timer() {
	if w.done || w.b.lapsed(lapseTimer) {
		return
	}
	w.list()
	w.b.w.at(w.b.w.now+listing, w.timer)
}

// step appends the run's next record and schedules the step after it.
func (w *worker) step() {
	r := w.run
	if r.over {
		w.done = true
		return
	}
	id := "a." + string(r.id)
	switch {
	case !r.began:
		r.began = true
		r.frame.N = 0
		in := &agui.RunInput{ThreadID: r.thread.id, RunID: r.id, Messages: r.frame.Messages, Resume: r.frame.Resume}
		if rec := w.append(agui.Event{Type: agui.RunStarted, ThreadID: r.thread.id, RunID: r.id, Input: in},
			agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant}); rec != nil {
			rec.Row = &w.startRow
		}
	case r.cancel:
		w.end(&agui.Outcome{Type: agui.OutcomeCancelled})
		return
	case r.texts < r.length:
		r.texts++
		var events []agui.Event
		for range 1 + w.b.w.rnd.IntN(3) {
			events = append(events, agui.Event{Type: agui.TextMessageContent, MessageID: id,
				Delta: fmt.Sprint(r.thread.id, ".", int(r.life.end())+len(events), " ")})
		}
		w.append(events...)
	default:
		w.end(w.outcome())
		return
	}
	w.b.w.later(r.pause, w.step)
}

func (w *worker) outcome() *agui.Outcome {
	o := &agui.Outcome{Type: agui.OutcomeSuccess}
	if w.b.w.often(w.b.w.traits.questions) {
		o.Type = agui.OutcomeInterrupt
		for range 1 + w.b.w.rnd.IntN(2) {
			w.b.interrupts++
			o.Interrupts = append(o.Interrupts, agui.Interrupt{ID: chat.InterruptID(fmt.Sprint("i", w.b.interrupts)),
				Reason: agui.ReasonToolCall})
		}
	}
	return o
}

// append stores a record, which is posted later, and returns it. A worker may die between the two; another one then
// replaces it, and append returns nil.
func (w *worker) append(events ...agui.Event) *wire.Events {
	l, r := w.run.life, w.run
	from := l.end()
	if w.b.lapsed(lapseAppend) && w.b.w.chance(10) { // it posts a record and stores another one
		unstored := slices.Clone(events)
		for i := range unstored {
			unstored[i].Delta += "?"
		}
		w.record(&wire.Events{ThreadID: r.thread.id, Epoch: l.epoch, Seq: from + 1, RunID: r.id, Events: unstored})
	}
	for _, e := range events {
		l.events, l.owner = append(l.events, e), append(l.owner, r.id)
	}
	rec := l.record(r.thread.id, from, l.end())
	w.b.w.note("%s %s %d–%d of %s", r.thread.id, l.epoch, from+1, l.end(), r.id)
	if w.b.w.chance(w.b.w.traits.deaths) {
		w.b.w.note("the worker of %s dies", r.id)
		w.done = true
		for _, t := range w.b.w.tabs {
			t.noteFault()
		}
		if !r.over {
			next := &worker{b: w.b, run: r, subscribers: map[*link]*subscriber{}}
			w.b.w.at(w.b.w.now+20*time.Second, next.begin)
		}
		w.run = &run{over: true}
		return nil
	}
	w.b.w.appended(r, l)
	w.recordAt = max(w.recordAt, w.b.w.now+w.b.w.within(20*time.Millisecond)) // in the order of the log
	w.b.w.at(w.recordAt, func() { w.record(rec) })
	return rec
}

// end appends the terminal event, and lists the connections one last time.
func (w *worker) end(o *agui.Outcome) {
	r, l := w.run, w.run.life
	r.over = true
	w.done = true
	rec := w.append(agui.Event{Type: agui.TextMessageEnd, MessageID: "a." + string(r.id)},
		agui.Event{Type: agui.RunFinished, ThreadID: r.thread.id, RunID: r.id, Outcome: o})
	l.head, l.open, l.ends[r.id] = l.end(), o.Interrupts, l.end()
	w.b.active = slices.DeleteFunc(w.b.active, func(o *run) bool { return o == r })
	w.b.changed(r.thread)
	queued := slices.ContainsFunc(w.b.queued, func(o *run) bool { return o.thread == r.thread })
	if rec != nil && !queued {
		row := w.b.info(r.thread)
		rec.Row = &row
	}
	w.b.w.later(60*time.Millisecond, func() {
		if w.run == r && !w.b.lapsed(lapseEnd) {
			w.list()
		}
		if rec == nil || queued {
			w.b.broadcastRow(r.thread)
		}
		w.b.next()
	})
}

// list reads the connection rows, and posts to new subscribers what they have missed.
func (w *worker) list() {
	seen := map[*link]bool{}
	for _, c := range w.b.rows {
		if c.n > 0 {
			seen[c.link] = true
			w.see(c)
		}
	}
	for l, o := range w.subscribers {
		if !seen[l] {
			o.listed, o.queue = false, nil
		}
	}
}

func (w *worker) see(c *row) {
	o := w.subscribers[c.link]
	if o == nil {
		o = &subscriber{}
		w.subscribers[c.link] = o
	}
	fresh := !o.listed || o.cut && c.n > o.n && !w.b.lapsed(lapseRisen)
	alreadyWatched := !fresh && o.thread == w.run.thread.id
	o.listed = true
	if fresh {
		o.cut = false
	}
	if !o.cut {
		o.n, o.thread = c.n, c.thread
	}
	var has *wire.ThreadInfo // that the last record has brought
	switch {
	case o.thread != w.run.thread.id:
		if alreadyWatched {
			o.queue = nil
		}
	case !alreadyWatched && w.last != nil && !w.b.lapsed(lapseLast):
		w.push(c.link, o, w.last)
		has = w.last.Row
	}
	if fresh && w.row != nil && has == nil {
		w.push(c.link, o, w.row)
	}
}

// record posts a stored record to all subscribers that watch the thread, and its row to the others.
func (w *worker) record(f *wire.Events) {
	w.last = f
	if f.Row != nil {
		w.row = &wire.Thread{ThreadInfo: *f.Row}
	}
	for _, c := range slices.Clone(w.b.rows) { // not over the map: its order would differ between runs of one seed
		switch o := w.subscribers[c.link]; {
		case o == nil:
		case o.thread == f.ThreadID:
			w.push(c.link, o, f)
		case f.Row != nil:
			w.push(c.link, o, w.row)
		}
	}
}

func (w *worker) push(l *link, o *subscriber, f wire.ServerFrame) {
	if !o.listed || o.cut {
		return
	}
	if o.queue = append(o.queue, f); !o.busy {
		o.busy = true
		w.deliver(l, o)
	}
}

// deliver posts the queued frames of one subscriber one by one.
func (w *worker) deliver(l *link, o *subscriber) {
	if len(o.queue) == 0 {
		o.busy = false
		return
	}
	f := o.queue[0]
	o.queue = o.queue[1:]
	w.b.post(l, f, func(err error) {
		if err != nil {
			o.cut, o.queue = true, nil
		}
		w.deliver(l, o)
	})
}
