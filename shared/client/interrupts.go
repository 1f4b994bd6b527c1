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

// interrupts is what a thread is known to ask a person.
type interrupts struct {
	open    []agui.Interrupt
	resumed map[chat.InterruptID]bool                // answered by a run that began: never asked again
	answers map[chat.RunID]map[chat.InterruptID]bool // by this client's own runs
}

// follow takes what an event says of questions. A run begins only if its thread asks nothing more.
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

// set takes a list of the open questions. What the applied events say goes before it.
func (a *interrupts) set(open []agui.Interrupt) {
	a.open = nil
	for _, i := range open {
		if !a.resumed[i.ID] {
			a.open = append(a.open, i)
		}
	}
}

// openInterrupts are those that nobody is known to have answered, and that no run of this client is to answer.
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

// Respond asks for a run in the open thread that answers its open questions, all of them, and says the text, if there
// is one. What the server would refuse as a frame is refused here.
func (v *View) Respond(now time.Time, run chat.RunID, answers []agui.Resume, text string) error {
	if answers == nil {
		answers = []agui.Resume{} // which the frame's rules refuse
	}
	if err := v.run(now, &pendingRun{id: run, thread: v.open.id, text: text, resume: answers}); err != nil {
		return err
	}
	ids := map[chat.InterruptID]bool{}
	for _, a := range answers {
		ids[a.InterruptID] = true
	}
	if v.open.interrupts.answers == nil {
		v.open.interrupts.answers = map[chat.RunID]map[chat.InterruptID]bool{}
	}
	v.open.interrupts.answers[run] = ids
	return nil
}

// Approve is the answer that has a call made, as the model wrote it.
func Approve(question agui.Interrupt) agui.Resume {
	return agui.Resume{InterruptID: question.ID, Status: agui.ResumeResolved}
}

// ApproveWith is the answer that has a call made with other arguments, a JSON object. A question whose ResponseSchema has no
// place for arguments does not accept them.
func ApproveWith(question agui.Interrupt, arguments json.RawMessage) (agui.Resume, error) {
	payload, err := json.Marshal(struct {
		Approved  bool            `json:"approved"`
		Arguments json.RawMessage `json:"arguments"`
	}{true, arguments})
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(arguments), []byte("{")) {
		return agui.Resume{}, errors.New("client: the arguments are not a JSON object")
	}
	return agui.Resume{InterruptID: question.ID, Status: agui.ResumeResolved, Payload: payload}, nil
}

// Refuse is the answer that a call is not to be made, or that a question is not answered.
func Refuse(question agui.Interrupt) agui.Resume {
	return agui.Resume{InterruptID: question.ID, Status: agui.ResumeCancelled}
}

// withdraw notes that a run of this client answers nothing: it was refused, or taken back.
func (v *View) withdraw(run chat.RunID) {
	for _, t := range v.threads {
		delete(t.interrupts.answers, run)
	}
}

// compare asks for the open thread if its row or a pong says otherwise than the view whether it waits for a person: an answer
// that never began has been taken back, or a frame was missed.
func (v *View) compare(id chat.ThreadID, interrupted bool) {
	s := &v.socket
	if id != v.open.id || v.status != Ready || s.hello != 0 || interrupted == (len(v.open.openInterrupts()) > 0) {
		return
	}
	onItsWay := func(r *pendingRun) bool { return r.thread == id && r.resume != nil }
	if !slices.ContainsFunc(v.requests.runs, onItsWay) { // else they differ until that is answered
		s.wantHello = true
	}
}
