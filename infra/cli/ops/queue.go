package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// queueView is a user's run queue in the output.
type queueView struct {
	User        string `json:"user"`
	Erasing     bool   `json:"erasing"`
	Slots       []row  `json:"slots"`
	Queued      []row  `json:"queued"`
	Connections int    `json:"connections"`
	Barred      bool   `json:"barred"`
	// EndedBefore is the last moment whose sign-ins are ended; absent if none are.
	EndedBefore *time.Time `json:"endedBefore,omitempty"`
}

func showQueue(ctx context.Context, o *operator, word string) error {
	u, s, err := o.named(ctx, word)
	if err != nil {
		return err
	}
	d, err := s.RunQueue(ctx)
	if err != nil && !errors.Is(err, chat.ErrErasing) {
		return err
	}
	conns, err := s.Connections(ctx)
	if err != nil {
		return err
	}
	v := queueView{User: subject(u), Erasing: d.Erasing, Slots: []row{}, Queued: []row{}, Connections: len(conns)}
	sessions, err := s.Sessions(ctx)
	if err != nil {
		return err
	}
	if v.Barred = sessions.Barred; !sessions.Before.IsZero() {
		v.EndedBefore = &sessions.Before
	}
	for run, thread := range d.Slots {
		r, err := o.sitting(ctx, s, subject(u), run, thread)
		if err != nil {
			return err
		}
		v.Slots = append(v.Slots, r)
	}
	slices.SortFunc(v.Slots, func(a, b row) int { return a.Deadline.Compare(b.Deadline) })
	for _, w := range d.Queued {
		r, err := o.sitting(ctx, s, subject(u), w.Run, w.Thread)
		if err != nil {
			return err
		}
		v.Queued = append(v.Queued, r)
	}
	out := []string{fmt.Sprintf("%s: %d slots taken, %d queued, %d connections", v.User, len(v.Slots), len(v.Queued),
		v.Connections)}
	if v.Erasing {
		out = append(out, "The user is being erased, or was erased in the last 24 hours. All requests are refused.")
	}
	if v.Barred {
		out = append(out, "The user is barred: every sign-in is refused.")
	}
	if v.EndedBefore != nil {
		out = append(out, fmt.Sprintf("Sign-ins up to %s are ended.", v.EndedBefore.Local().Format(time.DateTime)))
	}
	if all := append(slices.Clone(v.Slots), v.Queued...); len(all) > 0 {
		out = append(out, lines(all)...)
	}
	return o.print(v, out)
}

// sitting returns the row of a run that the run queue names. A run without a record is shown as missing.
func (o *operator) sitting(
	ctx context.Context, s *store.Store, user string, id chat.RunID, thread chat.ThreadID,
) (row, error) {
	run, err := s.Run(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return row{Kind: "run", User: user, Run: id, Thread: thread, Status: "missing"}, nil
	}
	if err != nil {
		return row{}, err
	}
	return o.runRow(user, run), nil
}

// again is the pause before verify's second look. Data that was in transition at the first look is consistent by then,
// or the finding differs.
const again = 2 * time.Second

func verify(ctx context.Context, o *operator, word string) error {
	u, s, err := o.named(ctx, word)
	if err != nil {
		return err
	}
	found, err := o.look(ctx, s)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		timer := time.NewTimer(again)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		second, err := o.look(ctx, s)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(f store.Finding) bool {
			return !slices.ContainsFunc(second,
				func(g store.Finding) bool { return f.Kind == g.Kind && f.Thing == g.Thing })
		})
	}
	out := []string{subject(u) + ": all data is consistent."}
	if len(found) > 0 {
		out = []string{fmt.Sprintf("%s: %d findings:", subject(u), len(found))}
	}
	for _, f := range found {
		out = append(out, fmt.Sprintf("  %s: %s %s", f.Kind, f.Thing, f.Detail))
	}
	if err := o.print(found, out); err != nil || len(found) == 0 {
		return err
	}
	return errFound
}

func (o *operator) look(ctx context.Context, s *store.Store) ([]store.Finding, error) {
	found, err := s.Verify(ctx)
	if err != nil || !o.scan {
		return append([]store.Finding{}, found...), err
	}
	orphans, err := s.Orphans(ctx)
	return append(append([]store.Finding{}, found...), orphans...), err
}
