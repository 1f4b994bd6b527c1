package client_test

import (
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// The limits of one tab per minute. They include a user's few requests.
const (
	mostHellos   = 90
	mostPings    = 30
	mostConnects = 40
)

// pacing records how often a tab sends hello, pings and connects.
type pacing struct {
	hellos, pings, connects counter

	out      int64         // n of the hello that has no ready yet; 0: none
	helloed  time.Duration // when the last hello was sent
	gaps     int           // hellos because of a gap since an event was last applied
	gapped   time.Duration // when the last of them was sent
	progress time.Duration // when an event was last applied or a part arrived
	unsure   time.Duration // when a message last made the tab send unanswered frames again
	tries    int           // attempts to open a socket since the last ready
}

// counter counts in each minute, and in all.
type counter struct {
	minute time.Duration
	n, all int
}

func (c *counter) count(now time.Duration) {
	c.all++
	if m := now.Truncate(time.Minute); m != c.minute {
		c.minute, c.n = m, 0
	}
	c.n++
}

func (p *pacing) applied(now time.Duration) { p.gaps, p.progress, p.gapped = 0, now, 0 }

// newSocket resets the records of a socket for a new one.
func (t *tab) newSocket(now time.Duration) {
	t.accepts, t.n, t.snapshotN = map[chat.RunID]int64{}, 0, 0
	t.parts = map[string]*joining{}
	// before its first ready
	t.out, t.gaps, t.progress, t.gapped, t.readyN, t.restated, t.firstReady = 0, 0, now, 0, 0, 1, 0
}

// noteMessage notes a message, and the frame f that it completes.
func (t *tab) noteMessage(m message, f wire.ServerFrame) {
	now := t.w.now
	if m.of > 1 {
		t.progress = now
	}
	if m.f == nil {
		t.expectRetry()
		t.unsure = now
	}
	t.noteFrame(f)
	switch f := f.(type) {
	case *wire.Ready:
		// The view drops a ready that a snapshot of a later hello has overtaken.
		if t.firstReady == 0 && f.ThreadID == t.state.ThreadID && f.N >= t.snapshotN {
			t.tries, t.firstReady = 0, now
		}
		if f.N >= t.out {
			t.out = 0
		}
	case *wire.Events:
		if end := len(f.Events) - 1; f.ThreadID == t.state.ThreadID && f.Events[end].Terminal() {
			if l := t.w.server.thread(f.ThreadID).lives[f.Epoch]; l != nil {
				t.ends[f.RunID] = finish{l.nth, f.Seq + chat.Seq(end)}
			}
		}
	case *wire.Pong:
		if len(t.state.Sending) > 0 || t.lastAction+10*time.Minute > now {
			t.unsure = now
		}
	}
}

// noteSent notes a frame that the tab sends, and checks the limits per minute.
func (t *tab) noteSent(f wire.ClientFrame) {
	w, now := t.w, t.w.now
	if _, ping := f.(*wire.Ping); !ping {
		t.lastSent = now
	}
	switch f := f.(type) {
	case *wire.Run:
		t.n = max(t.n, f.N)
	case *wire.Hello:
		t.n = f.N
		t.hellos.count(now)
		sure := t.unsure == 0 || t.unsure+25*time.Second < now
		if t.kind == "tick" && sure {
			t.checkGap(now)
		}
		t.out, t.helloed = f.N, now
	case *wire.Ping:
		t.pings.count(now)
	}
	if t.hellos.n > mostHellos || t.pings.n > mostPings || t.connects.n > mostConnects {
		w.fail("storm: %s sent %d hellos and %d pings, and connected %d times in a minute", t.name, t.hellos.n,
			t.pings.n, t.connects.n)
	}
}

// checkGap checks the pauses before a hello that the gap's timer sends.
func (t *tab) checkGap(now time.Duration) {
	const least, most = 250 * time.Millisecond, 5 * time.Second
	switch pause := min(least<<min(t.gaps, 10), most); {
	case t.out != 0:
		t.w.fail("storm: %s sends hello while one is unanswered", t.name)
	case now-t.progress < least:
		t.w.fail("storm: %s sends hello only %v after its last progress", t.name, now-t.progress)
	case t.gapped > 0 && now-t.gapped < pause:
		t.w.fail("storm: %s sends hello number %d after %v, want a pause of %v", t.name, t.gaps+1, now-t.gapped, pause)
	}
	t.gaps++
	t.gapped = now
}

// checkPause checks the pause before a new socket against the backoff.
func (t *tab) checkPause(after time.Duration) {
	const most, soon = 20 * time.Second, time.Second
	t.checkJitter(after)
	if t.tries++; t.tries == 1 && after > soon || after > most {
		t.w.fail("%s waits %v before attempt %d to open a socket", t.name, after, t.tries)
	}
}

// checkClose checks that the client does not close a socket that works.
func (t *tab) checkClose() {
	l := t.link
	if t.w.fair && !l.dead && !l.closed && !l.slow && t.lastFault+15*time.Second < t.w.now && t.lastError != t.w.now {
		t.w.fail("%s closes a socket that works", t.name)
	}
}
