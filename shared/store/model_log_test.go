package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// records checks the logs: they have no gaps, only the lease holder of the thread appends, and records never change.
func (m *model) records(before, now *state) {
	for _, id := range sorted(now.threads) {
		t := now.threads[id]
		if t.Deleted != 0 {
			continue // its log is being erased
		}
		part := now.partition(t)
		log, old := now.logs[part], before.logs[part]
		if len(log) < len(old) || !slices.Equal(log[:len(old)], old) {
			m.fail("records of %s were changed or deleted: %+v, now %+v", id, old, log)
			return
		}
		for i := len(old); i < len(log); i++ {
			m.record(before, now, log[:i+1])
		}
	}
}

// record checks a new record, which is the last of its log.
func (m *model) record(before, now *state, log []recordRow) {
	r, next := log[len(log)-1], int64(1)
	var previous recordRow
	if len(log) > 1 {
		previous = log[len(log)-2]
		next = previous.last() + 1
	}
	id := chat.RunID(r.Run)
	run, old := now.runs[id], before.runs[id]
	thread, holdsSlot := before.queue.Slots[r.Run]
	switch {
	case r.Seq != next:
		m.fail("a record of %s starts at %d, want %d", id, r.Seq, next)
	case !holdsSlot || thread != run.Thread || old.status() != chat.RunRunning:
		m.fail("%s appended although it is %s: %+v", id, old.Status, r)
	case r.Fence > old.Fence || r.Fence == old.Fence && r.Nonce != old.Nonce:
		m.fail("a record of %s has the fence or nonce of no claim: %+v", id, r)
	case previous.Run == r.Run && previous.Fence > r.Fence:
		m.fail("a previous attempt at %s appended after a later attempt: %+v", id, r)
	}
	m.addEvents(id, run, r)
}

// addEvents adds the events of a record and checks that each event occurs only once in the log of its run.
func (m *model) addEvents(id chat.RunID, run runRow, r recordRow) {
	var events []agui.Event
	if err := json.Unmarshal([]byte(r.Events), &events); err != nil || int64(len(events)) != r.Count {
		m.fail("the record of %s at %d: %d events, %v", id, r.Seq, len(events), err)
	}
	for _, e := range events {
		for _, o := range m.logged[id] {
			if e.Delta != "" && e.Delta == o.Delta || o.Terminal() || e.Type == agui.RunStarted {
				m.fail("%s has a repeated event, or one after its end: %+v", id, e)
			}
		}
		m.logged[id] = append(m.logged[id], loggedEvent{Event: e, record: r})
		if e.Terminal() && (!run.status().Terminal() || run.Fence != r.Fence) {
			m.fail("the log of %s has its end, but the run is %s", id, run.Status)
		}
	}
}

// live returns the runs in the live index.
func (m *model) live() (runs []chat.RunID) {
	for _, id := range sorted(m.before.runs) {
		if m.before.runs[id].Live != "" {
			runs = append(runs, id)
		}
	}
	return runs
}

// due returns the runs that are due in the live index.
func (m *model) due() (runs []chat.RunID) {
	for _, id := range m.live() {
		if m.before.runs[id].Due < m.now.UnixMilli() {
			runs = append(runs, id)
		}
	}
	return runs
}

// finished reports whether no run is live and the run queue is empty.
func (m *model) finished() bool { return m.unfinished() == "" }

// onlyAwaitingInput reports whether all live runs are queued on threads that are awaiting input.
func (m *model) onlyAwaitingInput() bool {
	for _, id := range m.live() {
		r := m.before.runs[id]
		if r.status() != chat.RunQueued || len(m.openInterrupts(m.before.threads[chat.ThreadID(r.Thread)])) == 0 {
			return false
		}
	}
	return len(m.before.queue.Slots) == 0
}

// unfinished describes the live runs and the run queue, or returns "" if there are none.
func (m *model) unfinished() string {
	var left []string
	for _, id := range m.live() {
		left = append(left, fmt.Sprintf("%s is %s", id, m.before.runs[id].Status))
	}
	if d := m.before.queue; len(d.Slots)+len(d.Queued) > 0 {
		left = append(left, fmt.Sprintf("the run queue is %v", d))
	}
	return strings.Join(left, ", ")
}

// final checks the table after all work has ended.
func (m *model) final() {
	for id := range m.accepted {
		if r := m.before.runs[id]; !r.status().Terminal() {
			m.fail("%s was accepted, but is %s", id, r.Status)
		}
	}
	for part, log := range m.before.logs {
		if len(log) > 0 && !m.alive(part) {
			m.fail("%d records of a deleted thread remain: %s", len(log), part)
		}
	}
	for part, all := range m.before.transcripts {
		if !m.alive(part) {
			m.fail("%d transcripts of a deleted thread remain: %s", len(all), part)
		}
	}
	for key := range m.before.erasures {
		m.fail("the erasure %s has not completed", key)
	}
	for id, events := range m.logged {
		if t := m.before.threads[chat.ThreadID(m.before.runs[id].Thread)]; t.Deleted == 0 && len(events) > 0 {
			m.story(id, t)
		}
	}
}

// alive reports whether a partition belongs to a thread that was not deleted.
func (m *model) alive(part string) bool {
	for _, t := range m.before.threads {
		if m.before.partition(t) == part {
			return t.Deleted == 0
		}
	}
	return false
}
