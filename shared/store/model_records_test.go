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

// invoke is one event of turn. Lambda may deliver it twice: both have its id.
type invoke struct {
	run chat.RunID
	id  string
}

// failure is one failure record of an event. Without ran, Lambda gave the event up.
type failure struct {
	invoke
	ran bool
}

// invoked has Lambda take an event.
func (m *model) invoked(run chat.RunID) {
	m.events++
	m.invokes = append(m.invokes, invoke{run, fmt.Sprint("event", m.events)})
}

// died has Lambda write a failure record if the actor is a turn that has died.
func (m *model) died(a *actor) {
	if a.dead && a.event.id != "" {
		m.failures = append(m.failures, failure{a.event, true})
	}
}

// coming is how many events and records have not come yet.
func (m *model) coming() int { return len(m.invokes) + len(m.erases) + len(m.failures) }

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

// recorded is what sweep does with a failure record.
func recorded(a *actor, f failure) {
	a.record = f
	run, err := a.store.Run(a.ctx, f.run)
	if !a.went("read a run", err, chat.ErrNotFound) {
		return
	}
	switch {
	case run.Status.Terminal():
		startQueued(a)
	case run.Status == chat.RunAdmitted && (f.ran || run.Unclaimed(a.m.now) >= 170*time.Second):
		end(a, f.run, a.store.ClaimUnclaimed)
	case run.Status == chat.RunRunning && f.ran:
		released, err := a.store.Release(a.ctx, f.run, f.id)
		if a.went("release", err, chat.ErrNotClaimed, chat.ErrNotFound) {
			resume(a, released)
		} else if r := a.m.was.runs[f.run]; errors.Is(err, chat.ErrNotClaimed) && r.status() == chat.RunRunning && r.Worker == f.id {
			a.m.fail("%s: %s was not released, and its worker has died", a.name, f.run)
		}
	}
}

// lookAfter looks at a run that is due, as sweep does.
func lookAfter(a *actor, id chat.RunID) store.Run {
	run, err := a.store.Run(a.ctx, id)
	if !a.went("read a run", err, chat.ErrNotFound) {
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
	a.went("look again", a.store.LookAgain(a.ctx, run))
}

// resume invokes turn for a run with a dead worker, or ends the run.
func resume(a *actor, run store.Run) {
	if run.Attempts >= a.m.limits.Attempts || !a.m.now.Before(run.Deadline) || a.rng.IntN(5) == 0 { // or the invoke fails
		end(a, run.ID, a.store.ClaimExpired)
		return
	}
	a.m.invoked(run.ID)
	lookAgain(a, run)
}

// end ends a run with a dead worker or none.
func end(a *actor, id chat.RunID, claim claim) {
	h, err := claim(a.ctx, id)
	if !a.claimed(id, err) {
		return
	}
	w := &worker{a: a, h: h}
	w.end(func() []agui.Event {
		return emit.Died(h.PreviousEvents(), h.Input().Asked(), storetest.Started(h))
	})
}

// looked judges when a run is due after a write: soon enough for its worker's death to be noticed in two minutes, and not
// while its worker renews its lease.
func (m *model) looked(a *actor, old, now runRow) {
	latest := map[chat.RunStatus]time.Duration{
		chat.RunAdmitted: 200 * time.Second, chat.RunRunning: time.Minute, chat.RunQueued: 5 * time.Minute,
	}[now.status()]
	if now.Live != "" && now.Due != old.Due && now.Due > m.now.Add(latest).UnixMilli() {
		m.fail("%s: %s is %s, and due at %d", a.name, now.ID, now.Status, now.Due)
	}
	renewed := now.Fence == old.Fence && now.Lease > old.Lease && now.status() == chat.RunRunning
	if renewed && now.Due < now.Lease {
		m.fail("%s: renews its lease of %s, which is due before the lease ends: %+v", a.name, now.ID, now)
	}
}

// released judges that a lease was ended: by the failure record of the invocation that has it, and with nothing else.
func (m *model) released(a *actor, old, now runRow) {
	m.counts["released"]++
	f := a.record
	if !f.ran || string(f.run) != now.ID || f.id != old.Worker || now.Fence != old.Fence || now.Nonce != old.Nonce {
		m.fail("%s: ends the lease of another worker by the record %+v: %+v, now %+v", a.name, f, old, now)
	}
}

// unclaimed reports whether an actor may end an admitted run: by a failure record, or after the deadline.
func (m *model) unclaimed(a *actor, old runRow) bool {
	f, admitted := a.record, time.UnixMilli(old.Deadline).Add(-200*time.Second)
	return old.Deadline < m.now.UnixMilli() || string(f.run) == old.ID && (f.ran || m.now.Sub(admitted) >= 170*time.Second)
}
