// Package client is the Go client of the protocol carrel.v1. View is the exactly-once view of docs/protocol.md as a
// pure state machine: no I/O, no goroutine, no clock. Client moves its frames over a WebSocket. The scenarios in
// testdata say what a view does, one clause each; the TypeScript client runs the same ones.
package client

import (
	"fmt"
	"strings"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Actions are what a view wants done since it was asked last.
type Actions struct {
	Frames  [][]byte      // to be sent on the current socket, in order
	Close   bool          // the current socket is given up: close it and tell the view nothing more of it
	Connect bool          // open the next socket, after the pause, in place of one that is opened or was offered
	After   time.Duration // before the attempt begins
	// Greeting is to be sent on the socket that was offered. Switch: that socket is in use from now on, and the Frames are
	// for it; close the last one.
	Hello   []byte
	Promote bool
}

// View is what one client knows: the open thread, its runs, and what the server has not answered yet. Each input
// takes the time, which must not go back. It is for one goroutine.
type View struct {
	now          time.Time
	random       func() float64
	threads      map[chat.ThreadID]*thread
	open         *thread // the open one; its id is "" until a ready names it
	over         map[chat.RunID]bool
	list         map[chat.ThreadID]wire.ThreadInfo
	gone         map[chat.ThreadID]bool // threads that were deleted
	notices      []Notice
	requests     requests
	socket       socket
	status       Status
	attempt      int       // pauses since the last ready
	refusedUntil time.Time // until then the server takes no socket
	wanted       bool      // a socket is wanted and has neither opened nor failed
	actions      Actions
	handover     *handover     // the next socket, if it is open
	soonest      time.Duration // the least time from a ready to a handover
	limits       wire.Limits   // of the last ready

	erasing bool // an erase was accepted: nothing more is sent, and what comes is its done
	erased  bool // it came
}

// NewView makes a view without a socket: Opened tells it of the first one. The random source, of numbers in [0, 1),
// spreads its retries.
func NewView(random func() float64) *View {
	v := &View{random: random, status: Connecting, threads: map[chat.ThreadID]*thread{},
		over: map[chat.RunID]bool{}, list: map[chat.ThreadID]wire.ThreadInfo{},
		gone: map[chat.ThreadID]bool{}}
	v.open = v.newThread("")
	return v
}

func (v *View) newThread(id chat.ThreadID) *thread {
	return &thread{id: id, over: v.over, dead: map[chat.Epoch]bool{}, headers: headers{}}
}

// Actions returns what the view wants done, once.
func (v *View) Actions() Actions {
	w := v.actions
	v.actions = Actions{}
	return w
}

// Open opens a thread: the one that the view shows from now on. A bad id is refused.
func (v *View) Open(now time.Time, id chat.ThreadID) error {
	if err := chat.CheckID(string(id)); err != nil {
		return fmt.Errorf("client: open a thread: %w", err)
	}
	v.now = now
	v.act()
	if id != v.open.id {
		if v.threads[id] == nil {
			v.threads[id] = v.newThread(id)
		}
		v.open = v.threads[id]
		v.socket.wantHello = true
		v.socket.gapPause, v.socket.lagging = gapLeast, false
	}
	v.settle()
	return nil
}

// Send asks for a run in the open thread with one new message, whose id is the run's with ".1" behind it. A bad id or
// a text that the server would refuse is refused here.
func (v *View) Send(now time.Time, run chat.RunID, text string) error {
	return v.run(now, &pendingRun{id: run, thread: v.open.id, text: text})
}

// run asks for a run, unless the server would refuse its frame.
func (v *View) run(now time.Time, p *pendingRun) error {
	if err := v.checkErasing(); err != nil {
		return err
	}
	longest := *p
	longest.n = 1<<53 - 1
	if longest.thread == "" {
		longest.thread = chat.ThreadID(strings.Repeat("t", chat.MaxID))
	}
	if _, err := wire.EncodeClient(longest.frame()); err != nil {
		return fmt.Errorf("client: send: %w", err)
	}
	if most := v.limits.TextBytes; most > 0 && len(p.text) > most {
		return fmt.Errorf("client: send: the text is %d bytes long; at most %d are allowed", len(p.text), most)
	}
	v.now = now
	v.act()
	v.open.truncated = false
	v.requests.runs = append(v.requests.runs, p)
	v.settle()
	return nil
}

// Cancel stops a run: a running, a queued or one that was not sent yet. A bad id is refused.
func (v *View) Cancel(now time.Time, run chat.RunID) error {
	if err := chat.CheckID(string(run)); err != nil {
		return fmt.Errorf("client: cancel a run: %w", err)
	}
	if err := v.checkErasing(); err != nil {
		return err
	}
	v.now = now
	v.act()
	if v.requests.cancel(run) {
		v.withdraw(run)
	}
	v.settle()
	return nil
}

// Threads asks for the newest threads of the user.
func (v *View) Threads(now time.Time) {
	if v.status == SignedOut {
		return
	}
	v.now = now
	v.act()
	if !v.requests.list {
		v.requests.list, v.requests.listed = true, map[chat.ThreadID]int64{}
		for id, row := range v.list {
			v.requests.listed[id] = row.Updated
		}
	}
	v.settle()
}

// Wake asks at once whether anything was missed: the page became visible, or the network returned.
func (v *View) Wake(now time.Time) {
	v.now = now
	if v.status == Erasing || v.status == SignedOut {
		return // it would be refused
	}
	v.act()
	switch s := &v.socket; {
	case !s.open && v.status == Lost:
		v.attempt = 0
		v.connect(0)
	case s.open && v.status == Ready && s.hello == 0 && !s.pinging:
		v.ping()
	}
	v.settle()
}
