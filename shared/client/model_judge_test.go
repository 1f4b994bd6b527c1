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

// judge is what one tab has had, and so what it may show.
type judge struct {
	kind       string // of the input that is judged
	cursors    map[chat.ThreadID]cursor
	ended      map[chat.RunID]bool // it has had their end
	answered   map[chat.InterruptID]bool
	versions   map[chat.ThreadID]int64
	harmed     time.Duration // a fault struck what is its
	acted      time.Duration // a person asked something
	idle       time.Duration // it showed no run
	opening    time.Duration // it switched
	readyN     int64         // of the newest ready on this socket
	restated   int64         // n of the newest snapshot
	ends       map[chat.RunID]finish
	parts      map[string]*joining // on this socket
	snapshotN  int64
	restating  *life // of the last snapshot that came, and up to where
	restatedTo chat.Seq
	pacing
	laws
}

// joining is a frame in parts.
type joining struct {
	seen map[string]bool
	at   time.Duration
}

// joined is the frame that is whole with this message, nil if none is.
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
	t.pieced(m, j)
	if len(j.seen) < m.of {
		return nil
	}
	delete(t.parts, m.post)
	return m.f
}

// finish is where a terminal event stands that came, applied or not.
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

func (t *tab) harm() { t.harmed = t.w.now }

// see holds what is shown against what there is.
func (t *tab) see(before client.State) {
	s := t.state
	if s.ThreadID != before.ThreadID {
		t.opening, t.gaps, t.gapped = t.w.now, 0, 0
	}
	if s.Active == "" && len(s.Queued)+len(s.Sending) == 0 {
		t.idle = t.w.now
	}
	if !s.Lagging {
		t.gaps, t.gapped = 0, 0
	}
	th := t.w.server.thread(s.ThreadID)
	t.cursor(th)
	t.noRuns(th)
	t.knows(th)
	for _, i := range s.Interrupts {
		if t.answered[i.ID] {
			t.w.fail("%s asks %s, which it has seen answered", t.name, i.ID)
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

// cursor checks where the view is, and that it shows what the log of that life says up to there.
func (t *tab) cursor(th *thread) {
	s, was := t.state, t.cursors[th.id]
	if s.Epoch == "" {
		if s.Seq != 0 || len(s.Messages) > 0 {
			t.w.fail("%s shows %d messages of no epoch", t.name, len(s.Messages))
		}
		if was.seq > 0 && th.life != nil && th.life.nth == was.nth {
			t.w.fail("%s has emptied %s", t.name, th.id)
		}
		return
	}
	l := th.lives[s.Epoch]
	switch {
	case l == nil:
		t.w.fail("%s shows %s in the epoch %s, which it has never had", t.name, th.id, s.Epoch)
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
	if have := text(s.Messages); have != l.at(s.Seq) {
		t.w.fail("%s shows of %s up to %s %d\n%s\nand the log says\n%s", t.name, th.id, s.Epoch, s.Seq, have,
			l.at(s.Seq))
	}
	from := was.seq
	if was.nth != l.nth {
		from = 0
	}
	if t.restating == l {
		from = max(from, t.restatedTo) // what a snapshot restates was not had event by event
	}
	for i := from; i < s.Seq; i++ {
		t.had(l.events[i], l.owner[i])
	}
}

func (t *tab) had(e agui.Event, run chat.RunID) {
	if e.Terminal() {
		t.ended[run] = true
	}
	if e.Input != nil {
		for _, r := range e.Input.Resume {
			t.answered[r.InterruptID] = true
		}
	}
}

// noRuns checks that nothing is shown as running that is over, as far as the view can know.
func (t *tab) noRuns(th *thread) {
	s := t.state
	for _, r := range append([]chat.RunID{s.Active}, s.Queued...) {
		l := th.lives[s.Epoch]
		end, came := t.ends[r]
		switch {
		case r == "":
		case t.ended[r]:
			t.w.fail("%s shows %s as running, and has had its end", t.name, r)
		case l != nil && came && end.nth == l.nth && end.seq <= s.Seq:
			t.w.fail("%s shows %s as running, is at %d, and its end came, at %d", t.name, r, s.Seq, end.seq)
		case s.Lagging || t.readyN < t.restated:
		case l != nil && l.ends[r] > 0 && l.ends[r] <= s.Seq && !slices.Contains(t.sent, r):
			t.w.fail("%s shows %s as running, whose end is at %d, and is at %d", t.name, r, l.ends[r], s.Seq)
		}
	}
}

// at is the fold of a life's log up to a position, as text.
func (l *life) at(seq chat.Seq) string {
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

// How long it may take until a tab shows what was appended.
const (
	first  = 600 * time.Millisecond // a run's first record, where somebody watched before
	live   = 3 * time.Second
	rough  = 9 * time.Second // while the network is bad
	healed = 31 * time.Second
)

// appended sets checks that the tabs come to show what was just appended.
func (w *world) appended(r *run, l *life) {
	for _, t := range w.tabs {
		s := t.state
		if t.link == nil || t.link.slow || s.ThreadID != r.thread.id || s.Status != client.Ready {
			continue
		}
		row := w.server.row(t.link)
		if !s.Lagging && row != nil && row.thread == r.thread.id && t.harmed < t.helloed && !t.link.dead &&
			s.Epoch == l.epoch {
			since := t.helloed
			limit := live
			if !w.fair {
				limit = rough
			}
			t.expect(r, l, limit, func() bool { return t.harmed < since })
			if w.fair && t.link.watched+2*time.Second < w.now && len(l.events) > 2 && l.owner[l.end()-3] != r.id {
				t.expect(r, l, first, func() bool { return t.helloed == since })
			}
		}
		if since := t.helloed; w.fair && t.out != 0 && t.harmed < since && !t.link.dead {
			t.expect(r, l, live,
				func() bool { return t.harmed < since }) // by its replay or live: nothing falls in between
		}
		if w.fair && (s.Active != "" || len(s.Queued)+len(s.Sending) > 0) {
			at := w.now
			t.expect(r, l, healed, func() bool { return t.harmed < at && t.idle < at })
		}
	}
}

// expect checks later that the tab is at least as far as the log is now, if it still holds the thread and nothing
// struck it.
func (t *tab) expect(r *run, l *life, within time.Duration, counts func() bool) {
	w, to, opening, link := t.w, l.end(), t.opening, t.link
	w.at(w.now+within, func() {
		s := t.state
		if s.ThreadID != r.thread.id || t.opening != opening || r.thread.life != l || !counts() || t.link != link &&
			within != healed || s.Status == client.Replaced {
			return
		}
		if s.Epoch != l.epoch || s.Seq < to {
			w.fail("%s is at %s %d of %s, %v after %s %d was appended", t.name, s.Epoch, s.Seq, r.thread.id, within,
				l.epoch, to)
		}
	})
}
