package store_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// judge holds what was seen of a schedule against the invariants of docs/data.md.
type judge struct {
	step     int
	failed   string
	notes    []string
	was      *state
	accepted map[chat.RunID]bool
	told     map[chat.RunID][]tale
	counts   map[string]int // what happened, for the report
}

// tale is one event of a log.
type tale struct {
	agui.Event
	record recordRow
}

func (m *model) note(format string, args ...any) {
	if m.failed != "" {
		return
	}
	m.notes = append(m.notes, fmt.Sprintf("%4d  ", m.step)+fmt.Sprintf(format, args...))
}

// fail keeps the first thing that is wrong.
func (m *model) fail(format string, args ...any) {
	if m.failed == "" {
		wrong := fmt.Sprintf(format, args...)
		m.note("WRONG: %s", wrong)
		m.failed = wrong
	}
}

// look reads the table after a write and judges what has changed.
func (m *model) look(a *actor) {
	now, err := readState(m.ctx, m.db, m.name)
	if err != nil {
		m.fail("%s: %v", a.name, err)
		return
	}
	was := m.was
	m.was = now
	m.records(was, now)
	for _, id := range sorted(now.runs) {
		m.run(a, was, now.runs[id])
	}
	for id := range was.runs {
		if now.runs[id].ID == "" {
			m.fail("the record of %s is gone", id)
		}
	}
	m.desk(now)
	m.asked(was, now)
	for _, id := range sorted(now.threads) {
		m.thread(was, now.threads[id])
	}
}

func sorted[K ~string, V any](all map[K]V) []K { return slices.Sorted(maps.Keys(all)) }

// run judges the change of one run.
func (m *model) run(a *actor, was *state, now runRow) {
	id := chat.RunID(now.ID)
	old, known := was.runs[id]
	if now == old {
		return
	}
	switch {
	case !known:
		m.created(a, now)
		return
	case old.status().Terminal():
		m.fail("%s: changes %s, which has ended: %+v, now %+v", a.name, id, old, now)
	case now.Fence < old.Fence || now.Fence > old.Fence+1:
		m.fail("%s: the fence of %s goes from %d to %d", a.name, id, old.Fence, now.Fence)
	case now.Fence > old.Fence:
		m.claims(a, old, now)
	}
	if now.Status != old.Status {
		m.moved(a, old, now)
	}
	if now.Lease == 0 && old.Lease != 0 && now.status() == chat.RunRunning {
		m.released(a, old, now)
	}
	m.looked(a, old, now)
	if live := now.Live != ""; live == now.status().Terminal() || live != (now.Deadline != 0) || live != (now.Due != 0) {
		m.fail("%s: %s is %s and live %q by %d", a.name, id, now.Status, now.Live, now.Deadline)
	}
}

// stands tells whether a write of the actor has done this to a run and nobody has touched the run since.
func (a *actor) stands(what string, run chat.RunID) bool {
	nonce := a.did[what+" "+string(run)]
	return nonce != "" && a.m.was.runs[run].Nonce == nonce
}

func (m *model) created(a *actor, now runRow) {
	a.did["created "+now.ID] = now.Nonce
	asked := now.status() == chat.RunAdmitted || now.status() == chat.RunQueued
	if now.Fence != 0 || !asked {
		m.fail("%s: %s begins as %+v", a.name, now.ID, now)
	}
	if now.status() == chat.RunQueued && m.policy[chat.RunID(now.ID)] == chat.Interrupt {
		for run, thread := range m.was.desk.Slots {
			if thread == now.Thread && !m.was.runs[chat.RunID(run)].Cancel {
				m.fail("%s: %s waits for %s, which is not asked to stop", a.name, now.ID, run)
			}
		}
	}
	if asked && !m.was.inputs["IN#"+now.ID+"#"+now.Input] {
		m.fail("%s: %s has no input", a.name, now.ID)
	}
}

// claims judges a claim: of what nobody has, or has no longer.
func (m *model) claims(a *actor, old, now runRow) {
	a.did["claimed "+now.ID] = now.Nonce
	m.counts["claims"]++
	past := old.status() == chat.RunRunning && old.Lease < a.now().UnixMilli()
	if past {
		m.counts["taken over"]++
	}
	admitted := old.status() == chat.RunAdmitted && (!strings.HasPrefix(a.name, "sweep") || m.unclaimed(a, old))
	if worker := a.event.id; now.Worker != worker {
		m.fail("%s: claims %s for %q: %+v", a.name, now.ID, worker, now)
	}
	counted := int64(1)
	if strings.HasPrefix(a.name, "sweep") {
		counted = 0
	}
	if now.Attempts != old.Attempts+counted || counted > 0 && (now.Attempts > int64(m.limits.Attempts) || past && old.Deadline <= a.since.UnixMilli()) {
		m.fail("%s: an attempt at %s too many, or not counted: %+v, now %+v", a.name, now.ID, old, now)
	}
	if now.status() != chat.RunRunning || !past && !admitted || now.Lease <= a.now().UnixMilli() && now.Lease <= old.Lease {
		m.fail("%s: takes %s from a healthy worker: %+v, now %+v", a.name, now.ID, old, now)
	}
}

// moved judges a change of status.
func (m *model) moved(a *actor, old, now runRow) {
	id := chat.RunID(now.ID)
	thread := m.was.threads[chat.ThreadID(now.Thread)]
	switch move := old.Status + " " + now.Status; {
	case move == "queued admitted":
		a.did["started "+now.ID] = now.Nonce
		if thread.Deleted != 0 || len(m.questions(thread)) > 0 {
			m.fail("%s: starts %s on a thread that is deleted or waits for a person: %+v", a.name, id, thread)
		}
	case move == "admitted running":
	case now.status() == chat.RunCancelled && old.Fence == 0:
		a.did["cancelled "+now.ID] = now.Nonce
		m.reopened(now, thread)
		if strings.HasPrefix(a.name, "sweep") && old.Deadline >= m.now.UnixMilli() {
			m.fail("%s: ends %s, which may wait still: %+v", a.name, id, old)
		}
	case old.status() == chat.RunRunning && now.status().Terminal():
		a.did["ended "+now.ID] = now.Nonce
		m.counts["ended"]++
		if old.Fence != now.Fence || old.Nonce != now.Nonce {
			m.fail("%s: ends the claim of another on %s", a.name, id)
		}
		if thread.Deleted == 0 {
			m.story(id, thread)
		}
		if asks := now.status() == chat.RunSuspended; thread.Deleted == 0 && asks != (thread.Asked == now.ID) {
			m.fail("%s: %s is %s, and its thread asks %+v", a.name, id, now.Status, thread)
		}
	default:
		m.fail("%s: %s goes from %s to %s", a.name, id, old.Status, now.Status)
	}
}

// story judges the log and the transcript of a run that has ended.
func (m *model) story(id chat.RunID, t threadRow) {
	events, run := m.told[id], m.was.runs[id]
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
		m.fail("%s has ended as %s with %d beginnings and %d ends", id, run.Status, starts, ends)
		return
	}
	first, last := events[0].record.Seq, events[len(events)-1].record.last()
	if t.Head < last {
		m.fail("%s has ended at %d, and its thread's head is %d", id, last, t.Head)
	}
	for _, tr := range m.was.transcripts[m.was.partition(t)] {
		if tr.First != first {
			continue
		}
		var got []agui.Message
		err := json.Unmarshal([]byte(tr.Messages), &got)
		for i, m := range got {
			if strings.HasPrefix(m.ID, ".") { // kept without the run's id
				got[i].ID = string(id) + m.ID
			}
		}
		if err != nil || tr.Last != last || tr.Run != string(id) ||
			!reflect.DeepEqual(got, f.Messages()) {
			m.fail("the transcript of %s is not what its log tells: %+v", id, tr)
		}
		return
	}
	m.fail("%s has ended without a transcript", id)
}

func (m *model) desk(now *state) {
	threads := map[string]bool{}
	for run, thread := range now.desk.Slots {
		if r := now.runs[chat.RunID(run)]; threads[thread] || r.Thread != thread || r.status() != chat.RunAdmitted && r.status() != chat.RunRunning {
			m.fail("%s, which is %s, has a seat on %s: %v", run, r.Status, thread, now.desk)
		}
		threads[thread] = true
	}
	waiting := map[string]bool{}
	for _, w := range now.desk.Queued {
		waiting[w.Run] = true
	}
	if len(threads) > m.limits.Runs || len(waiting) > m.limits.Queued || len(waiting) != len(now.desk.Queued) {
		m.fail("the desk is over its limits: %v", now.desk)
	}
	for _, r := range now.runs {
		_, sits := now.desk.Slots[r.ID]
		if sits != (r.status() == chat.RunAdmitted || r.status() == chat.RunRunning) ||
			waiting[r.ID] != (r.status() == chat.RunQueued) {
			m.fail("%s is %s, and the desk is %v", r.ID, r.Status, now.desk)
		}
	}
}

func (m *model) thread(was *state, now threadRow) {
	old, known := was.threads[chat.ThreadID(now.ID)]
	log := m.was.logs[m.was.partition(now)]
	tail := int64(0)
	if len(log) > 0 {
		tail = log[len(log)-1].last()
	}
	busy := slices.Contains(slices.Collect(maps.Values(m.was.desk.Slots)), now.ID)
	switch {
	case known && now.Epoch != old.Epoch && (old.Deleted == 0 || old.Expires >= m.now.Unix()):
		m.fail("%s has another epoch", now.ID)
	case known && now.Epoch == old.Epoch && old.Deleted != 0 && now != old:
		m.fail("%s rises from the dead: %+v, now %+v", now.ID, old, now)
	case now.Deleted != 0:
		m.dead(now)
	case known && now.Epoch == old.Epoch && now.Head < old.Head || now.Head > tail || !busy && now.Head != tail:
		m.fail("the head of %s goes from %d to %d, its log ends at %d", now.ID, old.Head, now.Head, tail)
	}
	if !known {
		m.counts["threads"]++
	}
}

func (m *model) dead(t threadRow) {
	if t.Expires == 0 || t.Updated == 0 {
		m.fail("the mark of %s does not expire: %+v", t.ID, t)
	}
}
