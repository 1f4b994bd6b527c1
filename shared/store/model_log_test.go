package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// records judges the logs: gapless, by the thread's holder alone, and never changed.
func (m *model) records(was, now *state) {
	for _, id := range sorted(now.threads) {
		t := now.threads[id]
		if t.Deleted != 0 {
			continue // what is left of it is being erased
		}
		part := now.partition(t)
		log, old := now.logs[part], was.logs[part]
		if len(log) < len(old) || !slices.Equal(log[:len(old)], old) {
			m.fail("records of %s have changed or are gone: %+v, now %+v", id, old, log)
			return
		}
		for i := len(old); i < len(log); i++ {
			m.record(was, now, log[:i+1])
		}
	}
}

// record judges a new record, the last of a log.
func (m *model) record(was, now *state, log []recordRow) {
	r, next := log[len(log)-1], int64(1)
	var before recordRow
	if len(log) > 1 {
		before = log[len(log)-2]
		next = before.last() + 1
	}
	id := chat.RunID(r.Run)
	run, ran := now.runs[id], was.runs[id]
	seat, sits := was.desk.Slots[r.Run]
	switch {
	case r.Seq != next:
		m.fail("a record of %s begins at %d, want %d", id, r.Seq, next)
	case !sits || seat != run.Thread || ran.status() != chat.RunRunning:
		m.fail("%s writes although it is %s: %+v", id, ran.Status, r)
	case r.Fence > ran.Fence || r.Fence == ran.Fence && r.Nonce != ran.Nonce:
		m.fail("a record of %s by nobody's claim: %+v", id, r)
	case before.Run == r.Run && before.Fence > r.Fence:
		m.fail("an earlier attempt of %s writes after a later one: %+v", id, r)
	}
	m.tell(id, run, r)
}

// tell takes in the events of a record, each of which stands there once.
func (m *model) tell(id chat.RunID, run runRow, r recordRow) {
	var events []agui.Event
	if err := json.Unmarshal([]byte(r.Events), &events); err != nil || int64(len(events)) != r.Count {
		m.fail("the record of %s at %d: %d events, %v", id, r.Seq, len(events), err)
	}
	for _, e := range events {
		for _, o := range m.told[id] {
			if e.Delta != "" && e.Delta == o.Delta || o.Terminal() || e.Type == agui.RunStarted {
				m.fail("%s tells twice, or after its end: %+v", id, e)
			}
		}
		m.told[id] = append(m.told[id], tale{Event: e, record: r})
		if e.Terminal() && (!run.status().Terminal() || run.Fence != r.Fence) {
			m.fail("%s tells its end and is %s", id, run.Status)
		}
	}
}

// live are the runs that the index shows.
func (m *model) live() (runs []chat.RunID) {
	for _, id := range sorted(m.was.runs) {
		if m.was.runs[id].Live != "" {
			runs = append(runs, id)
		}
	}
	return runs
}

// due are the runs that the index shows to sweep now.
func (m *model) due() (runs []chat.RunID) {
	for _, id := range m.live() {
		if m.was.runs[id].Due < m.now.UnixMilli() {
			runs = append(runs, id)
		}
	}
	return runs
}

// quiet tells whether nothing is left to do.
func (m *model) quiet() bool { return m.left() == "" }

// resigned tells whether all that is left are runs that wait for a person.
func (m *model) resigned() bool {
	for _, id := range m.live() {
		r := m.was.runs[id]
		if r.status() != chat.RunQueued || len(m.questions(m.was.threads[chat.ThreadID(r.Thread)])) == 0 {
			return false
		}
	}
	return len(m.was.desk.Slots) == 0
}

// left is what is not over.
func (m *model) left() string {
	var left []string
	for _, id := range m.live() {
		left = append(left, fmt.Sprintf("%s is %s", id, m.was.runs[id].Status))
	}
	if d := m.was.desk; len(d.Slots)+len(d.Queued) > 0 {
		left = append(left, fmt.Sprintf("the desk is %v", d))
	}
	return strings.Join(left, ", ")
}

// final judges how everything has ended.
func (m *model) final() {
	for id := range m.accepted {
		if r := m.was.runs[id]; !r.status().Terminal() {
			m.fail("%s was accepted and is %s", id, r.Status)
		}
	}
	for part, log := range m.was.logs {
		if len(log) > 0 && !m.alive(part) {
			m.fail("%d records have outlived their thread: %s", len(log), part)
		}
	}
	for part, all := range m.was.transcripts {
		if !m.alive(part) {
			m.fail("%d transcripts have outlived their thread: %s", len(all), part)
		}
	}
	for key := range m.was.erasures {
		m.fail("%s is not finished", key)
	}
	for id, events := range m.told {
		if t := m.was.threads[chat.ThreadID(m.was.runs[id].Thread)]; t.Deleted == 0 && len(events) > 0 {
			m.story(id, t)
		}
	}
}

// alive tells whether a log's partition is that of a thread that was not deleted.
func (m *model) alive(part string) bool {
	for _, t := range m.was.threads {
		if m.was.partition(t) == part {
			return t.Deleted == 0
		}
	}
	return false
}
