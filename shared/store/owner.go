package store

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/internal/principal"
)

// This file is the one place behind the edge where a chat.User is made: from records that the edge wrote.

// Owner restores the user whom the edge wrote for a connection, or chat.ErrNotFound. Only disconnect, whose event may
// lack the authorizer's context, and the check of one that has it, read it.
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
	Run       chat.RunID // "": an erasure
	Erasure   Erasure    // zero: a run, or the whole user
	EraseUser bool       // the whole user is to be erased
	Due       time.Time  // when sweep looks at it next
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
	return LiveEntry{User: u, Run: run, Erasure: erasure, EraseUser: k.sk == userErasureSort, Due: fromMillis(i.Due)}, nil
}

// Named is how an operator names a user: by the subject of their tokens, with the issuer, which tells long subjects
// apart; or by the key that the table has them under.
type Named struct{ Issuer, Subject, Key string }

// ForOperator is the user whom an operator names, or chat.ErrNotFound if nothing is kept of such a user: a name that is
// mistyped is nobody's. For infra/cli/ops alone.
func (t *Table) ForOperator(ctx context.Context, n Named) (chat.User, error) {
	u, err := principal.FromKey(n.Key)
	if n.Key == "" {
		u, err = principal.New(n.Issuer, n.Subject)
	}
	if err != nil {
		return chat.User{}, fmt.Errorf("the user of that name: %w: %w", chat.ErrNotFound, err)
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
		return chat.User{}, fmt.Errorf("the user of that name: %w", err)
	}
	return u, nil
}
