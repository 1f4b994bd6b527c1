package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// erasedSessionsLife is how long the ended sessions of an erased user are stored: longer than the life of a refresh
// token.
const erasedSessionsLife = 31 * 24 * time.Hour

// Ending is a request to end all sessions of a user.
type Ending struct {
	SignedIn time.Time // of the requesting session, if there is one: it ends too, even if the issuer's clock is ahead
	Bar      bool      // refuse new sessions until Unbar
}

// EndSessions ends every session of the user: sign-ins up to now are refused from here on, and all connections are
// removed in the same transaction and returned. The caller notifies and closes them. A connection whose owner record
// names another user is not returned.
func (s *Store) EndSessions(ctx context.Context, e Ending) ([]chat.ConnectionID, error) {
	return s.endSessions(ctx, e, s.t.reader(ctx))
}

// endSessions makes its first attempt by what first reads.
func (s *Store) endSessions(ctx context.Context, e Ending, first reader) ([]chat.ConnectionID, error) {
	ended := map[chat.ConnectionID]bool{} // by any attempt: the answer to a successful one may be lost
	var foreign []chat.ConnectionID
	err := s.again(ctx, "end the sessions", func(ctx context.Context) error {
		item, err := s.sessionsItem(first)
		if err != nil {
			return err
		}
		first = s.t.reader(ctx)
		ids := asIDs(slices.Sorted(maps.Keys(item.Open)))
		parts := []types.TransactWriteItem{s.endPart(item, e)}
		for _, id := range ids {
			ended[id] = true
			parts = append(parts, s.t.deletePart(update{key: s.connectionKey(id)}))
		}
		return s.oust(ctx, parts, ids, outSignedOut, &foreign)
	})
	if err != nil {
		return nil, err
	}
	return without(slices.Sorted(maps.Keys(ended)), foreign), nil
}

// endPart removes all entries, if none has changed since it was read, and refuses sign-ins up to now.
func (s *Store) endPart(item sessionsItem, e Ending) types.TransactWriteItem {
	u := s.unchanged(item)
	before := max(item.Before, s.t.nowSeconds(), seconds(e.SignedIn))
	u.change = "SET #open = :none, #before = :before"
	u.when += " AND (attribute_not_exists(#before) OR #before <= :before)"
	u.set(":none", &types.AttributeValueMemberM{Value: attributes{}})
	u.set(":before", number(before))
	if e.Bar {
		u.change += ", #barred = :true"
		u.set(":true", &types.AttributeValueMemberBOOL{Value: true})
	}
	if item.Expires == 0 || e.Bar || item.Barred {
		u.change += " REMOVE #expires"
	} else {
		u.change += ", #expires = :expires"
		u.set(":expires", number(s.t.expiry(erasedSessionsLife)))
	}
	return s.t.updatePart(u)
}

// unchanged is an update of SESSIONS under the condition that no entry has changed since it was read.
func (s *Store) unchanged(item sessionsItem) update {
	u := update{key: s.sessionsKey(), when: "attribute_not_exists(#open)", names: map[string]string{}}
	if item.Open == nil {
		return u
	}
	u.when = "size(#open) = :count"
	u.values = attributes{":count": number(int64(len(item.Open)))}
	for n, id := range slices.Sorted(maps.Keys(item.Open)) {
		name := nth("entry", n)
		u.names[name] = id
		u.when += " AND attribute_exists(#open." + name + ")"
	}
	return u
}

// RefuseConnections refuses every new connection of the user until the given time. It does not shorten a longer
// refusal. Open connections stay open.
func (s *Store) RefuseConnections(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k := s.sessionsKey()
	longer := update{
		key: k, change: "SET #until = :until",
		when:   "attribute_exists(#pk) AND (attribute_not_exists(#until) OR #until < :until)",
		values: attributes{":until": number(millis(until))},
	}
	_, err := s.t.update(ctx, longer)
	if old, isOld := refused(err); isOld && len(old) == 0 { // no connection was ever recorded, or the user was erased
		item := sessionsItem{PK: k.pk, SK: k.sk, Until: millis(until), Expires: s.t.expiry(connectionLife)}
		err = s.t.put(ctx, item, "attribute_not_exists(#pk)", nil)
		if _, isOld := refused(err); isOld {
			_, err = s.t.update(ctx, longer)
		}
	}
	if _, isOld := refused(err); err != nil && !isOld {
		return fmt.Errorf("refuse connections: %w", err)
	}
	return nil
}

// Sessions describes which sign-ins of a user are refused.
type Sessions struct {
	Before time.Time // sign-ins at or before it are refused; zero refuses none
	Barred bool      // every sign-in is refused
}

// Sessions reads which sign-ins of the user are refused. Operators use it.
func (s *Store) Sessions(ctx context.Context) (Sessions, error) {
	item, err := s.sessionsItem(s.t.reader(ctx))
	return Sessions{Before: fromSeconds(item.Before), Barred: item.Barred}, err
}

// Unbar lets a user whom EndSessions barred sign in again. For any other user it changes nothing.
func (s *Store) Unbar(ctx context.Context) error {
	return s.again(ctx, "unbar a user", func(ctx context.Context) error {
		item, err := s.sessionsItem(s.t.reader(ctx))
		if err != nil || !item.Barred {
			return err
		}
		u := s.unchanged(item)
		u.change = "REMOVE #barred"
		if item.Open == nil { // the user was erased
			u.change = "SET #expires = :expires REMOVE #barred"
			u.set(":expires", number(s.t.expiry(erasedSessionsLife)))
		}
		u.when += " AND attribute_exists(#barred)"
		return s.t.transact(ctx, s.t.updatePart(u))
	})
}

// Lost returns why a connection of the user has no row. The result is always an error: chat.ErrForeign, the reason
// that the connection's owner record holds, chat.ErrErasing for a user who is being erased, and otherwise
// chat.ErrNotFound. After chat.ErrNotFound, which means that the connection was not ended on purpose, its client may
// connect again.
func (s *Store) Lost(ctx context.Context, id chat.ConnectionID) error {
	if err := checkConnectionID(id); err != nil {
		return err
	}
	var o ownerItem
	found, err := s.t.get(ctx, ownerKey(id), &o)
	if err != nil {
		return fmt.Errorf("read a connection's owner: %w", err)
	}
	found = found && !s.t.expired(o.Expires)
	switch {
	case found && o.User != s.user.Key():
		return fmt.Errorf("the connection has no row: %w", chat.ErrForeign)
	case found && o.Out != "":
		return fmt.Errorf("the connection has no row: %w", reason(o.Out).err())
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	return fmt.Errorf("the connection has no row: %w", chat.ErrNotFound)
}
