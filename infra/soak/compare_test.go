package soak_test

import (
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// checkRuns checks that accepted runs ended once and refused runs never began.
func (u *user) checkRuns(logged map[chat.RunID]loggedRun) {
	w := u.world
	for id, f := range logged {
		r := u.runs[id]
		if r == nil || r.device == nil {
			w.fail(u.name, "run %s is in the log and was never requested", id)
		}
		if f.ends != 1 {
			w.fail(u.name, "run %s has %d ends", id, f.ends)
		}
		if took := time.Duration(f.to-f.from) * time.Millisecond; took > longest {
			w.fail(u.name, "run %s took %v, more than %v", id, took, longest)
		}
		w.count("outcome: "+strings.TrimSpace(string(f.outcome)+" "+f.code), 1)
	}
	for id, r := range u.runs {
		f, there := logged[id]
		gone := r.device != nil && u.threadOf(r.thread).delete
		switch {
		case r.device == nil:
			w.fail(u.name, "received a frame of run %s, which was never requested", id)
		case gone:
			w.count("outcome: deleted with its thread", 1)
		case there && r.refused != "" && !r.accepted && w.arrivals[id] < 2:
			w.fail(u.name, "run %s was refused (%s) and began nevertheless, %+v", id, r.refused, f)
		case there:
		case r.refused != "" && !r.accepted:
			w.count("outcome: refused", 1)
			u.checkRefusal(r)
		case r.stopped:
			w.count("outcome: cancelled before it began", 1)
		case r.began:
			w.fail(u.name, "run %s was shown and is not in the log", id)
		case r.accepted || r.sent:
			w.count("lost", 1)
			w.fail(u.name, "run %s on %s, accepted %t, is lost: %q", id, r.thread, r.accepted, clip(r.text))
		default:
			w.count("outcome: never arrived from a window that was closed", 1)
		}
	}
}

// checkRefusal checks that a refusal has a valid reason.
func (u *user) checkRefusal(r *run) {
	switch r.refused {
	case wire.CodeTooManyRuns, wire.CodeInterrupted:
	case wire.CodeNotFound:
		u.world.fail(u.name, "run %s on %s, which was not deleted, was refused as not_found", r.id, r.thread)
	default:
		u.world.fail(u.name, "run %s was refused: %s", r.id, r.refused)
	}
}

// compare compares the messages of a thread with the expected answers to its questions.
func (u *user) compare(v view, logged map[chat.RunID]loggedRun) {
	w := u.world
	var last *transcript
	var id chat.RunID
	shown := map[chat.RunID]bool{}
	check := func() {
		if last == nil {
			return
		}
		u.answersTo(id, last, logged)
		if err := w.oracle.check(*last); err != nil {
			w.fail(v.device, "thread %s, run %s: %v", v.thread, id, err)
		}
	}
	for _, m := range v.messages {
		if m.Role != agui.RoleUser {
			if last == nil {
				w.fail(v.device, "thread %s begins with %s", v.thread, render([]agui.Message{m}))
				continue
			}
			last.messages = append(last.messages, m)
			continue
		}
		check()
		id = chat.RunID(strings.TrimSuffix(m.ID, ".1"))
		r, f := u.runs[id], logged[id]
		if r == nil || r.text != m.Content || shown[id] {
			w.fail(v.device, "thread %s shows a question that was not sent, or shows it twice: %s", v.thread,
				render([]agui.Message{m}))
		}
		shown[id] = true
		last = &transcript{question: m.Content, outcome: f.outcome, stopped: r != nil && r.stopped, faulty: u.faulty(r)}
	}
	check()
	for id, f := range logged {
		if f.thread == v.thread && u.runs[id] != nil && u.runs[id].text != "" && !shown[id] {
			w.count("lost", 1)
			w.fail(v.device, "thread %s does not show run %s: %q", v.thread, id, u.runs[id].text)
		}
	}
}

// faulty reports whether faults could strike while a run worked.
func (u *user) faulty(r *run) bool {
	return u.world.faultsOn && r != nil && !strings.Contains(r.text, "last words")
}

// answersTo adds the results of the runs that respond to a run's interrupt.
func (u *user) answersTo(id chat.RunID, s *transcript, logged map[chat.RunID]loggedRun) {
	for _, r := range u.runs {
		f, began := logged[r.id]
		if r.answers != id || !began {
			continue
		}
		pattern := `^The person was asked and refused\. The tool was not called\.$`
		if r.approves {
			pattern = `^Deleted all \d+ notes\.$`
		}
		s.answered = append(s.answered, pattern)
		if r.text == "" {
			s.after, s.stoppedAfter = f.outcome, r.stopped
		}
	}
}
