package store_test

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// spent checks the tokens of the days. Only the end of a run changes them, by the tokens of the marks in the run's log.
// In a deleted thread the two may differ: the worker may not know the whole log, and its last events do not enter it.
func (m *model) spent(before, now *state) {
	used, exact := int64(0), true
	for _, id := range sorted(now.runs) {
		r := now.runs[id]
		if r.Fence == 0 || !r.status().Terminal() || before.runs[id].status().Terminal() {
			continue
		}
		for _, e := range m.logged[id] {
			for _, u := range agui.TokensOf([]agui.Event{e.Event}) {
				used += int64(u.InputTokens + u.OutputTokens)
			}
		}
		thread := now.threads[chat.ThreadID(r.Thread)]
		exact = exact && thread.Deleted == 0 && thread.Epoch == r.Epoch
		m.counts["tokens"] += int(used)
	}
	added := int64(0)
	for day, n := range now.queue.Tokens {
		added += n - before.queue.Tokens[day]
	}
	for day, n := range before.queue.Tokens {
		if _, kept := now.queue.Tokens[day]; !kept && day >= runqueue.Day(m.now) {
			m.fail("the %d tokens of %s were lost", n, day)
		}
	}
	if added < 0 || exact && added != used {
		m.fail("%d tokens were added to the day, and the runs that ended have used %d", added, used)
	}
}
