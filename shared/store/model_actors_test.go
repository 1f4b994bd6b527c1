package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// What the functions do with the store, in a few lines each.

// ask is one thing that a person does at a device.
type ask struct {
	name string
	do   func(a *actor)
}

func (m *model) ask(n int) {
	todo := m.asks[n]
	m.asks = slices.Delete(m.asks, n, n+1)
	m.start(todo.name, todo.do)
}

// excused tells whether an error proves nothing: the process is dead, all of a request's answers were lost, or this
// machine is so slow that the store's patience came to its end after a few requests.
func (a *actor) excused(err error) bool {
	return a.dead || err != nil && strings.Contains(err.Error(), "the answer was lost") ||
		errors.Is(err, context.DeadlineExceeded) && a.steps < 60
}

// went ends the schedule if an operation failed in a way that its contract does not know.
func (a *actor) went(what string, err error, may ...error) bool {
	if err == nil {
		return !a.dead
	}
	if !a.excused(err) && !slices.ContainsFunc(may, func(e error) bool { return errors.Is(err, e) }) {
		a.m.fail("%s: %s: %v", a.name, what, err)
	}
	a.m.note("%s: %s: %v", a.name, what, err)
	return false
}

// admit is what the function message does with a run.
func admit(a *actor, asked store.Admission) {
	got, err := a.store.Admit(a.ctx, asked)
	if !a.went("admit", err, chat.ErrBusy, chat.ErrTooManyRuns, chat.ErrNotFound, chat.ErrInterrupted, chat.ErrRateLimited) {
		if a.did["created "+string(asked.Run)] != "" && !a.excused(err) {
			a.m.fail("%s: %s was admitted, and its device was told: %v", a.name, asked.Run, err)
		}
		return
	}
	a.m.note("%s: %s is %s", a.name, asked.Run, got.Run.Status)
	a.m.accept(a, asked, got)
	if got.Repeat && a.did["created "+string(asked.Run)] != "" {
		a.m.fail("%s: takes its own admission of %s for a repeat", a.name, asked.Run)
	}
	if got.Invoke {
		a.m.invoked(asked.Run)
	}
}

func cancel(a *actor, run chat.RunID) {
	c, err := a.store.Cancel(a.ctx, run)
	if errors.Is(err, chat.ErrNotFound) { // it may have been admitted since
		return
	}
	if !a.went("cancel", err) {
		return
	}
	a.m.cancelled(a, run, c)
	if c.Ended {
		startQueued(a)
	}
}

func remove(a *actor, thread chat.ThreadID) {
	_, err := a.store.Delete(a.ctx, thread)
	if a.went("delete", err, chat.ErrNotFound) {
		a.m.note("%s: deleted", a.name)
		cancelAll(a, thread)
	}
}

// cancelAll cancels a deleted thread's runs.
func cancelAll(a *actor, thread chat.ThreadID) {
	_, err := a.store.CancelRuns(a.ctx, thread)
	if a.went("cancel the thread's runs", err) {
		startQueued(a)
	}
}

func erase(a *actor, e store.Erasure) {
	cancelAll(a, e.Thread)
	a.went("erase", a.store.Erase(a.ctx, e))
}

func startQueued(a *actor) {
	runs, err := a.store.StartQueued(a.ctx)
	if !a.went("start what waits", err) {
		return
	}
	for _, r := range runs {
		delete(a.did, "started "+string(r.ID))
		a.m.invoked(r.ID)
	}
	for did := range a.did {
		if run, ok := strings.CutPrefix(did, "started "); ok && a.stands("started", chat.RunID(run)) {
			a.m.fail("%s: %s, and nobody is told to invoke it", a.name, did)
		}
	}
}

// sweep looks at what is due in the live index.
func sweep(a *actor) {
	var waiting []store.Run
	for _, run := range a.m.due() {
		if r := lookAfter(a, run); r.Status == chat.RunQueued {
			waiting = append(waiting, r)
		}
	}
	for _, key := range sorted(a.m.was.erasures) {
		thread, epoch, _ := strings.Cut(strings.TrimPrefix(key, "ERASE#"), "#")
		if a.m.was.erasures[key].Due <= a.m.now.UnixMilli() {
			a.m.erases = append(a.m.erases, store.Erasure{Thread: chat.ThreadID(thread), Epoch: chat.Epoch(epoch)})
		}
	}
	startQueued(a)
	for _, run := range waiting {
		if a.m.now.After(run.Deadline) || a.rng.IntN(4) == 0 { // or the deadline that it has read is an earlier one
			_, err := a.store.ExpireQueued(a.ctx, run.ID)
			if a.went("expire", err, chat.ErrNotClaimed, chat.ErrNotFound) || !errors.Is(err, chat.ErrNotClaimed) {
				continue
			}
		}
		lookAgain(a, run)
	}
}

// claim is one of the store's claims.
type claim func(context.Context, chat.RunID) (*store.Lease, error)

func (a *actor) claimed(id chat.RunID, err error) bool {
	if !a.went("claim", err, chat.ErrNotClaimed, chat.ErrNotFound, chat.ErrLeaseLost) {
		if a.stands("claimed", id) && !a.excused(err) {
			a.m.fail("%s: its claim of %s stands, and it was told: %v", a.name, id, err)
		}
		return false
	}
	return true
}
