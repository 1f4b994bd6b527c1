package client_test

import (
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// laws records the facts that frames have reported to a tab, and that the tab must therefore know.
type laws struct {
	heads       map[chat.ThreadID]cursor  // the highest head that a frame has reported
	accepts     map[chat.RunID]int64      // runs accepted on this socket, with the n of that time
	answering   map[chat.InterruptID]bool // interrupts to which the tab has sent a response
	n           int64                     // of the last hello or run on this socket
	lastSent    time.Duration             // when the tab last sent a frame other than ping
	firstReady  time.Duration             // when this socket's first ready arrived; 0: not yet
	lastReady   time.Duration             // when the last ready arrived
	pongDiffers bool                      // a pong and the view disagree on whether interrupts are open
	responding  map[chat.RunID]bool       // runs that the tab has sent with responses
	refused     bool                      // a rejected arrived, whose interrupts may be outdated
	nextOpened  time.Duration             // when the next socket opened
	lastError   time.Duration             // when an error frame last arrived
	evenPauses  int                       // successive pauses that are multiples of 500 ms, so without jitter
}

func newLaws() laws {
	return laws{heads: map[chat.ThreadID]cursor{}, accepts: map[chat.RunID]int64{},
		answering:  map[chat.InterruptID]bool{},
		responding: map[chat.RunID]bool{}}
}

// answers reports whether the tab is sending a run with responses.
func (t *tab) answers() bool {
	return slices.ContainsFunc(t.state.Sending, func(r chat.RunID) bool { return t.responding[r] })
}

// requireHello checks that the tab has sent a hello at once, for the reason why.
func (t *tab) requireHello(why string) {
	if t.link != nil && t.out == 0 && t.w.failed == "" && t.state.Status != client.Replaced {
		t.w.fail("%s %s, and has not sent hello", t.name, why)
	}
}

// noteFrame notes the facts that a complete frame reports, unless the view must drop the frame.
func (t *tab) noteFrame(f wire.ServerFrame) {
	s, th := t.state, t.w.server.thread(t.state.ThreadID)
	switch f := f.(type) {
	case *wire.Ended:
		t.ended[f.RunID] = true
	case *wire.Rejected:
		t.refused = true
	case *wire.Error:
		t.lastError = t.w.now
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
		t.lastReady, t.refused = t.w.now, false
		for r, n := range t.accepts {
			if n < f.N {
				delete(t.accepts, r)
			}
		}
		if s.Epoch == f.Epoch {
			t.noteHead(th, f.Epoch, f.Head)
		}
	case *wire.Pong:
		if f.ThreadID == th.id && s.Epoch == f.Epoch {
			t.noteHead(th, f.Epoch, f.Head)
			t.pongDiffers = !s.Lagging && f.Head <= s.Seq && f.Interrupted != (len(s.Interrupts) > 0) && !t.answers()
		}
	case *wire.Events:
		if f.ThreadID == th.id && s.Epoch == f.Epoch {
			t.noteHead(th, f.Epoch, f.Seq+chat.Seq(len(f.Events))-1)
		}
	case *wire.Accepted:
		t.ended[f.RunID] = t.ended[f.RunID] || f.State == "ended"
		if r := t.w.server.runs[f.RunID]; f.State != "ended" && r != nil && r.frame != nil &&
			r.frame.RequestID == f.RequestID && slices.Contains(s.Sending, f.RunID) {
			t.accepts[f.RunID] = t.n
		}
	}
}

// noteHead notes the reported head of a thread if it is the highest yet.
func (t *tab) noteHead(th *thread, epoch chat.Epoch, head chat.Seq) {
	if l := th.lives[epoch]; l != nil {
		if was := t.heads[th.id]; was.nth != l.nth || was.seq < head {
			t.heads[th.id] = cursor{l.nth, head}
		}
	}
}

// checkReported checks that the view shows the facts that frames have reported to it.
func (t *tab) checkReported(th *thread) {
	s := t.state
	l := th.lives[s.Epoch]
	if l == nil || t.w.failed != "" {
		return
	}
	if reported := t.heads[th.id]; reported.nth == l.nth && s.Seq < reported.seq && !s.Lagging {
		t.w.fail("%s is at %d of %s, has received the head %d, and is not marked as lagging", t.name, s.Seq, th.id,
			reported.seq)
	}
	if s.Seq > 0 && !l.events[s.Seq-1].Terminal() && s.Active != l.owner[s.Seq-1] && !t.ended[l.owner[s.Seq-1]] {
		t.w.fail("%s shows %q as running after it has received the start of %s", t.name, s.Active, l.owner[s.Seq-1])
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
	t.checkInterrupts(th, l)
}

// checkInterrupts checks that the view shows the interrupts of its last event as long as they are open.
func (t *tab) checkInterrupts(th *thread, l *life) {
	s := t.state
	if s.Lagging || t.refused || t.readyN < t.restated || s.Seq != l.end() || th.life != l || len(l.open) == 0 {
		return
	}
	if slices.ContainsFunc(l.open, func(i agui.Interrupt) bool { return t.answering[i.ID] }) {
		return
	}
	// A cancelled queued run reopens the interrupts that it was to answer: the view learns that from the next row or
	// pong.
	if e := l.events[s.Seq-1]; e.Outcome == nil || th.answers {
		return
	}
	for _, i := range l.open {
		if !slices.ContainsFunc(s.Interrupts, func(o agui.Interrupt) bool { return o.ID == i.ID }) {
			t.w.fail("%s does not show the interrupt %s, with which the log of %s ends", t.name, i.ID, th.id)
		}
	}
}

// expectRest schedules a check that the tab sends hello if no further part of an incomplete frame arrives.
func (t *tab) expectRest(m message, j *joining) {
	const give, ask = 5 * time.Second, 5300 * time.Millisecond
	w, link, openedAt, at := t.w, t.link, t.openedAt, t.w.now
	w.at(at+give+ask, func() {
		still := t.parts[m.post] == j && j.at == at && t.progress <= at+give && len(t.parts) < 8 && !link.slow &&
			t.link == link && t.openedAt == openedAt && t.state.Status == client.Ready
		if still && t.out == 0 && t.helloed < at+give && t.lastReady < at+give {
			w.fail("%s has not received the rest of a frame in parts, and has not sent hello for it", t.name)
		}
	})
}

// expectRetry schedules a check that the tab sends its unanswered frames again, after a frame that means that the
// server may not have received them.
func (t *tab) expectRetry() {
	w, link, at, out := t.w, t.link, t.w.now, t.out
	if t.state.Status == client.Connecting || t.unsure+time.Minute > at && t.unsure > 0 || out == 0 &&
		len(t.state.Sending) == 0 {
		return
	}
	sending := slices.Clone(t.state.Sending)
	w.at(at+600*time.Millisecond, func() {
		waits := out != 0 && t.out == out || len(sending) > 0 && slices.Contains(t.state.Sending, sending[0]) &&
			slices.Equal(sending, t.state.Sending)
		if t.link == link && waits && t.lastSent < at && t.lastReady < at {
			w.fail("%s has not sent its unanswered frames again", t.name)
		}
	})
}

// checkJitter checks that the pauses before a new socket have jitter.
func (t *tab) checkJitter(after time.Duration) {
	if after == 0 {
		return
	}
	if t.evenPauses++; after%(500*time.Millisecond) != 0 {
		t.evenPauses = 0
	}
	if t.evenPauses > 2 {
		t.w.fail("storm: %s waits %v for its socket, without jitter: every tab waits as long", t.name, after)
	}
}
