package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// This file holds short versions of the functions' work with the store.

// ask is one action of a user at a device.
type ask struct {
	name string
	do   func(a *actor)
}

func (m *model) ask(n int) {
	todo := m.asks[n]
	m.asks = slices.Delete(m.asks, n, n+1)
	m.start(todo.name, todo.do)
}

// excused reports whether an error may be ignored: the process is dead, every response to a request was lost, or the
// machine is so slow that the store's time limit ended after a few requests.
func (a *actor) excused(err error) bool {
	return a.dead || err != nil && strings.Contains(err.Error(), "the response was lost") ||
		errors.Is(err, context.DeadlineExceeded) && a.steps < 60
}

// succeeded reports whether an operation succeeded. It fails the schedule if the error is not one of the allowed
// errors.
func (a *actor) succeeded(what string, err error, allowed ...error) bool {
	if err == nil {
		return !a.dead
	}
	if !a.excused(err) && !slices.ContainsFunc(allowed, func(e error) bool { return errors.Is(err, e) }) {
		a.m.fail("%s: %s: %v", a.name, what, err)
	}
	a.m.note("%s: %s: %v", a.name, what, err)
	return false
}

// admit does what the function message does with a run.
func admit(a *actor, asked store.Admission) {
	asked.Owned = a.owned()
	got, err := a.store.Admit(a.ctx, asked)
	if !a.succeeded("admit", err, chat.ErrBusy, chat.ErrTooManyRuns, chat.ErrNotFound, chat.ErrInterrupted,
		chat.ErrRateLimited, errNotOwned) {
		if a.did["created "+string(asked.Run)] != "" && !a.excused(err) {
			a.m.fail("%s: %s was admitted, but the device got: %v", a.name, asked.Run, err)
		}
		return
	}
	a.m.note("%s: %s is %s", a.name, asked.Run, got.Run.Status)
	a.m.accept(a, asked, got)
	if got.Repeat && a.did["created "+string(asked.Run)] != "" {
		a.m.fail("%s: treats its own admission of %s as a repeat", a.name, asked.Run)
	}
	if got.Invoke && a.rng.IntN(20) > 0 { // else the process dies, or fails, after accepted and before the invocation
		a.m.invoked(asked.Run)
	}
}

func cancel(a *actor, run chat.RunID) {
	c, err := a.store.Cancel(a.ctx, run)
	if errors.Is(err, chat.ErrNotFound) { // the run may be admitted later
		return
	}
	if !a.succeeded("cancel", err) {
		return
	}
	a.m.cancelled(a, run, c)
	if c.Ended {
		startQueued(a)
	}
}

func remove(a *actor, thread chat.ThreadID) {
	_, err := a.store.Delete(a.ctx, thread)
	if a.succeeded("delete", err, chat.ErrNotFound) {
		a.m.note("%s: deleted", a.name)
		cancelAll(a, thread)
	}
}

// cancelAll cancels the runs of a deleted thread.
func cancelAll(a *actor, thread chat.ThreadID) {
	_, err := a.store.CancelRuns(a.ctx, thread)
	if a.succeeded("cancel the runs of the thread", err) {
		startQueued(a)
	}
}

func erase(a *actor, e store.Erasure) {
	cancelAll(a, e.Thread)
	a.succeeded("erase", a.store.Erase(a.ctx, e))
}

func startQueued(a *actor) {
	runs, err := a.store.StartQueued(a.ctx)
	if !a.succeeded("start queued runs", err) {
		return
	}
	for _, r := range runs {
		delete(a.did, "started "+string(r.ID))
		a.m.invoked(r.ID)
	}
	for did := range a.did {
		if run, ok := strings.CutPrefix(did, "started "); ok && a.stands("started", chat.RunID(run)) {
			a.m.fail("%s: %s, but it was not returned to be invoked", a.name, did)
		}
	}
}

// sweep handles the due entries of the live index.
func sweep(a *actor) {
	var queued []store.Run
	for _, run := range a.m.due() {
		if r := lookAfter(a, run); r.Status == chat.RunQueued {
			queued = append(queued, r)
		}
	}
	for _, key := range sorted(a.m.before.erasures) {
		thread, epoch, _ := strings.Cut(strings.TrimPrefix(key, "ERASE#"), "#")
		if a.m.before.erasures[key].Due <= a.m.now.UnixMilli() {
			a.m.erases = append(a.m.erases, store.Erasure{Thread: chat.ThreadID(thread), Epoch: chat.Epoch(epoch)})
		}
	}
	startQueued(a)
	for _, run := range queued {
		// or at random, as if the deadline that it read were outdated
		if a.m.now.After(run.Deadline) || a.rng.IntN(4) == 0 {
			_, err := a.store.ExpireQueued(a.ctx, run.ID)
			if a.succeeded("expire", err, chat.ErrNotClaimed, chat.ErrNotFound) || !errors.Is(err, chat.ErrNotClaimed) {
				continue
			}
		}
		lookAgain(a, run)
	}
}

// claim is the type of the store's methods that claim a run.
type claim func(context.Context, chat.RunID) (*store.Lease, error)

func (a *actor) claimed(id chat.RunID, err error) bool {
	if !a.succeeded("claim", err, chat.ErrNotClaimed, chat.ErrNotFound, chat.ErrLeaseLost) {
		if a.stands("claimed", id) && !a.excused(err) {
			a.m.fail("%s: its claim of %s was written, but it got: %v", a.name, id, err)
		}
		return false
	}
	return true
}
