package store_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// judge checks what happens in a schedule against the invariants of docs/data.md.
type judge struct {
	step     int
	failed   string
	notes    []string
	before   *state // the table after the previous write
	accepted map[chat.RunID]bool
	logged   map[chat.RunID][]loggedEvent     // the events in the log of each run
	statuses map[chat.RunID]chat.ThreadStatus // of the thread, after the end of each run
	counts   map[string]int                   // how often each kind of event happened, for the report
}

// loggedEvent is one event of a log and the record that holds it.
type loggedEvent struct {
	agui.Event
	record recordRow
}

func (m *model) note(format string, args ...any) {
	if m.failed != "" {
		return
	}
	m.notes = append(m.notes, fmt.Sprintf("%4d  ", m.step)+fmt.Sprintf(format, args...))
}

// fail records the first failure of the schedule.
func (m *model) fail(format string, args ...any) {
	if m.failed == "" {
		failure := fmt.Sprintf(format, args...)
		m.note("FAILED: %s", failure)
		m.failed = failure
	}
}

// look reads the table after a write and checks the changes.
func (m *model) look(a *actor) {
	now, err := readState(m.ctx, m.db, m.name)
	if err != nil {
		m.fail("%s: %v", a.name, err)
		return
	}
	before := m.before
	m.before = now
	m.records(before, now)
	for _, id := range sorted(now.runs) {
		m.run(a, before, now.runs[id])
	}
	for id := range before.runs {
		if now.runs[id].ID == "" {
			m.fail("the record of %s was deleted", id)
		}
	}
	m.queue(now)
	m.spent(before, now)
	m.interrupts(before, now)
	for _, id := range sorted(now.threads) {
		m.thread(before, now.threads[id])
	}
}

func sorted[K ~string, V any](all map[K]V) []K { return slices.Sorted(maps.Keys(all)) }

// run checks the change of one run.
func (m *model) run(a *actor, before *state, now runRow) {
	id := chat.RunID(now.ID)
	old, known := before.runs[id]
	if now == old {
		return
	}
	switch {
	case !known:
		m.created(a, now)
		return
	case old.status().Terminal():
		m.fail("%s: changed %s, which has ended: %+v, now %+v", a.name, id, old, now)
	case now.Fence < old.Fence || now.Fence > old.Fence+1:
		m.fail("%s: the fence of %s changed from %d to %d", a.name, id, old.Fence, now.Fence)
	case now.Fence > old.Fence:
		m.claims(a, old, now)
	}
	if now.Status != old.Status {
		m.moved(a, old, now)
	}
	switch {
	case now.Handed != old.Handed || now.Handings != old.Handings:
		m.handedOver(a, old, now)
	case now.Lease == 0 && old.Lease != 0 && now.status() == chat.RunRunning:
		m.released(a, old, now)
	}
	if kept := now.Inside == old.Inside; kept == (now.status().Terminal() && old.Inside != "") {
		m.fail("%s: %s is %s, and its input inside RUN changed from %q to %q", a.name, id, now.Status, old.Inside,
			now.Inside)
	}
	m.looked(a, old, now)
	if live := now.Live != ""; live == now.status().Terminal() || live != (now.Deadline != 0) ||
		live != (now.Due != 0) {
		m.fail("%s: %s is %s, its live attribute %q, its deadline %d", a.name, id, now.Status, now.Live, now.Deadline)
	}
}

// stands reports whether a write of the actor did this to a run and the run has not changed since.
func (a *actor) stands(what string, run chat.RunID) bool {
	nonce := a.did[what+" "+string(run)]
	return nonce != "" && a.m.before.runs[run].Nonce == nonce
}

func (m *model) created(a *actor, now runRow) {
	a.did["created "+now.ID] = now.Nonce
	asked := now.status() == chat.RunAdmitted || now.status() == chat.RunQueued
	if now.Fence != 0 || !asked {
		m.fail("%s: %s was created as %+v", a.name, now.ID, now)
	}
	if now.status() == chat.RunQueued && m.policy[chat.RunID(now.ID)] == chat.Interrupt {
		for run, thread := range m.before.queue.Slots {
			if thread == now.Thread && !m.before.runs[chat.RunID(run)].Cancel {
				m.fail("%s: %s is queued behind %s, which was not cancelled", a.name, now.ID, run)
			}
		}
	}
	if asked && now.Inside == "" && !m.before.inputs["IN#"+now.ID+"#"+now.Input] {
		m.fail("%s: %s has no input", a.name, now.ID)
	}
}

// claims checks a claim. A run may be claimed if it has no worker, or if the lease of its worker has expired.
func (m *model) claims(a *actor, old, now runRow) {
	a.did["claimed "+now.ID] = now.Nonce
	m.counts["claims"]++
	if due := time.UnixMilli(now.Due).Sub(a.since); !strings.HasPrefix(a.name, "sweep") &&
		(due < 20*time.Second || due > 65*time.Second) {
		m.fail("%s: claimed %s, which is due %s after the claim", a.name, now.ID, due)
	}
	expired := old.status() == chat.RunRunning && old.Lease < a.now().UnixMilli()
	if expired {
		m.counts["taken over"]++
	}
	admitted := old.status() == chat.RunAdmitted && (!strings.HasPrefix(a.name, "sweep") || m.unclaimed(a, old))
	if worker := a.event.id; now.Worker != worker {
		m.fail("%s: claimed %s for the worker %q: %+v", a.name, now.ID, worker, now)
	}
	counted := int64(1)
	if strings.HasPrefix(a.name, "sweep") {
		counted = 0
	}
	handed := old.Handed != 0 && old.Handed == old.Fence
	if handed && counted > 0 {
		counted = 0
		m.counts["continued"]++
	}
	if now.Attempts != old.Attempts+counted || counted > 0 && now.Attempts > int64(m.limits.Attempts) ||
		!strings.HasPrefix(a.name, "sweep") && expired && old.Deadline <= a.since.UnixMilli() {
		m.fail("%s: the attempts of %s exceed the limit or were not counted: %+v, now %+v", a.name, now.ID, old, now)
	}
	if now.status() != chat.RunRunning || !expired && !admitted || now.Lease <= a.now().UnixMilli() &&
		now.Lease <= old.Lease {
		m.fail("%s: claimed %s from a live worker: %+v, now %+v", a.name, now.ID, old, now)
	}
}

// moved checks a change of status.
func (m *model) moved(a *actor, old, now runRow) {
	id := chat.RunID(now.ID)
	thread := m.before.threads[chat.ThreadID(now.Thread)]
	switch move := old.Status + " " + now.Status; {
	case move == "queued admitted":
		a.did["started "+now.ID] = now.Nonce
		if thread.Deleted != 0 || len(m.openInterrupts(thread)) > 0 {
			m.fail("%s: started %s on a thread that is deleted or awaiting input: %+v", a.name, id, thread)
		}
	case move == "admitted running":
	case now.status() == chat.RunCancelled && old.Fence == 0:
		a.did["cancelled "+now.ID] = now.Nonce
		m.reopened(now, thread)
		if strings.HasPrefix(a.name, "sweep") && old.Deadline >= m.now.UnixMilli() {
			m.fail("%s: expired %s before its deadline: %+v", a.name, id, old)
		}
	case old.status() == chat.RunRunning && now.status().Terminal():
		a.did["ended "+now.ID] = now.Nonce
		m.counts["ended"]++
		m.statuses[id] = m.before.queue.status(now.Thread)
		if old.Fence != now.Fence || old.Nonce != now.Nonce {
			m.fail("%s: ended %s with the lease of another worker", a.name, id)
		}
		if thread.Deleted == 0 {
			m.story(id, thread)
		}
		if asks := now.status() == chat.RunSuspended; thread.Deleted == 0 && asks != (thread.Asked == now.ID) {
			m.fail("%s: %s is %s, but its thread is %+v", a.name, id, now.Status, thread)
		}
	default:
		m.fail("%s: %s changed from %s to %s", a.name, id, old.Status, now.Status)
	}
}

// statusAfter checks the status that End returned against the run queue directly after the end of the run.
func (m *model) statusAfter(w *worker, e store.Ended) {
	if e.Status == "" {
		return
	}
	m.counts["statuses"]++
	if want := m.statuses[w.h.Run().ID]; e.Status != want {
		m.fail("%s: End returned the status %s, but the thread was %s", w.a.name, e.Status, want)
	}
}

// story checks the log and the transcript of a run that has ended.
func (m *model) story(id chat.RunID, t threadRow) {
	events, run := m.logged[id], m.before.runs[id]
	var f agui.Folder
	starts, ends := 0, 0
	for _, e := range events {
		f.Add(e.Event)
		if e.Type == agui.RunStarted {
			starts++
		}
		if e.Terminal() {
			ends++
		}
	}
	if starts != 1 || ends != 1 || events[0].Type != agui.RunStarted || !events[len(events)-1].Terminal() {
		m.fail("%s has ended as %s with %d start events and %d end events", id, run.Status, starts, ends)
		return
	}
	first, last := events[0].record.Seq, events[len(events)-1].record.last()
	if t.Head < last {
		m.fail("%s has ended at %d, but the head of its thread is %d", id, last, t.Head)
	}
	for _, tr := range m.before.transcripts[m.before.partition(t)] {
		if tr.First != first {
			continue
		}
		got, err := store.Unpack(tr.Packed, id)
		if err != nil || tr.Last != last || tr.Run != string(id) ||
			!reflect.DeepEqual(got, f.Messages()) {
			m.fail("the transcript of %s differs from its log: %+v", id, tr)
		}
		return
	}
	m.fail("%s has ended without a transcript", id)
}

// queue checks the run queue against the statuses of the runs.
func (m *model) queue(now *state) {
	threads := map[string]bool{}
	for run, thread := range now.queue.Slots {
		if r := now.runs[chat.RunID(run)]; threads[thread] || r.Thread != thread || r.status() != chat.RunAdmitted &&
			r.status() != chat.RunRunning {
			m.fail("%s, which is %s, has the slot of %s: %v", run, r.Status, thread, now.queue)
		}
		threads[thread] = true
	}
	queued := map[string]bool{}
	for _, w := range now.queue.Queued {
		queued[w.Run] = true
	}
	if len(threads) > m.limits.Runs || len(queued) > m.limits.Queued || len(queued) != len(now.queue.Queued) {
		m.fail("the run queue exceeds its limits: %v", now.queue)
	}
	for _, r := range now.runs {
		_, holdsSlot := now.queue.Slots[r.ID]
		if holdsSlot != (r.status() == chat.RunAdmitted || r.status() == chat.RunRunning) ||
			queued[r.ID] != (r.status() == chat.RunQueued) {
			m.fail("%s is %s, but the run queue is %v", r.ID, r.Status, now.queue)
		}
	}
}

func (m *model) thread(before *state, now threadRow) {
	old, known := before.threads[chat.ThreadID(now.ID)]
	log := m.before.logs[m.before.partition(now)]
	tail := int64(0)
	if len(log) > 0 {
		tail = log[len(log)-1].last()
	}
	busy := slices.Contains(slices.Collect(maps.Values(m.before.queue.Slots)), now.ID)
	switch {
	case known && now.Epoch != old.Epoch && (old.Deleted == 0 || old.Expires >= m.now.Unix()):
		m.fail("%s has a new epoch, but was not deleted, or its deletion mark has not expired", now.ID)
	case known && now.Epoch == old.Epoch && old.Deleted != 0 && now != old:
		m.fail("%s was deleted and has changed: %+v, now %+v", now.ID, old, now)
	case now.Deleted != 0:
		m.deleted(now)
	case known && now.Epoch == old.Epoch && now.Head < old.Head || now.Head > tail || !busy && now.Head != tail:
		m.fail("the head of %s changed from %d to %d, but its log ends at %d", now.ID, old.Head, now.Head, tail)
	}
	if !known {
		m.counts["threads"]++
	}
}

// deleted checks the mark of a deleted thread.
func (m *model) deleted(t threadRow) {
	if t.Expires == 0 || t.Updated == 0 {
		m.fail("the deletion mark of %s does not expire: %+v", t.ID, t)
	}
}
