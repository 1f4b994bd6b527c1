package client

import (
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Notice is a refusal to show to a person.
type Notice struct {
	Code    wire.Code  `json:"code"`
	Message string     `json:"message"`
	RunID   chat.RunID `json:"runId,omitempty"`
	Field   string     `json:"field,omitempty"` // of the refused frame that is wrong
	// RetryAfterMS is the time to wait, with wire.CodeRateLimited and wire.CodeBudgetReached.
	RetryAfterMS int64 `json:"retryAfterMs,omitempty"`
}

func (v *View) notice(n Notice) {
	const most = 50
	v.notices = append(v.notices, n)
	if len(v.notices) > most {
		v.notices = slices.Clone(v.notices[1:])
	}
}

// State is the content of a view at one time. It is never changed.
type State struct {
	Status   Status         `json:"status"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Epoch    chat.Epoch     `json:"epoch"`
	Seq      chat.Seq       `json:"seq"`
	Messages []agui.Message `json:"messages"`
	Runs     map[string]Run `json:"runs"`     // by message id; messages of an unknown run are absent
	Active   chat.RunID     `json:"active"`   // the running run, or ""
	Starting chat.RunID     `json:"starting"` // that run, as long as no event of it has arrived; else ""
	Queued   []chat.RunID   `json:"queued"`   // in order
	Sending  []chat.RunID   `json:"sending"`  // this thread's, without an answer
	// Interrupts are the thread's open interrupts, without those to which an unanswered run of this client responds.
	// With any the thread awaits input from a person.
	Interrupts []agui.Interrupt `json:"interrupts"`
	Erased     bool             `json:"erased"`            // everything of the user is erased
	Failure    *Notice          `json:"failure,omitempty"` // the failure of the last run
	Waiting    *agui.Waiting    `json:"waiting,omitempty"` // for what the active run waits, by its last event
	// Progress has how far the calls without a result are, by the call's id.
	Progress map[string]agui.Progress `json:"progress"`
	Sources  []agui.Source            `json:"sources"` // whose tools are missing from the last run
	Lagging  bool                     `json:"lagging"` // events are missing or may be
	// Gap is the number of events that are known to be missing.
	Gap chat.Seq `json:"gap"`
	// Truncated: events are missing for good, because the server keeps only their messages, or the thread has a new
	// epoch. It ends when the person sends something in the thread.
	Truncated bool              `json:"truncated"`
	Threads   []wire.ThreadInfo `json:"threads"` // in the order of the server's list
	Agents    []wire.Agent      `json:"-"`       // that the user may choose; none if there is only one
	Notices   []Notice          `json:"notices"` // oldest first, the last 50
	Before    chat.Seq          `json:"-"`       // of the request for older messages; 0: there are none
	Err       error             `json:"-"`       // of the last socket or attempt; nil once a socket opens
	Ended     bool              `json:"-"`       // the client was closed
	listing   bool              // the list of threads is requested
}

// State returns the current content of the view.
func (v *View) State() State {
	t := v.open
	s := State{Status: v.status, Agents: slices.Clone(v.agents), ThreadID: t.id, Epoch: t.cursor.Epoch,
		Seq: t.cursor.Seq, Messages: t.fold.Messages(),
		Queued: []chat.RunID{}, Sending: []chat.RunID{}, Threads: make([]wire.ThreadInfo, 0, len(v.list)),
		Lagging: v.status != Ready || v.socket.hello != 0 || t.gap(), Notices: append([]Notice{}, v.notices...),
		Gap: max(0, t.head-t.cursor.Seq), Truncated: t.truncated, Interrupts: t.openInterrupts(), Erased: v.erased,
		Failure: t.failure, Waiting: t.waiting, Before: t.before, listing: v.requests.list}
	s.Progress, s.Sources = t.reports.copied()
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
