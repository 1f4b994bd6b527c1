package client

import (
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

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
	Lagging    bool             `json:"lagging"`           // events are missing, or nobody knows yet whether any are
	// Missing is how many events are known to be missing: on their way, or to be asked for.
	Gap chat.Seq `json:"gap"`
	// Truncated: of what happened meanwhile some steps are not shown, because the server keeps only the messages of them, or
	// the thread began anew. It ends when the person goes on here.
	Truncated bool              `json:"truncated"`
	Threads   []wire.ThreadInfo `json:"threads"` // in the order of the server's list
	Notices   []Notice          `json:"notices"` // oldest first, the last 50
	Before    chat.Seq          `json:"-"`       // older messages exist: History with it; 0: there are none
	Err       error             `json:"-"`       // why the last socket was lost or could not be opened; nil once one opens
	Ended     bool              `json:"-"`       // the client was closed
	listing   bool              // the list of threads was asked for and did not come yet
}

// State is what the view shows now.
func (v *View) State() State {
	t := v.open
	s := State{Status: v.status, ThreadID: t.id, Epoch: t.cursor.Epoch, Seq: t.cursor.Seq, Messages: t.fold.Messages(),
		Queued: []chat.RunID{}, Sending: []chat.RunID{}, Threads: make([]wire.ThreadInfo, 0, len(v.list)),
		Lagging: v.status != Ready || v.socket.hello != 0 || t.gap(), Notices: append([]Notice{}, v.notices...),
		Gap: max(0, t.head-t.cursor.Seq), Truncated: t.truncated, Interrupts: t.openInterrupts(), Erased: v.erased, Failure: t.failure, Before: t.before, listing: v.requests.list}
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
