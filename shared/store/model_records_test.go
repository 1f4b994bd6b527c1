package store_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// invoke is one event of turn. Lambda may deliver it twice, with the same id.
type invoke struct {
	run chat.RunID
	id  string
}

// failure is the failure record of an event. If ran is false, Lambda dropped the event without an invocation.
type failure struct {
	invoke
	ran bool
}

// invoked adds an event for turn.
func (m *model) invoked(run chat.RunID) {
	m.events++
	m.invokes = append(m.invokes, invoke{run, fmt.Sprint("event", m.events)})
}

// died adds a failure record if the actor is a turn that has died.
func (m *model) died(a *actor) {
	if a.dead && a.event.id != "" {
		m.failures = append(m.failures, failure{a.event, true})
	}
}

// pending returns the number of events, erasures and failure records that are not delivered yet.
func (m *model) pending() int { return len(m.invokes) + len(m.erases) + len(m.failures) }

// deliver delivers the nth event, erasure or record: once, twice, or never.
func (m *model) deliver(n int) {
	harm := func(rate int) bool { return !m.calm && m.rng.IntN(1000) < rate }
	switch e, r := n-len(m.invokes), n-len(m.invokes)-len(m.erases); {
	case r >= 0:
		record := m.failures[r]
		if lost := harm(m.rates.never); lost || !harm(m.rates.twice) {
			m.failures = slices.Delete(m.failures, r, r+1)
			if lost {
				m.note("the failure record of %v is lost", record)
				return
			}
		}
		m.counts["failure records"]++
		m.start(fmt.Sprintf("sweep-record %s %s", record.run, record.id), func(a *actor) { recorded(a, record) })
	case e >= 0:
		erasure := m.erases[e]
		m.erases = slices.Delete(m.erases, e, e+1)
		m.start("erase "+string(erasure.Thread), func(a *actor) { erase(a, erasure) })
	default:
		event := m.invokes[n]
		if harm(m.rates.never) {
			m.note("the invoke of %s is lost", event.run)
			m.invokes = slices.Delete(m.invokes, n, n+1)
			if m.rng.IntN(2) == 0 {
				m.failures = append(m.failures, failure{event, false})
			}
			return
		}
		if !harm(m.rates.twice) {
			m.invokes = slices.Delete(m.invokes, n, n+1)
		}
		m.start("turn "+string(event.run), func(a *actor) { a.event = event; turn(a, event.run) })
	}
}

// recorded does what sweep does with a failure record.
func recorded(a *actor, f failure) {
	a.record = f
	run, err := a.store.Run(a.ctx, f.run)
	if !a.succeeded("read a run", err, chat.ErrNotFound) {
		return
	}
	switch {
	case run.Status.Terminal():
		startQueued(a)
	case run.Status == chat.RunAdmitted && (f.ran || run.Unclaimed(a.m.now) >= 170*time.Second):
		end(a, f.run, a.store.ClaimUnclaimed)
	case run.Status == chat.RunRunning && f.ran:
		released, err := a.store.Release(a.ctx, f.run, f.id)
		if a.succeeded("release", err, chat.ErrNotClaimed, chat.ErrNotFound) {
			resume(a, released)
		} else if r := a.m.before.runs[f.run]; errors.Is(err, chat.ErrNotClaimed) && r.status() == chat.RunRunning &&
			r.Worker == f.id {
			a.m.fail("%s: %s was not released, but its worker has died", a.name, f.run)
		}
	}
}

// lookAfter handles a due run like sweep.
func lookAfter(a *actor, id chat.RunID) store.Run {
	run, err := a.store.Run(a.ctx, id)
	if !a.succeeded("read a run", err, chat.ErrNotFound) {
		return run
	}
	switch now := a.m.now; {
	case run.Status.Terminal() || run.Due.After(now) || run.Status == chat.RunQueued:
		return run
	case run.Status == chat.RunAdmitted && now.After(run.Deadline):
		end(a, id, a.store.ClaimExpired)
		return run
	case run.Status == chat.RunAdmitted && a.rng.IntN(5) > 0: // else the invoke fails
		a.m.invoked(id)
	case run.Status == chat.RunAdmitted:
		return run
	case run.Status == chat.RunRunning && now.After(run.LeaseExpires):
		resume(a, run)
		return run
	}
	lookAgain(a, run)
	return run
}

func lookAgain(a *actor, run store.Run) {
	a.succeeded("look again", a.store.LookAgain(a.ctx, run))
}

// resume invokes turn for a run with a dead worker, or ends the run.
func resume(a *actor, run store.Run) {
	// or the invoke fails
	if run.Attempts >= a.m.limits.Attempts && !run.HandedOver || !a.m.now.Before(run.Deadline) || a.rng.IntN(5) == 0 {
		end(a, run.ID, a.store.ClaimExpired)
		return
	}
	a.m.invoked(run.ID)
	lookAgain(a, run)
}

// end ends a run that has a dead worker or no worker.
func end(a *actor, id chat.RunID, claim claim) {
	h, err := claim(a.ctx, id)
	if !a.claimed(id, err) {
		return
	}
	w := &worker{a: a, h: h}
	w.end(func() []agui.Event {
		return emit.Died(h.PreviousEvents(), h.Input().AnsweredCalls(), storetest.Started(h))
	})
}

// looked checks when a run is due after a write. The death of a worker must be noticed within two minutes. A run whose
// worker renews its lease must not become due.
func (m *model) looked(a *actor, old, now runRow) {
	latest := map[chat.RunStatus]time.Duration{
		chat.RunAdmitted: 200 * time.Second, chat.RunRunning: time.Minute, chat.RunQueued: 5 * time.Minute,
	}[now.status()]
	if now.Live != "" && now.Due != old.Due && now.Due > m.now.Add(latest).UnixMilli() {
		m.fail("%s: %s is %s, and due at %d", a.name, now.ID, now.Status, now.Due)
	}
	renewed := now.Fence == old.Fence && now.Lease > old.Lease && now.status() == chat.RunRunning
	if renewed && now.Due < now.Lease {
		m.fail("%s: renewed its lease of %s, which is due before the lease ends: %+v", a.name, now.ID, now)
	}
}

// handedOver checks a hand-over. Only the worker with the lease may hand a run over, and it is due soon.
func (m *model) handedOver(a *actor, old, now runRow) {
	m.counts["handed over"]++
	if a.did["claimed "+now.ID] != now.Nonce || now.Nonce != old.Nonce || now.Fence != old.Fence ||
		now.Handed != now.Fence || now.Handings != old.Handings+1 || now.Lease != 0 || now.Attempts != old.Attempts ||
		now.Due > a.now().Add(10*time.Second).UnixMilli() {
		m.fail("%s: handed %s over: %+v, now %+v", a.name, now.ID, old, now)
	}
}

// released checks the early end of a lease. Only the failure record of the invocation that holds the lease may cause
// it, and nothing else may change.
func (m *model) released(a *actor, old, now runRow) {
	m.counts["released"]++
	f := a.record
	if !f.ran || string(f.run) != now.ID || f.id != old.Worker || now.Fence != old.Fence || now.Nonce != old.Nonce {
		m.fail("%s: ended the lease of another worker because of the record %+v: %+v, now %+v", a.name, f, old, now)
	}
}

// unclaimed reports whether an actor may end an admitted run, because of a failure record or after the deadline.
func (m *model) unclaimed(a *actor, old runRow) bool {
	f, admitted := a.record, time.UnixMilli(old.Deadline).Add(-200*time.Second)
	return old.Deadline < m.now.UnixMilli() || string(f.run) == old.ID &&
		(f.ran || m.now.Sub(admitted) >= 170*time.Second)
}
