package store_test

import (
	"reflect"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// This file checks the results that the store returns. model_judge_test.go checks its writes.

// acknowledged checks that an acknowledged record is in the log.
func (m *model) acknowledged(w *worker, seq chat.Seq, events []agui.Event) {
	if m.before.threads[w.h.Run().Thread].Deleted != 0 {
		return
	}
	for _, e := range m.logged[w.h.Run().ID] {
		if e.record.Seq == int64(seq) && reflect.DeepEqual(e.Event, events[0]) {
			return
		}
	}
	m.fail("%s: its record at %d was acknowledged, but is not in the log", w.a.name, seq)
}

// fenced checks that a worker that got ErrLeaseLost has lost its lease.
func (m *model) fenced(w *worker) {
	r := m.before.runs[w.h.Run().ID]
	if r.status() == chat.RunRunning && r.Fence == w.h.Run().Fence && m.now.Before(w.h.Run().Deadline) {
		m.fail("%s: got ErrLeaseLost, but its lease is valid: %+v", w.a.name, r)
	} else if w.a.stands("ended", w.h.Run().ID) {
		m.fail("%s: has ended its run, but got ErrLeaseLost", w.a.name)
	}
}

// calls checks that only the holder of the lease calls a model.
func (m *model) calls(w *worker) {
	if r := m.before.runs[w.h.Run().ID]; w.a.delay == 0 && (r.status() != chat.RunRunning ||
		r.Fence != w.h.Run().Fence) {
		m.fail("%s: calls a model without a valid lease: %+v", w.a.name, r)
	}
}

// ended checks that an acknowledged end was written.
func (m *model) ended(w *worker) {
	r := m.before.runs[w.h.Run().ID]
	if !r.status().Terminal() || r.Fence != w.h.Run().Fence {
		m.fail("%s: the end was acknowledged, but the run is %+v", w.a.name, r)
	}
	if r.status() == chat.RunSuspended {
		m.respond(w)
	}
}

// accept checks the result of an admission.
func (m *model) accept(a *actor, asked store.Admission, got store.Admitted) {
	if _, exists := m.before.runs[asked.Run]; !exists {
		m.fail("%s: %s was acknowledged, but does not exist", a.name, asked.Run)
	}
	m.accepted[asked.Run] = true
	if got.Invoke != (got.Run.Status == chat.RunAdmitted) {
		m.fail("%s: %s is %s, but Invoke is %v", a.name, asked.Run, got.Run.Status, got.Invoke)
	}
}

// cancelled checks the result of a cancel.
func (m *model) cancelled(a *actor, run chat.RunID, c store.Cancelled) {
	r, exists := m.before.runs[run]
	if !exists || !r.status().Terminal() && !r.Cancel {
		m.fail("%s: the cancel was acknowledged, but %s is %+v", a.name, run, r)
	}
	if a.stands("cancelled", run) && !c.Ended {
		m.fail("%s: has ended %s, but the result does not say so", a.name, run)
	}
}
