package client_test

import (
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// The server's rules for replay and delivery (docs/protocol.md). LAPSE names the rule that the model omits.
const (
	lapseWatch      = "hello first stores the connection's thread"
	lapseBeside     = "a thread that was read beside the first write is compared with the thread after it"
	lapseTranscript = "the transcripts end at the head of the thread that was read"
	lapseSnapshot   = "snapshot.seq is the thread's head"
	lapseQueue      = "the run queue is not older than the thread of a snapshot"
	lapseCarried    = "ready.interrupts include the changes of the log"
	lapseRetention  = "events that retention removed are replaced by a snapshot"
	lapseHigher     = "hello and run change the row only if their n is higher"
	lapseNames      = "a hello whose n is not higher is answered"
	lapseRunWatches = "a run switches its connection to its thread"
	lapseSame       = "a repeated runId is the same run"
	lapseEpoch      = "a recreated thread has another epoch"
	lapseStart      = "the emitter lists connections at the start"
	lapseTimer      = "the emitter lists connections once a second"
	lapseEnd        = "the emitter lists connections after the terminal append"
	lapseLast       = "the emitter posts the last record to new connections"
	lapseRisen      = "a disconnected connection is new again when its n rises"
	lapseAppend     = "append before send"
	lapsePongHead   = "pong has the thread's head"
	lapsePongLog    = "pong includes the last log record"
	lapsePongRuns   = "pong has the runs of the queue"
	lapsePongAsks   = "pong reports whether the thread is awaiting input"
	lapseUpdated    = "each change of a thread raises its updated"
	lapseReplaced   = "the oldest connection receives replaced"
)

// lapses returns all rules that LAPSE can name.
func lapses() []string {
	return []string{
		lapseWatch, lapseBeside, lapseTranscript, lapseSnapshot, lapseQueue, lapseCarried, lapseRetention, lapseHigher,
		lapseNames,
		lapseRunWatches, lapseSame, lapseEpoch, lapseStart, lapseTimer, lapseEnd, lapseLast, lapseRisen, lapseAppend,
		lapsePongHead, lapsePongLog, lapsePongRuns, lapsePongAsks, lapseUpdated, lapseReplaced,
	}
}

// The limits of the model's server.
const (
	slots          = 2           // runs of the user that run at the same time
	maxConnections = 10          // of the user
	maxReplay      = 40          // events; a cursor further behind the head receives a snapshot
	listing        = time.Second // the emitter's interval between two lists of connections
)

// backend holds the stored data of one user: threads with their logs, runs, the run queue, and connection rows.
type backend struct {
	w          *world
	threads    map[chat.ThreadID]*thread
	runs       map[chat.RunID]*run
	active     []*run
	queued     []*run
	rows       []*row
	epochs     int
	interrupts int
	touched    time.Duration // when a thread last changed
}

// thread is one thread id of the user. Deletion ends its life; a later run begins another one.
type thread struct {
	id      chat.ThreadID
	life    *life // nil: the thread does not exist
	lives   map[chat.Epoch]*life
	version int64 // of its row
	updated int64
	deleted bool // the user has deleted it at least once
	answers bool // a queued run with responses was cancelled
}

// life is a thread from its creation to its deletion: one epoch.
type life struct {
	epoch  chat.Epoch
	nth    int
	events []agui.Event
	owner  []chat.RunID            // the run of each event
	ends   map[chat.RunID]chat.Seq // the last event of each ended run
	head   chat.Seq                // the last event of the last run that ended
	floor  chat.Seq                // the last event that retention removed
	open   []agui.Interrupt
	folded map[chat.Seq]string // cache of textAt
}

func (l *life) end() chat.Seq { return chat.Seq(len(l.events)) }

// row is the stored record of a connection.
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

// make creates a thread in its next epoch.
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

// connect stores a connection. One above maxConnections replaces the oldest.
func (b *backend) connect(l *link) {
	b.rows = append(b.rows, &row{link: l})
	if len(b.rows) <= maxConnections {
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

// watch stores the thread that a connection watches, unless a frame with a higher n has stored one, and returns the
// stored thread.
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

// changed counts a change of a thread's row.
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

// broadcast posts a frame to all of the user's connections.
func (b *backend) broadcast(f wire.ServerFrame) {
	for _, r := range slices.Clone(b.rows) {
		if r.n > 0 {
			b.post(r.link, f, nil)
		}
	}
}

func (b *backend) broadcastRow(t *thread) {
	f := &wire.Thread{ThreadInfo: b.info(t)}
	b.w.later(30*time.Millisecond, func() { b.broadcast(f) })
}

// states returns the active and queued runs.
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

// delete deletes a thread and ends its runs. A later run creates the thread in another epoch.
func (b *backend) delete(c *call, f *wire.Delete) {
	t := b.thread(f.ThreadID)
	if t.life == nil {
		c.answer(&wire.Error{RequestID: f.RequestID, Code: wire.CodeNotFound, Message: "The thread does not exist."})
		return
	}
	b.w.note("%s is deleted", t.id)
	t.deleted = true
	b.end(t)
	c.answer(&wire.Done{RequestID: f.RequestID, ThreadID: f.ThreadID})
	b.broadcastRow(t)
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

// remake deletes and recreates a thread, and no tab receives a frame about it. The thread then has another epoch.
func (b *backend) remake(id chat.ThreadID) {
	if t := b.thread(id); t.life != nil {
		b.end(t)
		b.make(t)
		b.w.note("%s is recreated in the epoch %s", id, t.life.epoch)
		b.next()
	}
}

// trim applies retention: it removes the beginning of a log.
func (b *backend) trim(id chat.ThreadID) {
	if l := b.thread(id).life; l != nil && l.head > l.floor {
		l.floor += chat.Seq(b.w.rnd.Int64N(int64(l.head-l.floor))) + 1
		b.w.note("the log of %s begins after %d", id, l.floor)
	}
}
