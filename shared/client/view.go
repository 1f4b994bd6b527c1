// Package client is the Go client of the protocol carrel.v1. View is the exactly-once view of docs/protocol.md as a
// pure state machine: no I/O, no goroutine, no clock. Client moves its frames over a WebSocket. The scenarios in
// testdata say what a view does, one clause each; the TypeScript client runs the same ones.
package client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Status is how a view stands to the server.
type Status string

// The statuses of a view.
const (
	Connecting Status = "connecting" // no ready yet on this socket
	Ready      Status = "ready"
	Lost       Status = "lost"      // no socket; one is wanted
	Replaced   Status = "replaced"  // closed by the server for a newer one; none is wanted until a person acts
	Erasing    Status = "erasing"   // all that the user has is being erased, or is; none is wanted until a person acts
	SignedOut  Status = "signedOut" // the user's sessions were ended; none is wanted any more: the next sign-in makes another view
)

// Wishes are what a view wants done since it was asked last.
type Wishes struct {
	Frames  [][]byte      // to be sent on the current socket, in order
	Close   bool          // the current socket is given up: close it and tell the view nothing more of it
	Connect bool          // open the next socket, after the pause, in place of one that is opened or was offered
	After   time.Duration // before the attempt begins
	// Greeting is to be sent on the socket that was offered. Switch: that socket is in use from now on, and the Frames are
	// for it; close the last one.
	Greeting []byte
	Switch   bool
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
	wishes       Wishes
	roll         *roll         // the next socket, if it is open
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

// Wishes returns what the view wants done, once.
func (v *View) Wishes() Wishes {
	w := v.wishes
	v.wishes = Wishes{}
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
		v.socket.gapPause, v.socket.behind = gapLeast, false
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
	v.open.abridged = false
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
		v.unanswer(run)
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

// act is a person's doing: it ends the silence of a client that was replaced or whose user is being erased.
func (v *View) act() {
	if v.status == Replaced || v.status == Erasing {
		v.erasing, v.erased = false, false
		v.status, v.attempt = Lost, 0
		v.connect(0)
	}
}

// Notice is a refusal that a person should see.
type Notice struct {
	Code    wire.Code  `json:"code"`
	Message string     `json:"message"`
	RunID   chat.RunID `json:"runId,omitempty"`
	Field   string     `json:"field,omitempty"` // of the refused frame that is wrong
	// RetryAfterMS is how long to wait, of a run that was one too many.
	RetryAfterMS int64 `json:"retryAfterMs,omitempty"`
}

func (v *View) notice(n Notice) {
	const most = 50
	v.notices = append(v.notices, n)
	if len(v.notices) > most {
		v.notices = slices.Clone(v.notices[1:])
	}
}

// State is what a view shows. Nobody changes one.
type State struct {
	Status   Status         `json:"status"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Epoch    chat.Epoch     `json:"epoch"`
	Seq      chat.Seq       `json:"seq"`
	Messages []agui.Message `json:"messages"`
	Runs     map[string]Run `json:"runs"`     // by message id; without messages whose run is not known
	Active   chat.RunID     `json:"active"`   // the running run, or ""
	Starting chat.RunID     `json:"starting"` // that run, as long as no event of it has come; else ""
	Queued   []chat.RunID   `json:"queued"`   // in order
	Sending  []chat.RunID   `json:"sending"`  // this thread's, without an answer yet
	// Interrupts are the questions of the thread that nobody has answered, as far as the client knows: the thread waits
	// for a person. Those that a run of this client is on its way to answer are not among them.
	Interrupts []agui.Interrupt `json:"interrupts"`
	Erased     bool             `json:"erased"`            // all that the user had
	Failure    *Notice          `json:"failure,omitempty"` // how the last run failed, if it did
	Behind     bool             `json:"behind"`            // events are missing, or nobody knows yet whether any are
	// Missing is how many events are known to be missing: on their way, or to be asked for.
	Missing chat.Seq `json:"missing"`
	// Abridged: of what happened meanwhile some steps are not shown, because the server keeps only the messages of them, or
	// the thread began anew. It ends when the person goes on here.
	Abridged bool              `json:"abridged"`
	Threads  []wire.ThreadInfo `json:"threads"` // in the order of the server's list
	Notices  []Notice          `json:"notices"` // oldest first, the last 50
	Before   chat.Seq          `json:"-"`       // older messages exist: History with it; 0: there are none
	Err      error             `json:"-"`       // why the last socket was lost or could not be opened; nil once one opens
	Ended    bool              `json:"-"`       // the client was closed
	listing  bool              // the list of threads was asked for and did not come yet
}

// State is what the view shows now.
func (v *View) State() State {
	t := v.open
	s := State{Status: v.status, ThreadID: t.id, Epoch: t.cursor.Epoch, Seq: t.cursor.Seq, Messages: t.fold.Messages(),
		Queued: []chat.RunID{}, Sending: []chat.RunID{}, Threads: make([]wire.ThreadInfo, 0, len(v.list)),
		Behind: v.status != Ready || v.socket.hello != 0 || t.gap(), Notices: append([]Notice{}, v.notices...),
		Missing: max(0, t.head-t.cursor.Seq), Abridged: t.abridged, Interrupts: t.questions(), Erased: v.erased, Failure: t.failure, Before: t.before, listing: v.requests.list}
	s.Runs = t.headers.of(&t.fold, s.Messages)
	active, queued := t.runs()
	s.Active, s.Queued = active, append(s.Queued, queued...)
	if active != t.speaking {
		s.Starting = active
	}
	for _, r := range v.requests.runs {
		if r.thread == t.id {
			s.Sending = append(s.Sending, r.id)
		}
	}
	for _, row := range v.list {
		s.Threads = append(s.Threads, row)
	}
	slices.SortFunc(s.Threads, byUse)
	return s
}
