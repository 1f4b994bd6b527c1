// Package client is the Go client of the protocol carrel.v1. View meets the client requirements of docs/protocol.md as
// a pure state machine: no I/O, no goroutine, no clock. Client moves its frames over a WebSocket. The scenarios in
// testdata say what a view does, one clause each; the TypeScript client runs the same ones.
package client

import (
	"fmt"
	"strings"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Actions are the actions that a view requests of its caller since the last call of View.Actions.
type Actions struct {
	Frames  [][]byte      // to be sent on the current socket, in order
	Close   bool          // close the current socket, and pass nothing of it to the view any more
	Connect bool          // open the next socket after the pause; abandon any earlier next socket
	After   time.Duration // before the attempt begins
	Hello   []byte        // to be sent on the next socket, which was offered
	Promote bool          // use the next socket from now on, also for Frames, and close the last one
}

// View is the client's state: the open thread, its runs, and the requests without an answer. Each input has the time,
// which must not go back. It is for one goroutine.
type View struct {
	now          time.Time
	random       func() float64
	threads      map[chat.ThreadID]*thread
	open         *thread // the open thread; its id is "" until a ready names it
	over         map[chat.RunID]bool
	list         map[chat.ThreadID]wire.ThreadInfo
	gone         map[chat.ThreadID]bool // deleted threads
	notices      []Notice
	requests     requests
	socket       socket
	status       Status
	attempt      int       // pauses since the last ready
	refusedUntil time.Time // the server refuses sockets until then
	wanted       bool      // a socket was requested and has neither opened nor failed
	actions      Actions
	handover     *handover     // the next socket, if it is open
	soonest      time.Duration // the shortest time from a ready to a handover
	limits       wire.Limits   // of the last ready
	agents       []wire.Agent  // of the last ready

	erasing bool // an erase was accepted: the view sends nothing and waits for the done
	erased  bool // the done has arrived
}

// NewView makes a view without a socket; call Opened for the first one. random returns numbers in [0, 1), which spread
// the retries.
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

// Actions returns the requested actions, once.
func (v *View) Actions() Actions {
	w := v.actions
	v.actions = Actions{}
	return w
}

// Open opens the thread that the view shows from now on. It refuses a bad id.
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

// Send requests a run in the open thread with one new message, whose id is the run's with ".1" appended. The agent
// answers, or the default one if the name is "". Send refuses a bad id and a text that the server would refuse.
func (v *View) Send(now time.Time, run chat.RunID, agent, text string) error {
	return v.run(now, &pendingRun{id: run, thread: v.open.id, agent: agent, text: text})
}

// run requests a run, unless the server would refuse its frame.
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

// Cancel stops a run, whether it is running, queued or not sent yet. It returns an error if the id is invalid.
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

// Threads requests the newest threads of the user.
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

// Wake checks at once whether events were missed: the page has become visible, or the network has returned.
func (v *View) Wake(now time.Time) {
	v.now = now
	if v.status == Erasing || v.status == SignedOut {
		return // the server would refuse it
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
