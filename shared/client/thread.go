package client

import (
	"cmp"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// What one thread holds at most. What does not fit is asked for again.
const (
	maxHeld = 4096
	maxSeq  = 1 << 53 // beyond it no server counts; adding to it must not overflow
)

// thread is what the client has of one thread: its events up to the cursor, folded, and those that wait for others.
type thread struct {
	id         chat.ThreadID
	before     chat.Seq    // where the messages begin that are older than the snapshot's; 0: none are
	cursor     chat.Cursor // Epoch "" means no cursor
	head       chat.Seq    // the furthest that a ready or pong spoke of, in the cursor's epoch
	fold       agui.Folder
	headers    headers
	held       []heldEvents
	dead       map[chat.Epoch]bool // epochs that a ready has replaced or refused
	truncated  bool                // a snapshot or another epoch took the place of events that were to come
	incomplete bool                // a frame in parts never became whole, or a ready could not have known the epoch
	adopted    int64               // the connection's n when the epoch was taken from a first frame; 0 once a ready knew of it

	over       map[chat.RunID]bool // shared with the view: runs that have ended, which nothing shows as running again
	speaking   chat.RunID          // the run whose events were applied, but not its last
	failure    *Notice             // of the last run that began, if it failed
	active     chat.RunID          // what the desk said last, as queued
	queued     []chat.RunID
	accepted   []acceptance // that a ready may not have known of
	interrupts interrupts
}

// acceptance is an answer to a run, with the connection's n when it came, as with heldEvents.
type acceptance struct {
	run   chat.RunID
	state string
	n     int64
}

// heldEvents is a frame that does not follow the cursor. asked is the connection's n when it came: a hello with a
// higher n was sent after it, so that hello's ready knows of its epoch.
type heldEvents struct {
	*wire.Events
	n int64
}

// take applies a frame, or holds it, or drops it, and reports whether an event was applied.
func (t *thread) take(f *wire.Events, n int64) bool {
	if f.Epoch == "" || f.Seq < 1 || f.Seq > maxSeq || len(f.Events) == 0 || t.dead[f.Epoch] {
		return false
	}
	if t.cursor.Epoch == "" && f.Seq == 1 {
		// The thread's first events: nothing can be before them, so there is nothing to ask.
		t.cursor.Epoch, t.adopted = f.Epoch, n
	}
	if len(t.held) < maxHeld {
		t.held = append(t.held, heldEvents{f, n})
	}
	return t.drain()
}

// drain applies what is held and follows the cursor, and reports whether there was any.
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

// apply folds in those events of f that are beyond the cursor; f begins at most one beyond it.
func (t *thread) apply(f *wire.Events) {
	for i, e := range f.Events {
		if f.Seq+chat.Seq(i) <= t.cursor.Seq {
			if e.Terminal() { // a snapshot restates its run without a name
				t.end(f.RunID)
			}
			continue
		}
		t.fold.Add(e)
		t.cursor.Seq++
		t.headers.follow(f.RunID, t.cursor.Seq, e)
		t.interrupts.follow(e)
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

// end notes that a run is over.
func (t *thread) end(run chat.RunID) {
	t.over[run] = true
	if t.speaking == run {
		t.speaking = ""
	}
}

// ready takes what the server says of the thread.
func (t *thread) ready(r *wire.Ready) {
	if r.Epoch != t.cursor.Epoch && t.adopted >= r.N {
		t.incomplete = true // the server read before the thread's first events: ask again
		return
	}
	t.adopted = 0
	if r.Epoch != t.cursor.Epoch {
		t.restart(r.Epoch)
	}
	if r.Epoch != "" {
		t.head = max(t.head, min(r.Head, maxSeq))
	}
	if r.Head >= t.cursor.Seq { // else the events know better
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

// reconnected begins to count anew. The hello of the next socket may be older than what came on the last one, if it said
// one meanwhile (n).
func (t *thread) reconnected(n int64) {
	t.adopted = min(t.adopted, n)
	for i := range t.accepted {
		t.accepted[i].n = n
	}
	for i := range t.held {
		t.held[i].n = n
	}
}

// restart empties the view for another life of the thread.
func (t *thread) restart(epoch chat.Epoch) {
	if t.cursor.Epoch != "" {
		t.dead[t.cursor.Epoch] = true
	}
	t.truncated = epoch != "" && t.cursor.Seq > 0
	t.cursor, t.head, t.fold, t.speaking, t.failure = chat.Cursor{Epoch: epoch}, 0, agui.Folder{}, "", nil
	t.headers = headers{}
	t.before, t.interrupts.open = 0, nil
}

// snapshot replaces the messages if it is beyond the cursor, and reports whether it was.
func (t *thread) snapshot(s *wire.Snapshot) bool {
	if s.Epoch != t.cursor.Epoch || s.Seq <= t.cursor.Seq || s.Seq > maxSeq {
		return false
	}
	t.truncated = t.truncated || t.cursor.Seq > 0
	if t.speaking != "" { // a snapshot's head is the end of a run: all before it has ended
		t.end(t.speaking)
	}
	t.fold, t.headers = restated(s.Messages, s.Runs)
	t.failure, t.before = nil, s.Before
	t.cursor.Seq, t.head = s.Seq, max(t.head, s.Seq)
	t.interrupts.set(s.Interrupts) // events that were held may have been applied since the ready told of them
	return true
}

// accept takes an answer to a run: where it stands now.
func (t *thread) accept(run chat.RunID, state string, n int64) {
	t.accepted = append(t.accepted, acceptance{run, state, n})
	t.place(run, state)
}

func (t *thread) place(run chat.RunID, state string) {
	if state == "queued" && slices.Contains(t.queued, run) {
		return // where the desk said
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

// runs are what is shown as running and as queued. What the applied events say goes before what the desk said.
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

// gap reports whether there are events that the client should have and has not.
func (t *thread) gap() bool { return len(t.held) > 0 || t.cursor.Seq < t.head || t.incomplete }

// ask is the cursor as a hello or ping says it; without an event there is none.
func (t *thread) sentCursor() *chat.Cursor {
	if t.cursor.Epoch == "" || t.cursor.Seq == 0 {
		return nil
	}
	c := t.cursor
	return &c
}
