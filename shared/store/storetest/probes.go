package storetest

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// probes returns the isolation cases by method.
func probes() map[string]probe {
	all := tableProbes()
	for _, more := range []map[string]probe{connectionProbes(), sessionProbes(), threadProbes(), rowsProbes(),
		noteProbes(), erasureProbes(), runProbes(), sweepProbes(), leaseProbes()} {
		maps.Copy(all, more)
	}
	return all
}

// tableProbes returns the cases of the methods of Table.
func tableProbes() map[string]probe {
	return map[string]probe{
		"Table.For": {other: skipped, call: func(c caller) (any, error) {
			_, err := c.Table.For(chattest.User(c.T, "another user"))
			return nil, err
		}},
		// The owner record of a connection is the only item outside the partitions of users. It contains only the user.
		"Table.Owner": {other: succeeds, unsafe: true, call: func(c caller) (any, error) {
			return c.Table.Owner(c.T.Context(), c.socket)
		}},
		// An operator who names a user without items gets ErrNotFound, even if a user with a similar name has items.
		"Table.ForOperator": {other: notFound, call: func(c caller) (any, error) {
			me := chattest.User(c.T, c.as)
			k := me.Key()
			for _, key := range []string{"#", "U#" + k, k + "#", k + "#D", k + "\n", k + "=23"} {
				_, err := c.Table.ForOperator(c.T.Context(), store.Named{Key: key})
				if !errors.Is(err, chat.ErrNotFound) {
					return nil, fmt.Errorf("the key %.20q: %w", key, err)
				}
			}
			byName, err := c.Table.ForOperator(c.T.Context(), store.Named{Issuer: chattest.Issuer, Subject: c.as})
			byKey, again := c.Table.ForOperator(c.T.Context(), store.Named{Key: k})
			if (err == nil) != (again == nil) || err == nil && (byName != me || byKey != me) {
				err = fmt.Errorf("another user by name, %w, or by key, %w", err, again)
			}
			return nil, errors.Join(err, again)
		}},
		"Table.Live": {other: skipped, call: func(c caller) (any, error) { return c.Table.Live(c.T.Context()) }},
		"Table.Due":  {other: skipped, call: func(c caller) (any, error) { return c.Table.Due(c.T.Context()) }},
		// The failure record of a turn of the caller leads only to entries of the caller.
		"Table.LiveOf": {other: skipped, call: func(c caller) (any, error) {
			me := chattest.User(c.T, c.as)
			own, err := c.Table.LiveOf(c.T.Context(), chat.OwnerHash(me.Hash()))
			for _, e := range own {
				if e.User != me {
					err = fmt.Errorf("an entry of another user: %+v", e)
				}
			}
			return own, err
		}},
	}
}

// runProbes returns the cases of the methods for runs and the run queue.
func runProbes() map[string]probe {
	return map[string]probe{
		"Store.Admit": {other: succeeds, unsafe: true, call: func(c caller) (any, error) {
			if a, err := c.respond(); err != nil {
				return a, err
			}
			if err := c.messageIDs(); err != nil {
				return nil, err
			}
			return c.store.Admit(c.T.Context(), c.repeated())
		}},
		"Store.Run": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Run(c.T.Context(), c.run)
		}},
		"Store.Runs": {other: empty, call: caller.listedRuns},
		"Store.Input": {other: notFound, reads: true, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Input(c.T.Context(), c.run)
		}},
		"Store.Inputs": {other: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Inputs(c.T.Context(), []chat.RunID{c.run, c.queued})
		}},
		"Store.RunQueue": {other: succeeds, call: func(c caller) (any, error) {
			q, err := c.store.RunQueue(c.T.Context())
			if err == nil && c.lease == nil && len(q.Slots)+len(q.Queued) > 0 {
				err = fmt.Errorf("the run queue of the caller is not empty: %+v", q)
			}
			return q, err
		}},
		"Store.Cancel": {other: notFound, call: func(c caller) (any, error) {
			for _, run := range []chat.RunID{c.run, c.queued} {
				if got, err := c.store.Cancel(c.T.Context(), run); err != nil {
					return got, err
				}
			}
			return nil, nil
		}},
		"Store.StartQueued": {other: empty, call: func(c caller) (any, error) {
			return c.store.StartQueued(c.T.Context())
		}},
		"Store.StartNext": {other: empty, call: func(c caller) (any, error) {
			started, _, err := c.store.StartNext(c.T.Context())
			return started, err
		}},
	}
}

// sweepProbes returns the cases of the methods that claim runs or find runs whose worker has died.
func sweepProbes() map[string]probe {
	return map[string]probe{
		"Store.Claim": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			return c.claimed(c.store.Claim(c.T.Context(), c.run))
		}},
		"Store.ClaimExpired": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			return c.claimed(c.store.ClaimExpired(c.T.Context(), c.run))
		}},
		"Store.ClaimUnclaimed": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			if c.lease != nil { // the caller's run is claimed, so admit an unclaimed run on another thread
				if _, err := c.store.Admit(c.T.Context(), Asked("unclaimed", "unclaimed")); err != nil {
					return nil, err
				}
				return c.claimed(c.store.ClaimUnclaimed(c.T.Context(), "unclaimed"))
			}
			return c.claimed(c.store.ClaimUnclaimed(c.T.Context(), c.run))
		}},
		"Store.Release": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Release(c.T.Context(), c.run, c.Worker)
		}},
		"Store.LookAgain": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			r := store.Run{ID: c.run, Status: chat.RunRunning, Fence: 1}
			if c.single { // the credentials of a user do not reach the live index
				return nil, c.store.LookAgain(c.T.Context(), r)
			}
			for _, e := range must[[]store.LiveEntry](c.T)(c.Table.Live(c.T.Context())) {
				// the due time, from the live index
				if e.Run == c.run && (c.lease == nil || e.User == chattest.User(c.T, c.as)) {
					r.Due = e.Due
				}
			}
			return nil, c.store.LookAgain(c.T.Context(), r)
		}},
		"Store.ExpireQueued": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(61 * time.Minute)
			return c.store.ExpireQueued(c.T.Context(), c.queued)
		}},
	}
}

// respond admits a response to an interrupt of the caller. A response to an interrupt of the other user is rejected
// with an empty list of open interrupts.
func (c caller) respond() (any, error) {
	if c.lease != nil && !c.single {
		c.ask(c.store, *c.names, callerText)
	}
	var interrupted *store.InterruptedError
	a, err := c.store.Admit(c.T.Context(), Answering("answers", c.suspended, c.interrupt))
	if c.lease == nil && errors.As(err, &interrupted) && len(interrupted.Open) == 0 {
		return nil, nil
	}
	if err == nil && c.lease == nil {
		err = fmt.Errorf("a response to an interrupt of the other user was accepted: %+v", a)
	}
	return a, err
}

// claimed returns everything that a lease makes readable.
func (c caller) claimed(h *store.Lease, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return []any{h.Input(), h.Thread(), h.PreviousEvents()}, nil
}

// leaseProbes returns the cases of the methods of Lease. They take no ids. The lease is the caller's, for a run with
// the same ids as a run of the other user.
func leaseProbes() map[string]probe {
	leaseCase := func(reads bool, f func(c caller) (any, error)) probe {
		return probe{other: skipped, reads: reads, call: f}
	}
	return map[string]probe{
		"Lease.Run":        leaseCase(false, func(c caller) (any, error) { return c.lease.Run(), nil }),
		"Lease.Input":      leaseCase(true, func(c caller) (any, error) { return c.lease.Input(), nil }),
		"Lease.Thread":     leaseCase(true, func(c caller) (any, error) { return c.lease.Thread(), nil }),
		"Lease.Deleted":    leaseCase(false, func(c caller) (any, error) { return c.lease.Deleted(), nil }),
		"Lease.Unreadable": leaseCase(false, func(c caller) (any, error) { return nil, c.lease.Unreadable() }),
		"Lease.HasRecords": leaseCase(false, func(c caller) (any, error) { return c.lease.HasRecords(), nil }),
		"Lease.Expires":    leaseCase(false, func(c caller) (any, error) { return c.lease.Expires(), nil }),
		"Lease.Renew":      leaseCase(false, func(c caller) (any, error) { return nil, c.lease.Renew(c.T.Context()) }),
		"Lease.Continues":  leaseCase(false, func(c caller) (any, error) { return c.lease.Continues(), nil }),
		"Lease.MayHandOver": leaseCase(false, func(c caller) (any, error) {
			return c.lease.MayHandOver(), nil
		}),
		"Lease.HandOver": leaseCase(true, handsOver),
		"Lease.PreviousEvents": leaseCase(true, func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			h, err := c.store.Claim(c.T.Context(), c.run)
			if err != nil {
				return nil, err
			}
			return h.PreviousEvents(), nil
		}),
		"Lease.CancelRequested": leaseCase(false, func(c caller) (any, error) {
			return c.lease.CancelRequested(c.T.Context())
		}),
		"Lease.Append": leaseCase(true, func(c caller) (any, error) {
			if _, err := c.lease.Append(c.T.Context(), Said("more", callerText)); err != nil {
				return nil, err
			}
			return c.store.Log(c.T.Context(), c.thread, c.ownEpoch(), 0, 99)
		}),
		"Lease.SetStats": leaseCase(false, func(c caller) (any, error) {
			c.lease.SetStats(chat.RunStats{ModelCalls: 1})
			_, err := c.lease.End(c.T.Context(), []agui.Event{Finished(c.lease)})
			return nil, err
		}),
		"Lease.PrepareEnd": leaseCase(true, func(c caller) (any, error) {
			if err := c.lease.PrepareEnd(c.T.Context()); err != nil {
				return nil, err
			}
			ended, err := c.lease.End(c.T.Context(), []agui.Event{Finished(c.lease)})
			return ended, err
		}),
		"Lease.End": leaseCase(true, func(c caller) (any, error) {
			ended, err := c.lease.End(c.T.Context(), []agui.Event{Finished(c.lease)})
			return ended.Thread, err
		}),
	}
}

// handsOver hands the caller's run over and claims it again.
func handsOver(c caller) (any, error) {
	if err := c.lease.HandOver(c.T.Context()); err != nil {
		return nil, err
	}
	h, err := c.store.Claim(c.T.Context(), c.run)
	if err != nil {
		return nil, err
	}
	return h.Input(), nil
}
