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

// probes are the isolation cases by method.
func probes() map[string]probe {
	all := tableProbes()
	for _, more := range []map[string]probe{connectionProbes(), sessionProbes(), threadProbes(), noteProbes(),
		forgetProbes(), runProbes(), sweepProbes(), holderProbes()} {
		maps.Copy(all, more)
	}
	return all
}

func tableProbes() map[string]probe {
	return map[string]probe{
		"Table.For": {theirs: anything, call: func(c caller) (any, error) {
			_, err := c.Table.For(chattest.User(c.T, "somebody else"))
			return nil, err
		}},
		// The owner of a connection is the one thing that is not below a user's key: it names whose it is, and no more.
		"Table.Owner": {theirs: fresh, unsafe: true, call: func(c caller) (any,
			error) {
			return c.Table.Owner(c.T.Context(), c.socket)
		}},
		// An operator who names somebody of whom nothing is kept gets nobody, whoever is named nearly so.
		"Table.ForOperator": {theirs: notFound, call: func(c caller) (any, error) {
			me := chattest.User(c.T, c.as)
			for _, key := range []string{"#", "U#" + me.Key(), me.Key() + "#", me.Key() + "#D", me.Key() + "\n",
				me.Key() + "=23"} {
				if _, err := c.Table.ForOperator(c.T.Context(), store.Named{Key: key}); !errors.Is(err,
					chat.ErrNotFound) {
					return nil, fmt.Errorf("the key %.20q: %w", key, err)
				}
			}
			byName, err := c.Table.ForOperator(c.T.Context(), store.Named{Issuer: chattest.Issuer, Subject: c.as})
			byKey, again := c.Table.ForOperator(c.T.Context(), store.Named{Key: me.Key()})
			if (err == nil) != (again == nil) || err == nil && (byName != me || byKey != me) {
				err = fmt.Errorf("it is somebody else by name, %w, or by key, %w", err, again)
			}
			return nil, errors.Join(err, again)
		}},
		"Table.Live": {theirs: anything, call: func(c caller) (any, error) { return c.Table.Live(c.T.Context()) }},
		"Table.Due":  {theirs: anything, call: func(c caller) (any, error) { return c.Table.Due(c.T.Context()) }},
		// A failure record of mine's turn shows mine's entries alone.
		"Table.LiveOf": {theirs: anything, call: func(c caller) (any, error) {
			me := chattest.User(c.T, c.as)
			own, err := c.Table.LiveOf(c.T.Context(), chat.OwnerHash(me.Hash()))
			for _, e := range own {
				if e.User != me {
					err = fmt.Errorf("an entry of somebody else's: %+v", e)
				}
			}
			return own, err
		}},
	}
}

func runProbes() map[string]probe {
	return map[string]probe{
		"Store.Admit": {theirs: fresh, unsafe: true, call: func(c caller) (any, error) {
			if a, err := c.answered(); err != nil {
				return a, err
			}
			if err := c.messageIDs(); err != nil {
				return nil, err
			}
			return c.mine.Admit(c.T.Context(), c.repeated())
		}},
		"Store.Run": {theirs: notFound, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.Run(c.T.Context(), c.run)
		}},
		"Store.Runs": {theirs: empty, call: caller.listedRuns},
		"Store.Input": {theirs: notFound, reads: true, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.Input(c.T.Context(), c.run)
		}},
		"Store.RunQueue": {theirs: fresh, call: func(c caller) (any, error) {
			d, err := c.mine.RunQueue(c.T.Context())
			if err == nil && c.holder == nil && len(d.Slots)+len(d.Queued) > 0 {
				err = fmt.Errorf("somebody sits at mine's desk: %+v", d)
			}
			return d, err
		}},
		"Store.Cancel": {theirs: notFound, call: func(c caller) (any, error) {
			for _, run := range []chat.RunID{c.run, c.wait} {
				if got, err := c.mine.Cancel(c.T.Context(), run); err != nil {
					return got, err
				}
			}
			return nil, nil
		}},
		"Store.StartQueued": {theirs: empty, call: func(c caller) (any,
			error) {
			return c.mine.StartQueued(c.T.Context())
		}},
	}
}

// sweepProbes are of methods that claim runs, or look after those whose worker is gone.
func sweepProbes() map[string]probe {
	return map[string]probe{
		"Store.Claim": {theirs: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			return c.claimed(c.mine.Claim(c.T.Context(), c.run))
		}},
		"Store.ClaimExpired": {theirs: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			return c.claimed(c.mine.ClaimExpired(c.T.Context(), c.run))
		}},
		"Store.ClaimUnclaimed": {theirs: notFound, unsafe: true, call: func(c caller) (any, error) {
			if c.holder != nil { // mine's run has a worker; one that has none is admitted on another thread
				if _, err := c.mine.Admit(c.T.Context(), Asked("unclaimed", "unclaimed")); err != nil {
					return nil, err
				}
				return c.claimed(c.mine.ClaimUnclaimed(c.T.Context(), "unclaimed"))
			}
			return c.claimed(c.mine.ClaimUnclaimed(c.T.Context(), c.run))
		}},
		"Store.Release": {theirs: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.mine.Release(c.T.Context(), c.run, c.Worker)
		}},
		"Store.LookAgain": {theirs: empty, unsafe: true, call: func(c caller) (any, error) {
			r := store.Run{ID: c.run, Status: chat.RunRunning, Fence: 1}
			if c.met { // who acts for a user does not reach the index
				return nil, c.mine.LookAgain(c.T.Context(), r)
			}
			for _, e := range must[[]store.LiveEntry](c.T)(c.Table.Live(c.T.Context())) {
				// all that they know of it
				if e.Run == c.run && (c.holder == nil || e.User == chattest.User(c.T, c.as)) {
					r.Due = e.Due
				}
			}
			return nil, c.mine.LookAgain(c.T.Context(), r)
		}},
		"Store.ExpireQueued": {theirs: notFound, unsafe: true, call: func(c caller) (any, error) {
			c.Clock.Advance(61 * time.Minute)
			return c.mine.ExpireQueued(c.T.Context(), c.wait)
		}},
	}
}

// answered admits an answer to a question that mine has, and with it the thread's words. One that only they have is not
// open to mine, who is told nothing of it.
func (c caller) answered() (any, error) {
	if c.holder != nil && !c.met {
		c.ask(c.mine, *c.names, "words of mine")
	}
	var refused *store.InterruptedError
	a, err := c.mine.Admit(c.T.Context(), Answering("answers", c.asks, c.question))
	if c.holder == nil && errors.As(err, &refused) && len(refused.Open) == 0 {
		return nil, nil
	}
	if err == nil && c.holder == nil {
		err = fmt.Errorf("answered a question of theirs: %+v", a)
	}
	return a, err
}

// claimed is what a claim lets one see.
func (c caller) claimed(h *store.Lease, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return []any{h.Input(), h.Thread(), h.PreviousEvents()}, nil
}

// holderProbes are of methods that name nothing: mine's holder of a run whose id, thread and all are theirs as well.
func holderProbes() map[string]probe {
	held := func(reads bool, f func(c caller) (any, error)) probe {
		return probe{theirs: anything, reads: reads, call: f}
	}
	return map[string]probe{
		"Lease.Run":        held(false, func(c caller) (any, error) { return c.holder.Run(), nil }),
		"Lease.Input":      held(true, func(c caller) (any, error) { return c.holder.Input(), nil }),
		"Lease.Thread":     held(true, func(c caller) (any, error) { return c.holder.Thread(), nil }),
		"Lease.Deleted":    held(false, func(c caller) (any, error) { return c.holder.Deleted(), nil }),
		"Lease.Unreadable": held(false, func(c caller) (any, error) { return nil, c.holder.Unreadable() }),
		"Lease.HasRecords": held(false, func(c caller) (any, error) { return c.holder.HasRecords(), nil }),
		"Lease.Expires":    held(false, func(c caller) (any, error) { return c.holder.Expires(), nil }),
		"Lease.Renew":      held(false, func(c caller) (any, error) { return nil, c.holder.Renew(c.T.Context()) }),
		"Lease.PreviousEvents": held(true, func(c caller) (any, error) {
			c.Clock.Advance(time.Minute)
			h, err := c.mine.Claim(c.T.Context(), c.run)
			if err != nil {
				return nil, err
			}
			return h.PreviousEvents(), nil
		}),
		"Lease.CancelRequested": held(false, func(c caller) (any,
			error) {
			return c.holder.CancelRequested(c.T.Context())
		}),
		"Lease.Append": held(true, func(c caller) (any, error) {
			if _, err := c.holder.Append(c.T.Context(), Said("more", "words of mine")); err != nil {
				return nil, err
			}
			return c.mine.Log(c.T.Context(), c.thread, c.ownEpoch(), 0, 99)
		}),
		"Lease.SetStats": held(false, func(c caller) (any, error) {
			c.holder.SetStats(chat.RunStats{ModelCalls: 1})
			_, _, err := c.holder.End(c.T.Context(), []agui.Event{Finished(c.holder)})
			return nil, err
		}),
		"Lease.End": held(true, func(c caller) (any, error) {
			_, th, err := c.holder.End(c.T.Context(), []agui.Event{Finished(c.holder)})
			return th, err
		}),
	}
}
