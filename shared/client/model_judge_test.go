package client_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// judge checks what one tab shows. It records everything that the tab has received, and when.
type judge struct {
	kind       string // the kind of the input after which the tab is checked
	cursors    map[chat.ThreadID]cursor
	ended      map[chat.RunID]bool // runs whose terminal event the tab has received
	answered   map[chat.InterruptID]bool
	versions   map[chat.ThreadID]int64 // of the rows that the tab showed last
	lastFault  time.Duration           // when a fault last affected this tab
	lastAction time.Duration           // when the user last made a request in this tab
	lastIdle   time.Duration           // when the tab last showed no run
	openedAt   time.Duration           // when the tab last switched its thread
	readyN     int64                   // n of the newest ready on this socket
	restated   int64                   // n of the newest snapshot; 1 before this socket's first ready
	ends       map[chat.RunID]finish
	parts      map[string]*joining // incomplete frames on this socket
	snapshotN  int64               // n of the newest snapshot on this socket
	restating  *life               // the life that the last snapshot restated
	restatedTo chat.Seq            // the position up to which it did
	pacing
	laws
}

// joining is a frame of which some parts have arrived.
type joining struct {
	seen map[string]bool
	at   time.Duration
}

// joined returns the frame that message m completes, or nil if m is a part and others are still missing.
func (t *tab) joined(m message) wire.ServerFrame {
	if m.of == 1 {
		return m.f
	}
	j := t.parts[m.post]
	if j == nil || j.at+5*time.Second <= t.w.now {
		j = &joining{seen: map[string]bool{}}
		t.parts[m.post] = j
	}
	j.at, j.seen[string(m.data)] = t.w.now, true
	t.expectRest(m, j)
	if len(j.seen) < m.of {
		return nil
	}
	delete(t.parts, m.post)
	return m.f
}

// finish is the position of a terminal event that the tab has received, whether it applied the event or not.
type finish struct {
	nth int
	seq chat.Seq
}

type cursor struct {
	nth int
	seq chat.Seq
}

func newJudge() *judge {
	return &judge{cursors: map[chat.ThreadID]cursor{}, ended: map[chat.RunID]bool{},
		answered: map[chat.InterruptID]bool{},
		versions: map[chat.ThreadID]int64{}, ends: map[chat.RunID]finish{}, laws: newLaws()}
}

func (t *tab) noteFault() { t.lastFault = t.w.now }

// check compares the state that the tab shows with the server's data and with what the tab has received.
func (t *tab) check(before client.State) {
	s := t.state
	if s.ThreadID != before.ThreadID {
		t.openedAt, t.gaps, t.gapped = t.w.now, 0, 0
	}
	if s.Active == "" && len(s.Queued)+len(s.Sending) == 0 {
		t.lastIdle = t.w.now
	}
	if !s.Lagging {
		t.gaps, t.gapped = 0, 0
	}
	th := t.w.server.thread(s.ThreadID)
	t.checkCursor(th)
	t.checkRuns(th)
	t.checkReported(th)
	for _, i := range s.Interrupts {
		if t.answered[i.ID] {
			t.w.fail("%s shows the interrupt %s, for which it has received a response", t.name, i.ID)
		}
	}
	versions := map[chat.ThreadID]int64{}
	for _, row := range s.Threads {
		var version int64
		if _, err := fmt.Sscanf(strings.TrimPrefix(row.Title, string(row.ThreadID)), "%d", &version); err != nil {
			t.w.fail("%s shows the row %+v", t.name, row)
		}
		if version < t.versions[row.ThreadID] {
			t.w.fail("%s shows %s after version %d", t.name, row.Title, t.versions[row.ThreadID])
		}
		versions[row.ThreadID] = version
	}
	t.versions = versions
}

// checkCursor checks that the view's cursor is valid, and that the view shows the fold of that epoch's log up to it.
func (t *tab) checkCursor(th *thread) {
	s, was := t.state, t.cursors[th.id]
	if s.Epoch == "" {
		if s.Seq != 0 || len(s.Messages) > 0 {
			t.w.fail("%s shows %d messages of no epoch", t.name, len(s.Messages))
		}
		if was.seq > 0 && th.life != nil && th.life.nth == was.nth {
			t.w.fail("%s no longer shows the events of %s, which still exists", t.name, th.id)
		}
		return
	}
	l := th.lives[s.Epoch]
	switch {
	case l == nil:
		t.w.fail("%s shows %s in the epoch %s, which the thread never had", t.name, th.id, s.Epoch)
		return
	case l.nth < was.nth:
		t.w.fail("%s shows %s in %s after a later epoch", t.name, th.id, s.Epoch)
	case l.nth == was.nth && s.Seq < was.seq:
		t.w.fail("%s shows %s at %d after %d", t.name, th.id, s.Seq, was.seq)
	case s.Seq > l.end():
		t.w.fail("%s shows %s at %d, and its log ends at %d", t.name, th.id, s.Seq, l.end())
		return
	}
	now := cursor{l.nth, s.Seq}
	if now == was {
		return
	}
	t.applied(t.w.now)
	t.cursors[th.id] = now
	if have := text(s.Messages); have != l.textAt(s.Seq) {
		t.w.fail("%s shows of %s up to %s %d\n%s\nand the log says\n%s", t.name, th.id, s.Epoch, s.Seq, have,
			l.textAt(s.Seq))
	}
	from := was.seq
	if was.nth != l.nth {
		from = 0
	}
	if t.restating == l {
		from = max(from, t.restatedTo) // a snapshot replaces the single events
	}
	for i := from; i < s.Seq; i++ {
		t.noteEvent(l.events[i], l.owner[i])
	}
}

// noteEvent notes an applied event of a run.
func (t *tab) noteEvent(e agui.Event, run chat.RunID) {
	if e.Terminal() {
		t.ended[run] = true
	}
	if e.Input != nil {
		for _, r := range e.Input.Resume {
			t.answered[r.InterruptID] = true
		}
	}
}

// checkRuns checks that the view shows no run as running whose end it has received or must have noticed.
func (t *tab) checkRuns(th *thread) {
	s := t.state
	for _, r := range append([]chat.RunID{s.Active}, s.Queued...) {
		l := th.lives[s.Epoch]
		end, came := t.ends[r]
		switch {
		case r == "":
		case t.ended[r]:
			t.w.fail("%s shows %s as running after it has received its end", t.name, r)
		case l != nil && came && end.nth == l.nth && end.seq <= s.Seq:
			t.w.fail("%s shows %s as running at cursor %d, although it has received its end at %d", t.name, r, s.Seq,
				end.seq)
		case s.Lagging || t.readyN < t.restated:
		case l != nil && l.ends[r] > 0 && l.ends[r] <= s.Seq && !slices.Contains(t.sent, r):
			t.w.fail("%s shows %s as running, although it ended at %d and the cursor is %d", t.name, r, l.ends[r],
				s.Seq)
		}
	}
}

// textAt returns the fold of a life's log up to a position, as JSON.
func (l *life) textAt(seq chat.Seq) string {
	if s, ok := l.folded[seq]; ok {
		return s
	}
	l.folded[seq] = text(fold(l.events[:seq]))
	return l.folded[seq]
}

func text(messages []agui.Message) string {
	b, err := json.Marshal(messages)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// The limits within which a tab must show appended events.
const (
	limitFirst  = 600 * time.Millisecond // for a run's first record, if the tab watched the thread before
	limitLive   = 3 * time.Second        // without faults
	limitFaults = 9 * time.Second        // with faults
	limitHealed = 31 * time.Second       // after the last fault, if the tab knows of a run
)

// appended schedules checks that the tabs show the events that were just appended, each within its limit.
func (w *world) appended(r *run, l *life) {
	for _, t := range w.tabs {
		s := t.state
		if t.link == nil || t.link.slow || s.ThreadID != r.thread.id || s.Status != client.Ready {
			continue
		}
		row := w.server.row(t.link)
		if !s.Lagging && row != nil && row.thread == r.thread.id && t.lastFault < t.helloed && !t.link.dead &&
			s.Epoch == l.epoch {
			since := t.helloed
			limit := limitLive
			if !w.fair {
				limit = limitFaults
			}
			t.expect(r, l, limit, func() bool { return t.lastFault < since })
			if w.fair && t.link.watched+2*time.Second < w.now && len(l.events) > 2 && l.owner[l.end()-3] != r.id {
				t.expect(r, l, limitFirst, func() bool { return t.helloed == since })
			}
		}
		if since := t.helloed; w.fair && t.out != 0 && t.lastFault < since && !t.link.dead {
			t.expect(r, l, limitLive,
				func() bool { return t.lastFault < since }) // by replay or live: no event is lost between the two
		}
		if w.fair && (s.Active != "" || len(s.Queued)+len(s.Sending) > 0) {
			at := w.now
			t.expect(r, l, limitHealed, func() bool { return t.lastFault < at && t.lastIdle < at })
		}
	}
}

// expect schedules a check that the tab's cursor has reached the present end of the log. The check is dropped if the
// tab has left the thread or its socket by then, or if counts reports false (a fault has affected the tab).
func (t *tab) expect(r *run, l *life, within time.Duration, counts func() bool) {
	w, to, openedAt, link := t.w, l.end(), t.openedAt, t.link
	w.at(w.now+within, func() {
		s := t.state
		if s.ThreadID != r.thread.id || t.openedAt != openedAt || r.thread.life != l || !counts() || t.link != link &&
			within != limitHealed || s.Status == client.Replaced {
			return
		}
		if s.Epoch != l.epoch || s.Seq < to {
			w.fail("%s is only at %s %d of %s, %v after %s %d was appended", t.name, s.Epoch, s.Seq, r.thread.id,
				within,
				l.epoch, to)
		}
	})
}
