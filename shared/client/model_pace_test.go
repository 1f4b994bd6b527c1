package client_test

import (
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Most of one tab in a minute. What a person does comes on top, and is little.
const (
	mostHellos   = 90
	mostPings    = 30
	mostConnects = 40
)

// pacing is how often a tab asks.
type pacing struct {
	hellos, pings, connects counter

	out      int64         // n of the hello without an answer
	helloed  time.Duration // the last one
	gaps     int           // hellos since anything was applied
	gapped   time.Duration // the last of them
	progress time.Duration // an event was applied, or a part came
	unsure   time.Duration // something came that makes it repeat what has no answer
	tries    int           // to open a socket, since the last ready
}

// counter counts what happens in a minute.
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

// fresh begins another socket.
func (t *tab) fresh(now time.Duration) {
	t.accepts, t.n, t.snapshotN = map[chat.RunID]int64{}, 0, 0
	t.parts = map[string]*joining{}
	t.out, t.gaps, t.progress, t.gapped, t.readyN, t.restated, t.readied = 0, 0, now, 0, 0, 1, 0 // its first ready is to come
}

// heard notes what bears on the tab's pace.
func (t *tab) heard(m message, f wire.ServerFrame) {
	now := t.w.now
	if m.of > 1 {
		t.progress = now
	}
	if m.f == nil {
		t.unanswered()
		t.unsure = now
	}
	t.tells(f)
	switch f := f.(type) {
	case *wire.Ready:
		if t.readied == 0 && f.ThreadID == t.state.ThreadID {
			t.tries, t.readied = 0, now
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
		if len(t.state.Sending) > 0 || t.acted+10*time.Minute > now {
			t.unsure = now
		}
	}
}

// account holds a frame against what the protocol says of its pace.
func (t *tab) account(f wire.ClientFrame) {
	w, now := t.w, t.w.now
	if _, ping := f.(*wire.Ping); !ping {
		t.said = now
	}
	switch f := f.(type) {
	case *wire.Run:
		t.n = max(t.n, f.N)
	case *wire.Hello:
		t.n = f.N
		t.hellos.count(now)
		sure := t.unsure == 0 || t.unsure+25*time.Second < now
		if t.kind == "tick" && sure {
			t.gap(now)
		}
		t.out, t.helloed = f.N, now
	case *wire.Ping:
		t.pings.count(now)
	}
	if t.hellos.n > mostHellos || t.pings.n > mostPings || t.connects.n > mostConnects {
		w.fail("storm: %s has said %d hellos, %d pings and connected %d times in a minute", t.name, t.hellos.n,
			t.pings.n, t.connects.n)
	}
}

// gap is a hello that no one asked for: the gap's timer has sent it.
func (t *tab) gap(now time.Duration) {
	const least, most = 250 * time.Millisecond, 5 * time.Second
	switch pause := min(least<<min(t.gaps, 10), most); {
	case t.out != 0:
		t.w.fail("storm: %s says hello while one is unanswered", t.name)
	case now-t.progress < least:
		t.w.fail("storm: %s says hello %v after it got on", t.name, now-t.progress)
	case t.gapped > 0 && now-t.gapped < pause:
		t.w.fail("storm: %s says hello for the %d. time after %v, not %v", t.name, t.gaps+1, now-t.gapped, pause)
	}
	t.gaps++
	t.gapped = now
}

// wished holds a pause before a socket against the backoff.
func (t *tab) wished(after time.Duration) {
	const most, soon = 20 * time.Second, time.Second
	t.paused(after)
	if t.tries++; t.tries == 1 && after > soon || after > most {
		t.w.fail("%s waits %v for its socket, at the %d. try", t.name, after, t.tries)
	}
}

// gaveUp is a socket that the client closes. One that works is kept.
func (t *tab) gaveUp() {
	l := t.link
	if t.w.fair && !l.dead && !l.gone && !l.slow && t.harmed+15*time.Second < t.w.now && t.broken != t.w.now {
		t.w.fail("%s gives up a socket that works", t.name)
	}
}
