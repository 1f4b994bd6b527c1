package store_test

import (
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// openInterrupts returns the interrupts of a thread that are open now.
func (m *model) openInterrupts(t threadRow) []agui.Interrupt {
	open, err := t.openInterrupts(m.now)
	if err != nil {
		m.fail("the interrupts of %s: %v", t.ID, err)
	}
	return open
}

// respond adds the actions of users after an interrupt. No device responds, one does, or two do at once. A user may
// also send a new message instead of a response.
func (m *model) respond(w *worker) {
	t := m.before.threads[w.h.Run().Thread]
	m.counts["interrupts"]++
	for range []int{0, 1, 2, 2, 2}[w.a.rng.IntN(5)] {
		if m.more == 0 {
			return
		}
		m.more--
		admission := m.newRun(chat.ThreadID(t.ID))
		for _, q := range m.openInterrupts(t) {
			admission.Responses = append(admission.Responses, store.Response{Resume: agui.Resume{InterruptID: q.ID,
				Status: agui.ResumeResolved}})
		}
		if w.a.rng.IntN(4) == 0 {
			admission.Responses = nil
		}
		m.asks = append(m.asks, ask{"respond " + string(admission.Run), func(a *actor) { admit(a, admission) }})
		if w.a.rng.IntN(2) == 0 {
			m.asks = append(m.asks, ask{"cancel " + string(admission.Run), func(a *actor) { cancel(a, admission.Run) }})
		}
	}
}

// newRun returns the admission of a new run with a random policy.
func (m *model) newRun(thread chat.ThreadID) store.Admission {
	ask := storetest.Asked
	if m.rng.IntN(3) == 0 {
		ask = storetest.AskedLong
	}
	admission := ask(chat.RunID(fmt.Sprint("r", len(m.policy)+1)), thread)
	admission.WhenBusy = []chat.WhenBusy{chat.Enqueue, chat.Enqueue, chat.Reject, chat.Interrupt}[m.rng.IntN(4)]
	m.policy[admission.Run] = admission.WhenBusy
	return admission
}

// interrupts checks the interrupts of all threads. A run is admitted only with responses to all open interrupts, only
// one run responds to them, and none is lost.
func (m *model) interrupts(before, now *state) {
	responder := map[string]string{}
	for _, id := range sorted(now.runs) {
		r, t := now.runs[id], before.threads[chat.ThreadID(now.runs[id].Thread)]
		if _, known := before.runs[id]; !known && r.Thread != "" && len(m.openInterrupts(t)) > 0 &&
			r.Answers != t.Asked {
			m.fail("%s was admitted without responses, but its thread is awaiting input: %+v", id, t)
		}
		if r.Answers == "" || r.status() == chat.RunCancelled && r.Fence == 0 {
			continue
		}
		if other := responder[r.Answers]; other != "" {
			m.fail("%s and %s both respond to the interrupts of %s", id, other, r.Answers)
		}
		responder[r.Answers] = r.ID
	}
	for _, id := range sorted(now.threads) {
		t, old := now.threads[id], before.threads[id]
		if t.Asked != "" && (t.Open == "" || responder[t.Asked] != "") || t.Asked == "" && t.Open != "" {
			m.fail("%s has the responding run %q, but its interrupts are still open: %+v", id, responder[t.Asked], t)
		}
		if old.Asked != "" && t.Deleted == 0 && t.Asked != old.Asked && responder[old.Asked] == "" &&
			len(m.openInterrupts(old)) > 0 {
			m.fail("the interrupts of %s were closed without a response: %+v, now %+v", old.Asked, old, t)
		}
	}
}

// reopened checks that the interrupts are open again after a run with responses ended before it started.
func (m *model) reopened(r runRow, t threadRow) {
	if r.Answers == "" || t.Deleted != 0 {
		return
	}
	m.counts["interrupts reopened"]++
	if t.Asked != r.Answers {
		m.fail("%s had responses to the interrupts of %s, which are not open again: %+v", r.ID, r.Answers, t)
	}
}

// responsesOf checks that a run gets the responses that it was admitted with.
func (m *model) responsesOf(w *worker) {
	r := m.before.runs[w.h.Run().ID]
	responses := w.h.Input().Responses
	if (r.Answers != "") != (len(responses) > 0) {
		m.fail("%s responds to the interrupts of %q, but got the responses %+v", r.ID, r.Answers, responses)
	}
	for _, a := range responses {
		m.counts["responses received"]++
		if a.Interrupt.ID == "" || a.Interrupt.ID != a.Resume.InterruptID {
			m.fail("%s got a response to another interrupt: %+v", r.ID, a)
		}
	}
}
