package store_test

import (
	"reflect"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// What the store tells its callers is judged here; what it writes, in model_judge_test.go.

// acknowledged judges what a worker was told of its record.
func (m *model) acknowledged(w *worker, seq chat.Seq, events []agui.Event) {
	if m.was.threads[w.h.Run().Thread].Deleted != 0 {
		return
	}
	for _, e := range m.told[w.h.Run().ID] {
		if e.record.Seq == int64(seq) && reflect.DeepEqual(e.Event, events[0]) {
			return
		}
	}
	m.fail("%s: its record at %d was acknowledged and is not there", w.a.name, seq)
}

// fenced judges that a worker was told that its claim is past.
func (m *model) fenced(w *worker) {
	r := m.was.runs[w.h.Run().ID]
	if r.status() == chat.RunRunning && r.Fence == w.h.Run().Fence && m.now.Before(w.h.Run().Deadline) {
		m.fail("%s: was told that its claim is past, and it is not: %+v", w.a.name, r)
	} else if w.a.stands("ended", w.h.Run().ID) {
		m.fail("%s: has ended its run and was told that its claim is past", w.a.name)
	}
}

// calls judges that a model is called: by the holder alone.
func (m *model) calls(w *worker) {
	if r := m.was.runs[w.h.Run().ID]; w.a.late == 0 && (r.status() != chat.RunRunning || r.Fence != w.h.Run().Fence) {
		m.fail("%s: calls a model although its claim is past: %+v", w.a.name, r)
	}
}

// ended judges what a worker was told of its run's end.
func (m *model) ended(w *worker) {
	r := m.was.runs[w.h.Run().ID]
	if !r.status().Terminal() || r.Fence != w.h.Run().Fence {
		m.fail("%s: the end was acknowledged, and the run is %+v", w.a.name, r)
	}
	if r.status() == chat.RunSuspended {
		m.peopleAnswer(w)
	}
}

func (m *model) accept(a *actor, asked store.Admission, got store.Admitted) {
	if _, there := m.was.runs[asked.Run]; !there {
		m.fail("%s: %s was acknowledged and is not there", a.name, asked.Run)
	}
	m.accepted[asked.Run] = true
	if got.Invoke != (got.Run.Status == chat.RunAdmitted) {
		m.fail("%s: %s is %s, and turn is to be invoked: %v", a.name, asked.Run, got.Run.Status, got.Invoke)
	}
}

func (m *model) cancelled(a *actor, run chat.RunID, c store.Cancelled) {
	r, there := m.was.runs[run]
	if !there || !r.status().Terminal() && !r.Cancel {
		m.fail("%s: the cancel was acknowledged, and %s is %+v", a.name, run, r)
	}
	if a.stands("cancelled", run) && !c.Ended {
		m.fail("%s: has ended %s, and its watchers are not told", a.name, run)
	}
}
