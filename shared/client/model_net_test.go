package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"carrel/shared/client"
	"carrel/shared/wire"
)

var errPost = errors.New("the post failed")

// message is one message on a socket: a frame, or a part of one.
type message struct {
	data []byte
	f    wire.ServerFrame // nil: API Gateway sent it, not the server
	of   int              // number of messages of the frame
	post string           // id of the post
}

// link is one socket. Its two ends may disagree on whether it is open.
type link struct {
	tab     *tab
	nth     int
	here    bool // the client considers it open
	dead    bool // half-open: it accepts every message and delivers none
	closed  bool // the gateway considers it closed
	slow    bool
	busy    time.Duration // until then a slow socket delivers an earlier message
	watched time.Duration // when its watched thread was last stored
}

// hangUp ends a socket from the gateway's side.
func (l *link) hangUp() {
	w := l.tab.w
	l.closed = true
	w.later(50*time.Millisecond, func() {
		if l.here && !l.dead {
			l.tab.lost(l)
		}
	})
}

// leave ends a socket from the client's side. The gateway may never notice.
func (l *link) leave() {
	w := l.tab.w
	l.here = false
	if l.dead || w.chance(w.traits.halves) {
		w.later(20*time.Second, func() { l.closed = true })
		return
	}
	l.closed = true
	if !w.chance(30) { // else $disconnect is never invoked
		w.later(100*time.Millisecond, func() { w.server.drop(l) })
	}
}

// up sends a frame of the client. API Gateway may deliver the frames of one socket in any order. A failed function may
// have done its work or not.
func (l *link) up(data []byte) {
	t, w := l.tab, l.tab.w
	f, bad := wire.DecodeClient(data)
	if bad != nil {
		w.fail("%s sent %s: %s", t.name, data, bad.Message)
		return
	}
	w.note("%s > %s", t.name, data)
	if l == t.link {
		t.noteSent(f)
	}
	delay := 20 * time.Millisecond
	if !w.fair {
		delay = 150 * time.Millisecond
	}
	w.later(delay, func() {
		if l.dead || l.closed {
			return
		}
		c := &call{b: w.server, link: l}
		if !w.chance(w.traits.functions) {
			c.serve(f)
			return
		}
		t.noteFault()
		if c.mute = w.chance(50); c.mute || w.chance(50) {
			c.serve(f)
		}
		if !w.chance(20) {
			l.arrive(message{data: []byte(`{"message": "Internal server error", "connectionId":"c", "requestId":"q"}`),
				of: 1})
		}
	})
}

// post sends a frame to a connection, in parts if it is long or by chance, and calls done with the result.
func (b *backend) post(l *link, f wire.ServerFrame, done func(error)) {
	w := b.w
	id := fmt.Sprint("p", w.rnd.Uint64())
	messages, err := wire.Encode(f, id)
	if err != nil {
		w.fail("encode %+v: %v", f, err)
		return
	}
	if len(messages) == 1 && len(messages[0]) > 300 && w.often(w.traits.parts) {
		messages = pieces(messages[0], id)
	}
	of := len(messages)
	var next func(error)
	next = func(err error) {
		if err != nil || len(messages) == 0 {
			if done != nil {
				done(err)
			}
			return
		}
		m := message{messages[0], f, of, id}
		messages = messages[1:]
		b.w.later(25*time.Millisecond, func() { next(b.pass(l, m)) })
	}
	next(nil)
}

// pass posts one message: it may be lost, fail before or after its effect, or arrive twice.
func (b *backend) pass(l *link, m message) error {
	w := b.w
	switch {
	case l.closed:
		b.drop(l)
		return errPost
	case l.dead:
		return nil
	case w.chance(w.traits.lost):
		l.tab.noteFault()
		w.note("%s: lost: %s", l.tab.name, m.data)
		return nil
	case w.chance(w.traits.broken):
		l.tab.noteFault()
		w.note("%s: the post failed: %s", l.tab.name, m.data)
		if w.chance(50) { // the post fails after its effect
			l.arrive(m)
		}
		return errPost
	}
	l.arrive(m)
	if w.chance(w.traits.twice) {
		l.arrive(m)
	}
	return nil
}

// arrive schedules the delivery of a message to the client.
func (l *link) arrive(m message) {
	w := l.tab.w
	at := w.now + w.within(30*time.Millisecond)
	if w.chance(w.traits.late) {
		at += w.within(1500 * time.Millisecond)
	}
	if l.slow {
		l.busy = max(at, l.busy) + 200*time.Millisecond + w.within(time.Second)
		at = l.busy
	}
	w.at(at, func() {
		if l.here && !l.dead {
			l.tab.receive(l, m)
		}
	})
}

// pieces cuts a frame into three parts, as Encode does with a long frame.
func pieces(b []byte, id string) [][]byte {
	cuts := []int{0, len(b) / 3, len(b) / 2, len(b)}
	var out [][]byte
	for i := range 3 {
		p, err := wire.Encode(&wire.Part{ID: id, N: i + 1, Of: 3, Data: b[cuts[i]:cuts[i+1]]}, id)
		if err != nil {
			panic(err)
		}
		out = append(out, p...)
	}
	return out
}

// newTab returns the user's i-th tab.
func newTab(w *world, i int, seed uint64) *tab {
	random := rand.New(rand.NewPCG(seed, uint64(i)+2))
	return &tab{w: w, name: fmt.Sprint("tab", i+1), view: client.NewView(random.Float64), judge: newJudge()}
}
