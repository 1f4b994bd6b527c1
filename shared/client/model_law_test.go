package client_test

import (
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// laws is what a tab was told, and so has to know.
type laws struct {
	heads     map[chat.ThreadID]cursor // the furthest that it was told of
	accepts   map[chat.RunID]int64     // runs that were accepted on this socket, with n as it was
	answering map[chat.InterruptID]bool
	n         int64               // of the last hello or run on this socket
	said      time.Duration       // the last frame but pings
	readied   time.Duration       // this socket; 0: not yet
	answer    time.Duration       // the last ready
	differs   bool                // a pong said otherwise than the view whether the thread asks
	runs      map[chat.RunID]bool // that it has sent with answers
	refused   bool                // a rejected came, which may be older than what was asked since
	greeted   time.Duration       // the next socket
	broken    time.Duration       // an error frame came
	even      int                 // pauses in a row that no chance has shortened
}

func newLaws() laws {
	return laws{heads: map[chat.ThreadID]cursor{}, accepts: map[chat.RunID]int64{},
		answering: map[chat.InterruptID]bool{},
		runs:      map[chat.RunID]bool{}}
}

// answers reports whether answers are on their way.
func (t *tab) answers() bool {
	return slices.ContainsFunc(t.state.Sending, func(r chat.RunID) bool { return t.runs[r] })
}

// asked checks that there is a hello where one must be at once.
func (t *tab) asked(why string) {
	if t.link != nil && t.out == 0 && t.w.failed == "" && t.state.Status != client.Replaced {
		t.w.fail("%s %s, and does not say hello", t.name, why)
	}
}

// tells notes what a whole frame says, if the view takes it.
func (t *tab) tells(f wire.ServerFrame) {
	s, th := t.state, t.w.server.thread(t.state.ThreadID)
	switch f := f.(type) {
	case *wire.Ended:
		t.ended[f.RunID] = true
	case *wire.Rejected:
		t.refused = true
	case *wire.Error:
		t.broken = t.w.now
	case *wire.Snapshot:
		t.restated, t.snapshotN = max(t.restated, f.N), max(t.snapshotN, f.N)
		t.restating, t.restatedTo = t.w.server.thread(f.ThreadID).lives[f.Epoch], f.Seq
	case *wire.Ready:
		if f.ThreadID == th.id {
			defer func() { t.readyN = max(t.readyN, f.N) }()
		}
		if f.ThreadID != th.id || f.N < max(t.readyN, t.snapshotN) {
			return
		}
		t.answer, t.refused = t.w.now, false
		for r, n := range t.accepts {
			if n < f.N {
				delete(t.accepts, r)
			}
		}
		if s.Epoch == f.Epoch {
			t.head(th, f.Epoch, f.Head)
		}
	case *wire.Pong:
		if f.ThreadID == th.id && s.Epoch == f.Epoch {
			t.head(th, f.Epoch, f.Head)
			t.differs = !s.Lagging && f.Head <= s.Seq && f.Interrupted != (len(s.Interrupts) > 0) && !t.answers()
		}
	case *wire.Events:
		if f.ThreadID == th.id && s.Epoch == f.Epoch {
			t.head(th, f.Epoch, f.Seq+chat.Seq(len(f.Events))-1)
		}
	case *wire.Accepted:
		t.ended[f.RunID] = t.ended[f.RunID] || f.State == "ended"
		if r := t.w.server.runs[f.RunID]; f.State != "ended" && r != nil && r.frame != nil &&
			r.frame.RequestID == f.RequestID && slices.Contains(s.Sending, f.RunID) {
			t.accepts[f.RunID] = t.n
		}
	}
}

func (t *tab) head(th *thread, epoch chat.Epoch, head chat.Seq) {
	if l := th.lives[epoch]; l != nil {
		if was := t.heads[th.id]; was.nth != l.nth || was.seq < head {
			t.heads[th.id] = cursor{l.nth, head}
		}
	}
}

// knows checks that the view shows what it was told.
func (t *tab) knows(th *thread) {
	s := t.state
	l := th.lives[s.Epoch]
	if l == nil || t.w.failed != "" {
		return
	}
	if told := t.heads[th.id]; told.nth == l.nth && s.Seq < told.seq && !s.Lagging {
		t.w.fail("%s is at %d of %s, was told of %d and does not say that it is behind", t.name, s.Seq, th.id, told.seq)
	}
	if s.Seq > 0 && !l.events[s.Seq-1].Terminal() && s.Active != l.owner[s.Seq-1] && !t.ended[l.owner[s.Seq-1]] {
		t.w.fail("%s shows %q as running, and has had the beginning of %s", t.name, s.Active, l.owner[s.Seq-1])
	}
	for r := range t.accepts {
		_, came := t.ends[r]
		if run := t.w.server.runs[r]; run.thread != th || run.life != l || run.over || t.ended[r] || came {
			continue
		}
		if s.Active != r && !slices.Contains(s.Queued, r) {
			t.w.fail("%s does not show %s, which was accepted after the last hello", t.name, r)
		}
	}
	t.asks(th, l)
}

// asks checks that the view shows the questions that its last event asks, as long as they are open.
func (t *tab) asks(th *thread, l *life) {
	s := t.state
	if s.Lagging || t.refused || t.readyN < t.restated || s.Seq != l.end() || th.life != l || len(l.open) == 0 {
		return
	}
	if slices.ContainsFunc(l.open, func(i agui.Interrupt) bool { return t.answering[i.ID] }) {
		return
	}
	// One that a run has taken and given back is learned of with the next row or pong.
	if e := l.events[s.Seq-1]; e.Outcome == nil || th.answers {
		return
	}
	for _, i := range l.open {
		if !slices.ContainsFunc(s.Interrupts, func(o agui.Interrupt) bool { return o.ID == i.ID }) {
			t.w.fail("%s does not ask %s, with which %s ends", t.name, i.ID, th.id)
		}
	}
}

// pieced looks later whether a frame of which this was the last part is asked for.
func (t *tab) pieced(m message, j *joining) {
	const give, ask = 5 * time.Second, 5300 * time.Millisecond
	w, link, opening, at := t.w, t.link, t.opening, t.w.now
	w.at(at+give+ask, func() {
		still := t.parts[m.post] == j && j.at == at && t.progress <= at+give && len(t.parts) < 8 && !link.slow &&
			t.link == link && t.opening == opening && t.state.Status == client.Ready
		if still && t.out == 0 && t.helloed < at+give && t.answer < at+give {
			w.fail("%s has never got the rest of a frame, and does not ask for it", t.name)
		}
	})
}

// unanswered looks soon whether what had no answer is repeated, after a frame that says that it may not have arrived.
func (t *tab) unanswered() {
	w, link, at, out := t.w, t.link, t.w.now, t.out
	if t.state.Status == client.Connecting || t.unsure+time.Minute > at && t.unsure > 0 || out == 0 &&
		len(t.state.Sending) == 0 {
		return
	}
	sending := slices.Clone(t.state.Sending)
	w.at(at+600*time.Millisecond, func() {
		waits := out != 0 && t.out == out || len(sending) > 0 && slices.Contains(t.state.Sending, sending[0]) &&
			slices.Equal(sending, t.state.Sending)
		if t.link == link && waits && t.said < at && t.answer < at {
			w.fail("%s has not repeated what may not have arrived", t.name)
		}
	})
}

// paused looks for chance in the pauses before a socket.
func (t *tab) paused(after time.Duration) {
	if after == 0 {
		return
	}
	if t.even++; after%(500*time.Millisecond) != 0 {
		t.even = 0
	}
	if t.even > 2 {
		t.w.fail("storm: %s waits %v for its socket, and every tab waits as long", t.name, after)
	}
}
