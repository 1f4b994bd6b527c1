package client_test

import (
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// tab is one browser tab of the user: a real View, and the socket that it uses.
type tab struct {
	w       *world
	name    string
	view    *client.View
	link    *link
	next    *link     // the next socket: open, and not in use yet
	early   []message // messages that arrived on the next socket
	links   int
	attempt int // number of the last attempt to open a socket; results of earlier ones are ignored
	timer   int // number of the last timer; earlier ones are ignored
	state   client.State
	sent    []chat.RunID
	*judge
}

// do gives the view one input, checks the state that it shows then, and carries out its actions.
func (t *tab) do(kind string, input func(now time.Time)) {
	if t.w.failed != "" {
		return
	}
	t.kind = kind
	before := t.state
	input(t.time())
	actions := t.view.Actions()
	t.state = t.view.State()
	if actions.Promote {
		t.switched()
	}
	t.check(before)
	t.carryOut(actions)
	if t.pongDiffers {
		t.requireHello("received a pong that contradicts its interrupts")
		t.pongDiffers = false
	}
	t.timer++
	if at, due := t.view.Next(); due {
		timer := t.timer
		t.w.at(time.Duration(at.UnixNano()), func() {
			if timer == t.timer {
				t.do("tick", t.view.Tick)
			}
		})
	}
}

func (t *tab) time() time.Time { return time.UnixMilli(0).Add(t.w.now) }

// carryOut carries out the view's actions.
func (t *tab) carryOut(w client.Actions) {
	if w.Hello != nil && t.next != nil {
		t.next.up(w.Hello)
	}
	for _, frame := range w.Frames {
		if t.link != nil {
			t.link.up(frame)
		}
	}
	if w.Close && t.link != nil {
		t.checkClose()
		t.link.leave()
		t.link = nil
	}
	if w.Connect {
		t.connect(w.After)
	} else if !t.view.Wanted() {
		t.abandon()
	}
}

// abandon ignores the attempt in progress, and closes the next socket.
func (t *tab) abandon() {
	t.attempt++
	if t.next != nil {
		t.next.leave()
		t.next = nil
	}
}

// switched makes the next socket the one in use, once its hello is answered or the old socket is lost.
func (t *tab) switched() {
	if t.link != nil {
		t.link.leave()
	}
	t.link, t.next, t.kind = t.next, nil, "switch"
	t.w.note("%s goes on with its next socket", t.name)
	t.newSocket(t.w.now)
	t.out, t.helloed, t.n = 1, t.nextOpened, 1
	for _, m := range t.early {
		t.noteMessage(m, t.joined(m))
	}
	t.early = nil
}

// connect opens a socket after a pause. It replaces any attempt before it.
func (t *tab) connect(after time.Duration) {
	w := t.w
	t.abandon()
	attempt := t.attempt
	t.checkPause(after)
	w.at(w.now+after, func() {
		if attempt != t.attempt {
			return
		}
		if t.connects.count(w.now); after > 0 {
			w.countAttempt()
		}
		fails := w.now < w.down || w.chance(20)
		w.later(100*time.Millisecond, func() {
			switch {
			case attempt != t.attempt:
			case fails:
				w.note("%s cannot connect", t.name)
				t.do("failed", t.view.Failed)
			default:
				t.opened()
			}
		})
	})
}

func (t *tab) opened() {
	t.links++
	l := &link{tab: t, nth: t.links, here: true, slow: t.w.chance(t.w.traits.slow)}
	t.w.note("%s is connected (slow: %v)", t.name, l.slow)
	t.w.server.connect(l)
	if t.link != nil {
		t.next, t.early, t.nextOpened = l, nil, t.w.now
		t.do("offered", t.view.Offered)
		return
	}
	t.link = l
	t.newSocket(t.w.now)
	t.do("opened", t.view.Opened)
}

// lost reports a lost socket to the view.
func (t *tab) lost(l *link) {
	switch l {
	case t.link:
		t.w.note("%s has lost its socket", t.name)
		l.here, t.link = false, nil
		t.do("lost", t.view.Lost)
	case t.next:
		t.w.note("%s has lost its next socket", t.name)
		l.here, t.next = false, nil
		t.do("failed", t.view.Failed)
	}
}

func (t *tab) receive(l *link, m message) {
	t.w.note("%s < %s", t.name, m.data)
	switch l {
	case t.link:
		t.noteMessage(m, t.joined(m))
		t.do("frame", func(now time.Time) { t.view.Receive(now, m.data) })
	case t.next:
		t.early = append(t.early, m)
		t.do("frame", func(now time.Time) { t.view.ReceiveNext(now, m.data) })
	}
}

// begin opens a thread and then the first socket.
func (t *tab) begin() {
	t.open(t.w.thread())
	t.do("start", t.view.Start)
}

func (t *tab) must(err error) {
	if err != nil {
		t.w.fail("%s: %v", t.name, err)
	}
}

func (t *tab) open(id chat.ThreadID) {
	t.w.note("%s opens %s", t.name, id)
	another := id != t.state.ThreadID
	t.do("open", func(now time.Time) { t.must(t.view.Open(now, id)) })
	if another {
		t.requireHello("opened " + string(id))
	}
}

// send sends a run: a text, or the responses to the open interrupts.
func (t *tab) send() {
	t.w.sends++
	id := chat.RunID(fmt.Sprint("r", t.w.sends))
	t.sent = append(t.sent, id)
	var answers []agui.Resume
	for _, i := range t.state.Interrupts {
		answers = append(answers, agui.Resume{InterruptID: i.ID, Status: agui.ResumeResolved})
		t.answering[i.ID] = true
	}
	t.w.note("%s sends %s with %d answers", t.name, id, len(answers))
	t.lastAction = t.w.now
	t.do("send", func(now time.Time) {
		if answers == nil || t.w.chance(20) {
			t.must(t.view.Send(now, id, "", "question "+string(id)))
		} else {
			t.responding[id] = true
			t.must(t.view.Respond(now, id, answers, ""))
		}
	})
}

// cancel cancels the run that the tab shows as running, or another run that it shows or has sent.
func (t *tab) cancel() {
	id := t.state.Active
	if all := append(t.state.Queued, t.sent...); len(all) > 0 && (id == "" || t.w.often(50)) {
		id = all[t.w.rnd.IntN(len(all))]
	}
	if id == "" {
		return
	}
	t.w.note("%s stops %s", t.name, id)
	t.lastAction = t.w.now
	t.do("cancel", func(now time.Time) { t.must(t.view.Cancel(now, id)) })
}

func (t *tab) remove() {
	id := t.w.thread()
	t.w.note("%s deletes %s", t.name, id)
	t.lastAction = t.w.now
	t.do("delete", func(now time.Time) { t.must(t.view.Delete(now, id)) })
}

func (t *tab) wake() {
	t.w.note("%s wakes", t.name)
	t.do("wake", t.view.Wake)
}

func (t *tab) threads() {
	t.lastAction = t.w.now
	t.do("threads", t.view.Threads)
}

// cut closes the socket. The client notices within 200 ms.
func (t *tab) cut() {
	if l := t.link; l != nil {
		t.noteFault()
		t.w.note("%s is cut off", t.name)
		l.closed = true
		if !t.w.chance(30) {
			t.w.server.drop(l)
		}
		t.w.later(200*time.Millisecond, func() { t.lost(l) })
	}
}

// half makes the socket half-open: only silence shows either end that it is dead.
func (t *tab) half() {
	if l := t.link; l != nil {
		t.noteFault()
		t.w.note("%s is half-open", t.name)
		l.dead = true
		if t.w.chance(50) {
			t.w.later(5*time.Second, func() { l.closed = true })
		}
	}
}
