package main

import (
	"context"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// endedView is what became of a user's sessions.
type endedView struct {
	User   string              `json:"user"`
	Ended  []chat.ConnectionID `json:"ended"`
	Barred bool                `json:"barred"`
}

func signOut(ctx context.Context, o *operator, word string) error { return o.end(ctx, word, false) }

func bar(ctx context.Context, o *operator, word string) error { return o.end(ctx, word, true) }

// end ends a user's sessions. It posts nothing: each window learns of it when its next frame is refused.
func (o *operator) end(ctx context.Context, word string, barred bool) error {
	u, s, err := o.named(ctx, word)
	if err != nil {
		return err
	}
	ended, err := s.EndSessions(ctx, store.Ending{Bar: barred})
	if err != nil {
		return err
	}
	v := endedView{User: subject(u), Ended: append([]chat.ConnectionID{}, ended...), Barred: barred}
	out := []string{fmt.Sprintf("%s: all sessions are ended, and %d connections are removed. Runs go on: kill-all "+
		"ends them.", v.User, len(ended))}
	if barred {
		out = append(out, "Every later sign-in is refused too, until unbar.")
	}
	return o.print(v, out)
}

func unbar(ctx context.Context, o *operator, word string) error {
	u, s, err := o.named(ctx, word)
	if err != nil {
		return err
	}
	before, err := s.Sessions(ctx)
	if err != nil {
		return err
	}
	if err := s.Unbar(ctx); err != nil {
		return err
	}
	out := subject(u) + " was not barred."
	if before.Barred {
		out = subject(u) + " may sign in again."
	}
	return o.print(endedView{User: subject(u), Ended: []chat.ConnectionID{}}, []string{out})
}
