package store

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/internal/principal"
)

// This file is the only place behind the edge that creates a chat.User: from records that the edge wrote.

// Owner restores the user whom the edge recorded for a connection. It fails with chat.ErrNotFound. Only function
// disconnect uses it: its event may lack the authorizer's context, and it compares the context with the owner if there
// is one.
func (t *Table) Owner(ctx context.Context, id chat.ConnectionID) (chat.User, error) {
	if err := checkConnectionID(id); err != nil {
		return chat.User{}, err
	}
	var o ownerItem
	found, err := t.get(ctx, ownerKey(id), &o)
	if err != nil {
		return chat.User{}, fmt.Errorf("read a connection's owner: %w", err)
	}
	if !found || t.expired(o.Expires) {
		return chat.User{}, fmt.Errorf("owner of the connection: %w", chat.ErrNotFound)
	}
	u, err := principal.FromKey(o.User)
	if err != nil {
		return chat.User{}, fmt.Errorf("restore a connection's owner: %w", err)
	}
	return u, nil
}

// LiveEntry is one entry of the live index: a run, the erasure of a thread, or that of the whole user.
type LiveEntry struct {
	User      chat.User
	Run       chat.RunID // "" for an erasure
	Erasure   Erasure    // of a thread; zero for a run and for the erasure of the user
	EraseUser bool       // the entry is the erasure of the user
	Due       time.Time  // when sweep examines the entry next
}

// entry restores one entry of the live index, with its user.
func (i liveItem) entry() (LiveEntry, error) {
	k := key{i.PK, i.SK}
	userKey, run, erasure, err := splitLiveKey(k)
	if err != nil {
		return LiveEntry{}, err
	}
	u, err := principal.FromKey(userKey)
	if err != nil {
		return LiveEntry{}, fmt.Errorf("restore the user of an entry of the live index: %w", err)
	}
	return LiveEntry{
		User: u, Run: run, Erasure: erasure, EraseUser: k.sk == userErasureSort, Due: fromMillis(i.Due),
	}, nil
}

// Named is how an operator identifies a user: by the issuer and the subject of the user's tokens, or by the user's key
// in the table.
type Named struct{ Issuer, Subject, Key string }

// ForOperator returns the user whom an operator identifies. It fails with chat.ErrNotFound if the table has no data of
// that user, so that a mistyped name is noticed. Only infra/cli/ops uses it.
func (t *Table) ForOperator(ctx context.Context, n Named) (chat.User, error) {
	u, err := principal.FromKey(n.Key)
	if n.Key == "" {
		u, err = principal.New(n.Issuer, n.Subject)
	}
	if err != nil {
		return chat.User{}, fmt.Errorf("find the user: %w: %w", chat.ErrNotFound, err)
	}
	known := false
	q := whole(userPartition(u))
	q.page, q.keys = 1, true
	_, err = t.each(ctx, q, func(attributes) (bool, error) {
		known = true
		return false, nil
	})
	if err == nil && !known {
		err = chat.ErrNotFound
	}
	if err != nil {
		return chat.User{}, fmt.Errorf("find the user: %w", err)
	}
	return u, nil
}
