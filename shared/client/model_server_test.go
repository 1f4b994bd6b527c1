package client_test

import (
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// The server's rules for replay and delivery (docs/protocol.md), each of which the model can leave out.
const (
	lapseWatch      = "hello first stores the connection's thread"
	lapseTranscript = "hello: the thread before the transcripts"
	lapseSnapshot   = "snapshot.seq is the thread's head"
	lapseDesk       = "hello: the desk last"
	lapseCarried    = "ready.interrupts are carried on over the log"
	lapseRetention  = "what the log no longer holds is told by a snapshot"
	lapseHigher     = "hello and run change the row only if their n is higher"
	lapseNames      = "a hello whose n is not higher is answered all the same"
	lapseRunWatches = "a run switches its connection to its thread"
	lapseSame       = "a repeated runId is the same run"
	lapseEpoch      = "a thread made again has another epoch"
	lapseStart      = "the emitter lists connections at the start"
	lapseTimer      = "the emitter lists connections once a second"
	lapseEnd        = "the emitter lists connections after the terminal append"
	lapseLast       = "the emitter posts the last record to whoever is new"
	lapseRisen      = "a connection that was cut is new again when its n has risen"
	lapseAppend     = "append before send"
	lapsePongHead   = "pong: the thread's head"
	lapsePongLog    = "pong: the last log record"
	lapsePongRuns   = "pong: the desk's runs"
	lapsePongAsks   = "pong: whether the thread waits for a person"
	lapseUpdated    = "each change of a thread makes its updated higher"
	lapseReplaced   = "the oldest connection is told replaced"
)

// lapses are all of them.
func lapses() []string {
	return []string{lapseWatch, lapseTranscript, lapseSnapshot, lapseDesk, lapseCarried, lapseRetention, lapseHigher,
		lapseNames,
		lapseRunWatches, lapseSame, lapseEpoch, lapseStart, lapseTimer, lapseEnd, lapseLast, lapseRisen, lapseAppend, lapsePongHead,
		lapsePongLog, lapsePongRuns, lapsePongAsks, lapseUpdated, lapseReplaced}
}

// The model's desk and connections.
const (
	seats   = 2
	most    = 10 // connections
	tooFar  = 40 // events behind: a snapshot costs less
	listing = time.Second
)

// backend is what is stored of one user: threads with their logs, runs, the desk, and the rows of connections.
type backend struct {
	w       *world
	threads map[chat.ThreadID]*thread
	runs    map[chat.RunID]*run
	active  []*run
	queued  []*run
	rows    []*row
	epochs  int
	asks    int
	touched time.Duration // the last change
}

// thread is one of the user's, through all its lives.
type thread struct {
	id      chat.ThreadID
	life    *life // nil: there is none of it
	lives   map[chat.Epoch]*life
	version int64 // of its row
	updated int64
	deleted bool // ever
	answers bool // a run that was to answer was taken back
}

// life is a thread between its making and its deletion: one epoch.
type life struct {
	epoch  chat.Epoch
	nth    int
	events []agui.Event
	owner  []chat.RunID
	ends   map[chat.RunID]chat.Seq // of runs that have ended
	head   chat.Seq                // the last event of the last run that ended
	floor  chat.Seq                // retention: the log holds what is after it
	open   []agui.Interrupt
	folded map[chat.Seq]string
}

func (l *life) end() chat.Seq { return chat.Seq(len(l.events)) }

// run is one that was admitted.
type run struct {
	id     chat.RunID
	thread *thread
	life   *life
	frame  *wire.Run
	taken  []agui.Interrupt
	began  bool
	over   bool
	cancel bool
	said   int
	length int
	pause  time.Duration
}

// row is a connection as the table knows it.
type row struct {
	link   *link
	thread chat.ThreadID
	n      int64
}

func newBackend(w *world) *backend {
	return &backend{w: w, threads: map[chat.ThreadID]*thread{}, runs: map[chat.RunID]*run{}}
}

func (b *backend) lapsed(clause string) bool { return b.w.lapse == clause }

func (b *backend) thread(id chat.ThreadID) *thread {
	t := b.threads[id]
	if t == nil {
		t = &thread{id: id, lives: map[chat.Epoch]*life{}}
		b.threads[id] = t
	}
	return t
}

// make begins a thread's next life.
func (b *backend) make(t *thread) {
	b.epochs++
	name := chat.Epoch(fmt.Sprint("e", b.epochs))
	if b.lapsed(lapseEpoch) {
		name = "e"
	}
	t.life = &life{epoch: name, nth: b.epochs, ends: map[chat.RunID]chat.Seq{}, folded: map[chat.Seq]string{}}
	t.lives[name] = t.life
}

func (b *backend) row(l *link) *row {
	for _, r := range b.rows {
		if r.link == l {
			return r
		}
	}
	return nil
}

func (b *backend) drop(l *link) {
	b.rows = slices.DeleteFunc(b.rows, func(r *row) bool { return r.link == l })
}

// connect makes a row; the eleventh closes the oldest.
func (b *backend) connect(l *link) {
	b.rows = append(b.rows, &row{link: l})
	if len(b.rows) <= most {
		return
	}
	old := b.rows[0].link
	b.rows = b.rows[1:]
	gone := func(error) { old.hangUp() }
	if b.lapsed(lapseReplaced) {
		gone(nil)
		return
	}
	b.post(old, &wire.Error{Code: wire.CodeReplaced, Message: "There are newer ones."}, gone)
}

// watch points a connection at a thread, unless a later frame did; what the row says then.
func (b *backend) watch(l *link, id chat.ThreadID, n int64) chat.ThreadID {
	r := b.row(l)
	if r == nil {
		r = &row{link: l}
		b.rows = append(b.rows, r)
	}
	if n > r.n || b.lapsed(lapseHigher) {
		r.thread, r.n = id, n
		l.watched = b.w.now
	} else if b.lapsed(lapseNames) {
		return ""
	}
	return r.thread
}

// changed notes a change of a thread's row.
func (b *backend) changed(t *thread) {
	t.version++
	b.touched = b.w.now
	if !b.lapsed(lapseUpdated) {
		t.updated = max(t.updated+1, int64(b.w.now/time.Second))
	}
}

func (b *backend) info(t *thread) wire.ThreadInfo {
	i := wire.ThreadInfo{ThreadID: t.id, Title: fmt.Sprint(t.id, " ", t.version), Created: 1, Updated: t.updated}
	if t.life == nil {
		i.Deleted = true
		return i
	}
	i.Head, i.Interrupted = t.life.head, len(t.life.open) > 0
	return i
}

// news posts a frame to all of the user's connections.
func (b *backend) news(f wire.ServerFrame) {
	for _, r := range slices.Clone(b.rows) {
		if r.n > 0 {
			b.post(r.link, f, nil)
		}
	}
}

func (b *backend) tellRow(t *thread) {
	f := &wire.Thread{ThreadInfo: b.info(t)}
	b.w.later(30*time.Millisecond, func() { b.news(f) })
}

// states are the desk's runs.
func (b *backend) states() []wire.RunState {
	var all []wire.RunState
	for _, r := range b.active {
		all = append(all, wire.RunState{RunID: r.id, ThreadID: r.thread.id, Status: chat.RunRunning})
	}
	for _, r := range b.queued {
		all = append(all, wire.RunState{RunID: r.id, ThreadID: r.thread.id, Status: chat.RunQueued,
			Messages: r.frame.Messages})
	}
	return all
}

// admit takes a run in, if the thread's questions are answered, and says what became of it.
func (b *backend) admit(f *wire.Run) wire.ServerFrame {
	t := b.thread(f.ThreadID)
	r := b.runs[f.RunID]
	if r != nil && b.lapsed(lapseSame) && r.over && t.life != nil && !b.seated(t) {
		r.over, r.began, r.said, r.life = false, false, 0, t.life
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
				Message: "It asks."}
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
		b.tellRow(t)
	}
	return r
}

func answers(open []agui.Interrupt, given []agui.Resume) bool {
	for _, g := range given {
		if !slices.ContainsFunc(open, func(i agui.Interrupt) bool { return i.ID == g.InterruptID }) {
			return false
		}
	}
	return len(open) == len(given)
}

func (b *backend) seated(t *thread) bool {
	return slices.ContainsFunc(b.active, func(r *run) bool { return r.thread == t })
}

// next seats what waits and may begin.
func (b *backend) next() {
	for _, r := range slices.Clone(b.queued) {
		if len(b.active) >= seats || b.seated(r.thread) || r.thread.life == nil || len(r.thread.life.open) > 0 {
			continue
		}
		b.queued = slices.DeleteFunc(b.queued, func(o *run) bool { return o == r })
		b.active = append(b.active, r)
		b.changed(r.thread)
		b.work(r)
	}
}

// cancel asks a running run to stop; one that waits has ended.
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
		defer b.news(&wire.Ended{RunID: r.id, ThreadID: r.thread.id, Status: chat.RunCancelled})
		b.tellRow(r.thread)
	default:
		r.cancel = true
	}
	c.answer(a)
}

// leave ends a run that waits. What it was to answer is asked again.
func (b *backend) leave(r *run) {
	r.over = true
	b.queued = slices.DeleteFunc(b.queued, func(o *run) bool { return o == r })
	if r.taken != nil && r.life == r.thread.life && r.life != nil {
		r.life.open, r.thread.answers = r.taken, true
	}
	b.changed(r.thread)
	b.next()
}

// delete takes a thread away: its runs end, and its next run makes it anew.
func (b *backend) delete(c *call, f *wire.Delete) {
	t := b.thread(f.ThreadID)
	if t.life == nil {
		c.answer(&wire.Error{RequestID: f.RequestID, Code: wire.CodeNotFound, Message: "There is no such thread."})
		return
	}
	b.w.note("%s is deleted", t.id)
	t.deleted = true
	b.end(t)
	c.answer(&wire.Done{RequestID: f.RequestID, ThreadID: f.ThreadID})
	b.tellRow(t)
	b.next()
}

// end ends a thread's life and its runs.
func (b *backend) end(t *thread) {
	for _, r := range b.runs {
		r.over = r.over || r.thread == t
	}
	of := func(r *run) bool { return r.thread == t }
	b.active, b.queued = slices.DeleteFunc(b.active, of), slices.DeleteFunc(b.queued, of)
	t.life = nil
	b.changed(t)
}

// remake is a deletion, a day and another run, whose frames came to nobody: the thread has another epoch.
func (b *backend) remake(id chat.ThreadID) {
	if t := b.thread(id); t.life != nil {
		b.end(t)
		b.make(t)
		b.w.note("%s is made anew: %s", id, t.life.epoch)
		b.next()
	}
}

// forget is retention: the log loses its beginning.
func (b *backend) forget(id chat.ThreadID) {
	if l := b.thread(id).life; l != nil && l.head > l.floor {
		l.floor += chat.Seq(b.w.rnd.Int64N(int64(l.head-l.floor))) + 1
		b.w.note("%s begins after %d", id, l.floor)
	}
}
