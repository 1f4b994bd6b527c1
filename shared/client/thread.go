package client

import (
	"cmp"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Bounds of one thread. The client requests frames that do not fit again.
const (
	maxHeld = 4096
	maxSeq  = 1 << 53 // no server counts further, and additions to it cannot overflow
)

// thread is the client's state of one thread: the fold of its events up to the cursor, and held frames.
type thread struct {
	id         chat.ThreadID
	before     chat.Seq    // of the request for messages older than the snapshot's; 0: there are none
	cursor     chat.Cursor // Epoch "" means no cursor
	head       chat.Seq    // the highest of a ready or pong, in the cursor's epoch
	fold       agui.Folder
	headers    headers
	held       []heldEvents
	dead       map[chat.Epoch]bool // epochs that a ready has replaced or refused
	truncated  bool                // a snapshot or another epoch has replaced events
	incomplete bool                // a frame in parts was discarded, or a ready was too old to know the epoch
	adopted    int64               // the connection's n when a first frame gave the epoch; 0 once a ready has it

	over       map[chat.RunID]bool // shared with the view: runs that have ended
	waiting    *agui.Waiting       // for what the run waits, by its last event
	reports    reports             // of the run that began last
	speaking   chat.RunID          // the run that has begun and not ended, by its applied events
	failure    *Notice             // of the last run that began, if it failed
	active     chat.RunID          // of the last ready, like queued
	queued     []chat.RunID
	accepted   []acceptance // newer than the last ready, perhaps
	interrupts interrupts
}

// acceptance is an accepted run, with the connection's n at the arrival of its answer, as in heldEvents.
type acceptance struct {
	run   chat.RunID
	state string
	n     int64
}

// heldEvents is a frame that does not follow the cursor. n is the connection's n when it arrived. A hello with a higher
// n was sent after it, so the ready of that hello knows the frame's epoch.
type heldEvents struct {
	*wire.Events
	n int64
}

// take applies, holds or drops a frame, and reports whether it applied an event.
func (t *thread) take(f *wire.Events, n int64) bool {
	if f.Epoch == "" || f.Seq < 1 || f.Seq > maxSeq || len(f.Events) == 0 || t.dead[f.Epoch] {
		return false
	}
	if t.cursor.Epoch == "" && f.Seq == 1 {
		// The thread's first events: none are before them.
		t.cursor.Epoch, t.adopted = f.Epoch, n
	}
	if len(t.held) < maxHeld {
		t.held = append(t.held, heldEvents{f, n})
	}
	return t.drain()
}

// drain applies the held frames that follow the cursor, and reports whether there were any.
func (t *thread) drain() bool {
	slices.SortStableFunc(t.held, func(a, b heldEvents) int { return cmp.Compare(a.Seq, b.Seq) })
	from := t.cursor.Seq
	t.held = slices.DeleteFunc(t.held, func(f heldEvents) bool {
		if f.Epoch != t.cursor.Epoch || f.Seq > t.cursor.Seq+1 {
			return false
		}
		t.apply(f.Events)
		return true
	})
	return t.cursor.Seq > from
}

// apply folds the events of f that are beyond the cursor. f begins at most one event beyond it.
func (t *thread) apply(f *wire.Events) {
	for i, e := range f.Events {
		if f.Seq+chat.Seq(i) <= t.cursor.Seq {
			if e.Terminal() { // a snapshot has restated its run without the run id
				t.end(f.RunID)
			}
			continue
		}
		t.fold.Add(e)
		t.cursor.Seq++
		t.headers.follow(f.RunID, t.cursor.Seq, e)
		t.interrupts.follow(e)
		t.waiting = agui.WaitingOf(e)
		t.reports.follow(e)
		switch e.Type {
		case agui.RunStarted:
			t.failure = nil
		case agui.RunError:
			t.failure = &Notice{Code: wire.Code(e.Code), Message: e.Message, RunID: f.RunID}
		}
		switch {
		case e.Terminal():
			t.end(f.RunID)
		case !t.over[f.RunID]:
			t.speaking = f.RunID
		}
	}
}

// end records the end of a run.
func (t *thread) end(run chat.RunID) {
	t.over[run] = true
	if t.speaking == run {
		t.speaking = ""
	}
}

// ready applies the server's state of the thread.
func (t *thread) ready(r *wire.Ready) {
	if r.Epoch != t.cursor.Epoch && t.adopted >= r.N {
		t.incomplete = true // the server has read before the thread's first events: one more hello
		return
	}
	t.adopted = 0
	if r.Epoch != t.cursor.Epoch {
		t.restart(r.Epoch)
	}
	if r.Epoch != "" {
		t.head = max(t.head, min(r.Head, maxSeq))
	}
	if r.Head >= t.cursor.Seq { // else the applied events are newer
		t.interrupts.set(r.Interrupts)
	}
	delete(t.dead, r.Epoch)
	t.incomplete = false
	t.held = slices.DeleteFunc(t.held, func(f heldEvents) bool {
		settled := f.Epoch != r.Epoch && f.n < r.N
		if settled {
			t.dead[f.Epoch] = true
		}
		return settled
	})
	t.active, t.queued = "", nil
	if r.Active != nil {
		t.active = r.Active.RunID
	}
	for _, w := range r.Queued {
		t.queued = append(t.queued, w.RunID)
	}
	t.accepted = slices.DeleteFunc(t.accepted, func(a acceptance) bool { return a.n < r.N })
	for _, a := range t.accepted {
		if a.run != t.active && !slices.Contains(t.queued, a.run) {
			t.place(a.run, a.state)
		}
	}
}

// reconnected resets the counters for a new socket, on which n hellos were sent before. The answer to such a hello may
// be older than frames of the last socket.
func (t *thread) reconnected(n int64) {
	t.adopted = min(t.adopted, n)
	for i := range t.accepted {
		t.accepted[i].n = n
	}
	for i := range t.held {
		t.held[i].n = n
	}
}

// restart empties the view for another epoch of the thread.
func (t *thread) restart(epoch chat.Epoch) {
	if t.cursor.Epoch != "" {
		t.dead[t.cursor.Epoch] = true
	}
	t.truncated = epoch != "" && t.cursor.Seq > 0
	t.cursor, t.head, t.fold, t.speaking, t.failure = chat.Cursor{Epoch: epoch}, 0, agui.Folder{}, "", nil
	t.waiting, t.reports = nil, reports{}
	t.headers = headers{}
	t.before, t.interrupts.open = 0, nil
}

// snapshot replaces the messages if it is beyond the cursor, and reports whether it was.
func (t *thread) snapshot(s *wire.Snapshot) bool {
	if s.Epoch != t.cursor.Epoch || s.Seq <= t.cursor.Seq || s.Seq > maxSeq {
		return false
	}
	t.truncated = t.truncated || t.cursor.Seq > 0
	if t.speaking != "" { // a snapshot ends with a run, so all earlier runs have ended
		t.end(t.speaking)
	}
	t.fold, t.headers = restated(s.Messages, s.Runs)
	t.failure, t.before, t.reports = nil, s.Before, reports{}
	t.cursor.Seq, t.head = s.Seq, max(t.head, s.Seq)
	t.interrupts.set(s.Interrupts) // held events may have been applied since the ready
	return true
}

// accept records an accepted run and its state.
func (t *thread) accept(run chat.RunID, state string, n int64) {
	t.accepted = append(t.accepted, acceptance{run, state, n})
	t.place(run, state)
}

func (t *thread) place(run chat.RunID, state string) {
	if state == "queued" && slices.Contains(t.queued, run) {
		return // keep its place in the queue
	}
	t.queued = slices.DeleteFunc(t.queued, func(r chat.RunID) bool { return r == run })
	switch state {
	case "queued":
		if t.active != run {
			t.queued = append(t.queued, run)
		}
	case "running":
		t.active = run
	default:
		t.end(run)
	}
}

// runs returns the running and the queued runs. Applied events take precedence over the last ready.
func (t *thread) runs() (active chat.RunID, queued []chat.RunID) {
	active = t.speaking
	for _, r := range append([]chat.RunID{t.active}, t.queued...) {
		switch {
		case r == "" || r == active || t.over[r]:
		case active == "" && r == t.active:
			active = r
		default:
			queued = append(queued, r)
		}
	}
	return active, queued
}

// gap reports whether events are missing.
func (t *thread) gap() bool { return len(t.held) > 0 || t.cursor.Seq < t.head || t.incomplete }

// sentCursor returns the cursor of a hello or ping; nil without an applied event.
func (t *thread) sentCursor() *chat.Cursor {
	if t.cursor.Epoch == "" || t.cursor.Seq == 0 {
		return nil
	}
	c := t.cursor
	return &c
}
