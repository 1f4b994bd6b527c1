package store_test

import (
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// questions are those of a thread that are open now.
func (m *model) questions(t threadRow) []agui.Interrupt {
	open, err := t.questions(m.now)
	if err != nil {
		m.fail("the questions of %s: %v", t.ID, err)
	}
	return open
}

// peopleAnswer lets what a run asked be answered: by nobody, by one device or by two at once, and perhaps somebody just
// asks something else.
func (m *model) peopleAnswer(w *worker) {
	t := m.before.threads[w.h.Run().Thread]
	m.counts["questions asked"]++
	for range []int{0, 1, 2, 2, 2}[w.a.rng.IntN(5)] {
		if m.more == 0 {
			return
		}
		m.more--
		asked := m.newRun(chat.ThreadID(t.ID))
		for _, q := range m.questions(t) {
			asked.Responses = append(asked.Responses, store.Response{Resume: agui.Resume{InterruptID: q.ID,
				Status: agui.ResumeResolved}})
		}
		if w.a.rng.IntN(4) == 0 {
			asked.Responses = nil
		}
		m.asks = append(m.asks, ask{"answer " + string(asked.Run), func(a *actor) { admit(a, asked) }})
		if w.a.rng.IntN(2) == 0 {
			m.asks = append(m.asks, ask{"cancel " + string(asked.Run), func(a *actor) { cancel(a, asked.Run) }})
		}
	}
}

// newRun is a run that somebody will ask for.
func (m *model) newRun(thread chat.ThreadID) store.Admission {
	asked := storetest.Asked(chat.RunID(fmt.Sprint("r", len(m.policy)+1)), thread)
	asked.WhenBusy = []chat.WhenBusy{chat.Enqueue, chat.Enqueue, chat.Reject, chat.Interrupt}[m.rng.IntN(4)]
	m.policy[asked.Run] = asked.WhenBusy
	return asked
}

// asked judges what becomes of questions: who is admitted answers all of them, one run alone does, and none is lost.
func (m *model) asked(before, now *state) {
	answering := map[string]string{}
	for _, id := range sorted(now.runs) {
		r, t := now.runs[id], before.threads[chat.ThreadID(now.runs[id].Thread)]
		if _, known := before.runs[id]; !known && r.Thread != "" && len(m.questions(t)) > 0 && r.Answers != t.Asked {
			m.fail("%s is admitted although its thread waits for a person: %+v", id, t)
		}
		if r.Answers == "" || r.status() == chat.RunCancelled && r.Fence == 0 {
			continue
		}
		if other := answering[r.Answers]; other != "" {
			m.fail("%s and %s both answer what %s asked", id, other, r.Answers)
		}
		answering[r.Answers] = r.ID
	}
	for _, id := range sorted(now.threads) {
		t, old := now.threads[id], before.threads[id]
		if t.Asked != "" && (t.Open == "" || answering[t.Asked] != "") || t.Asked == "" && t.Open != "" {
			m.fail("%s is answered by %q and still asks: %+v", id, answering[t.Asked], t)
		}
		if old.Asked != "" && t.Deleted == 0 && t.Asked != old.Asked && answering[old.Asked] == "" &&
			len(m.questions(old)) > 0 {
			m.fail("what %s asked is gone, and nobody answers it: %+v, now %+v", old.Asked, old, t)
		}
	}
}

// reopened judges that what a run was to answer is open again when it ends before it began.
func (m *model) reopened(r runRow, t threadRow) {
	if r.Answers == "" || t.Deleted != 0 {
		return
	}
	m.counts["questions open again"]++
	if t.Asked != r.Answers {
		m.fail("%s was to answer what %s asked, and that is not open again: %+v", r.ID, r.Answers, t)
	}
}

// answersOf judges that a run that goes on is given what it answers.
func (m *model) answersOf(w *worker) {
	r := m.before.runs[w.h.Run().ID]
	answers := w.h.Input().Responses
	if (r.Answers != "") != (len(answers) > 0) {
		m.fail("%s answers what %q asked, and is given %+v", r.ID, r.Answers, answers)
	}
	for _, a := range answers {
		m.counts["answers given"]++
		if a.Interrupt.ID == "" || a.Interrupt.ID != a.Resume.InterruptID {
			m.fail("%s is given an answer to another question: %+v", r.ID, a)
		}
	}
}
