package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// interrupts holds the interrupts of one thread that the client knows.
type interrupts struct {
	open    []agui.Interrupt
	resumed map[chat.InterruptID]bool                // closed by a run that has begun: they never open again
	answers map[chat.RunID]map[chat.InterruptID]bool // responses of this client's own runs
}

// follow applies an event. RUN_STARTED closes all open interrupts: a run begins only in a thread without open
// interrupts.
func (a *interrupts) follow(e agui.Event) {
	switch {
	case e.Type == agui.RunStarted:
		a.open = nil
		if e.Input == nil {
			return
		}
		for _, r := range e.Input.Resume {
			if a.resumed == nil {
				a.resumed = map[chat.InterruptID]bool{}
			}
			a.resumed[r.InterruptID] = true
		}
	case e.Type == agui.RunFinished && e.Outcome != nil && e.Outcome.Type == agui.OutcomeInterrupt:
		a.set(e.Outcome.Interrupts)
	}
}

// set replaces the open interrupts. It leaves out interrupts that an applied event has closed.
func (a *interrupts) set(open []agui.Interrupt) {
	a.open = nil
	for _, i := range open {
		if !a.resumed[i.ID] {
			a.open = append(a.open, i)
		}
	}
}

// openInterrupts returns the open interrupts without those to which a run of this client responds.
func (t *thread) openInterrupts() []agui.Interrupt {
	answered := map[chat.InterruptID]bool{}
	for run, ids := range t.interrupts.answers {
		for id := range ids {
			answered[id] = answered[id] || !t.over[run]
		}
	}
	open := []agui.Interrupt{}
	for _, i := range t.interrupts.open {
		if !answered[i.ID] {
			open = append(open, i)
		}
	}
	return open
}

// Respond requests a run in the open thread that responds to all of its open interrupts and, if text is not empty,
// sends the text. It refuses a frame that the server would refuse.
func (v *View) Respond(now time.Time, run chat.RunID, responses []agui.Resume, text string) error {
	if responses == nil {
		responses = []agui.Resume{} // an empty list is refused
	}
	if err := v.run(now, &pendingRun{id: run, thread: v.open.id, text: text, resume: responses}); err != nil {
		return err
	}
	ids := map[chat.InterruptID]bool{}
	for _, a := range responses {
		ids[a.InterruptID] = true
	}
	if v.open.interrupts.answers == nil {
		v.open.interrupts.answers = map[chat.RunID]map[chat.InterruptID]bool{}
	}
	v.open.interrupts.answers[run] = ids
	return nil
}

// Approve returns the response that approves a call as the model wrote it.
func Approve(interrupt agui.Interrupt) agui.Resume {
	return agui.Resume{InterruptID: interrupt.ID, Status: agui.ResumeResolved}
}

// ApproveWith returns the response that approves a call with other arguments, a JSON object. The server rejects it if
// the interrupt's ResponseSchema has no member arguments.
func ApproveWith(interrupt agui.Interrupt, arguments json.RawMessage) (agui.Resume, error) {
	payload, err := json.Marshal(struct {
		Approved  bool            `json:"approved"`
		Arguments json.RawMessage `json:"arguments"`
	}{true, arguments})
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(arguments), []byte("{")) {
		return agui.Resume{}, errors.New("client: the arguments are not a JSON object")
	}
	return agui.Resume{InterruptID: interrupt.ID, Status: agui.ResumeResolved, Payload: payload}, nil
}

// Refuse returns the response that refuses a call or an input.
func Refuse(interrupt agui.Interrupt) agui.Resume {
	return agui.Resume{InterruptID: interrupt.ID, Status: agui.ResumeCancelled}
}

// withdraw shows the interrupts again to which a run of this client has responded: the run was refused, or taken back.
func (v *View) withdraw(run chat.RunID) {
	for _, t := range v.threads {
		delete(t.interrupts.answers, run)
	}
}

// compare sends a hello if a row or pong of the open thread and the view disagree on whether interrupts are open: a
// response was taken back before its run began, or a frame was missed.
func (v *View) compare(id chat.ThreadID, interrupted bool) {
	s := &v.socket
	if id != v.open.id || v.status != Ready || s.hello != 0 || interrupted == (len(v.open.openInterrupts()) > 0) {
		return
	}
	responds := func(r *pendingRun) bool { return r.thread == id && r.resume != nil }
	if !slices.ContainsFunc(v.requests.runs, responds) { // until the server answers it, they may differ
		s.wantHello = true
	}
}
