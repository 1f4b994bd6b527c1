package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// This file keeps the limit of connections. Each user has one item SESSIONS, which holds an entry for each connection
// row. A row and its entry are written and removed in one transaction, so no interleaving leaves a row without an
// entry.

// sessionsItem records the open connections of a user and which sessions were ended.
type sessionsItem struct {
	PK      string           `dynamodbav:"pk"`
	SK      string           `dynamodbav:"sk"`
	Open    map[string]int64 `dynamodbav:"open,omitempty"`    // connection id → connect time in milliseconds
	Before  int64            `dynamodbav:"before,omitempty"`  // seconds: sign-ins at or before it are refused
	Barred  bool             `dynamodbav:"barred,omitempty"`  // an operator bars the user
	Until   int64            `dynamodbav:"until,omitempty"`   // milliseconds: no connection is recorded before it
	Expires int64            `dynamodbav:"expires,omitempty"` // only of a user who was erased
}

// reason is why a connection was ended, as its owner record stores it: the protocol's error code.
type reason string

const (
	outReplaced  reason = "replaced"
	outSignedOut reason = "signed_out"
)

// err returns the error of package chat for a reason. An unknown reason gives the mildest error, chat.ErrReplaced.
func (r reason) err() error {
	if r == outSignedOut {
		return chat.ErrSignedOut
	}
	return chat.ErrReplaced
}

// opening is the attempt to record one connection.
type opening struct {
	row     connectionItem
	evicts  bool                // whether another connection may be removed to make room: only for $connect
	tried   bool                // there was an attempt without a read
	evicted []chat.ConnectionID // the connections that the last attempt removed or tried to remove
	foreign []chat.ConnectionID // those of evicted whose owner record names another user: the record is not changed
}

// again repeats try while it fails because of a concurrent write, at most for the duration patience.
func (s *Store) again(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if !anyRefused(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(waited, err))
		}
	}
}

func (s *Store) sessionsItem(read reader) (item sessionsItem, err error) {
	if _, err := read(s.sessionsKey(), &item); err != nil {
		return item, fmt.Errorf("read the sessions: %w", err)
	}
	return item, nil
}

// admits returns why no connection of a sign-in may be recorded, or nil.
func (i sessionsItem) admits(signedIn int64, now time.Time) error {
	switch until := fromMillis(i.Until); {
	case i.Barred, i.Before != 0 && signedIn <= i.Before:
		return chat.ErrSignedOut
	case now.Before(until):
		return &chat.RateLimitedError{After: until.Sub(now)}
	}
	return nil
}

// room chooses the entries to remove so that one more entry fits. Below the limit, and for an existing entry, it
// chooses none. Otherwise it chooses the entries older than connectionLife, whose WebSockets API Gateway has closed,
// and, if those are too few, the oldest entries.
func (i sessionsItem) room(id string, limit int, now time.Time) (stale, oldest []string) {
	if _, known := i.Open[id]; known || len(i.Open) < limit {
		return nil, nil
	}
	ids := slices.SortedFunc(maps.Keys(i.Open), func(a, b string) int {
		return cmp.Or(cmp.Compare(i.Open[a], i.Open[b]), cmp.Compare(a, b))
	})
	young := slices.IndexFunc(ids, func(id string) bool { return now.Sub(fromMillis(i.Open[id])) <= connectionLife })
	if young < 0 {
		young = len(ids)
	}
	stale, ids = ids[:young], ids[young:]
	return stale, ids[:max(0, len(ids)+1-limit)]
}

// open makes one attempt to record a connection: its owner record, its row and its entry, in one transaction. The first
// attempt of $connect does not read SESSIONS. It expects room for one more entry, which a user of few connections has.
// Its condition refuses it if there is none, and the refusal contains the item.
func (s *Store) open(ctx context.Context, o *opening) error {
	if !o.evicts || o.tried {
		item, err := s.sessionsItem(s.t.reader(ctx))
		if err != nil {
			return err
		}
		return s.openBy(ctx, o, item)
	}
	o.tried = true
	err := s.writeOpening(ctx, o, sessionsItem{Open: map[string]int64{}}, nil)
	old, isRefused := refusedPart(err, openEntry)
	if _, byOwner := refusedPart(err, openOwner); !isRefused || byOwner {
		return s.openError(err)
	}
	var item sessionsItem
	if err := attributevalue.UnmarshalMap(old, &item); err != nil {
		return fmt.Errorf("decode the sessions: %w", err)
	}
	return s.openBy(ctx, o, item)
}

// openBy makes an attempt by SESSIONS as it was read.
func (s *Store) openBy(ctx context.Context, o *opening, item sessionsItem) error {
	if err := item.admits(o.row.SignedIn, s.t.c.Now()); err != nil {
		return err
	}
	if _, known := item.Open[o.row.ID]; known && o.evicts {
		return nil // an earlier attempt succeeded, but its response was lost
	}
	stale, oldest := item.room(o.row.ID, s.t.c.Limits.Connections, s.t.c.Now())
	if len(oldest) > 0 && !o.evicts {
		return chat.ErrReplaced
	}
	o.evicted = asIDs(oldest)
	return s.openError(s.writeOpening(ctx, o, item, slices.Concat(stale, oldest)))
}

// The first parts of the transaction that records a connection, in order. The rows of the removed connections follow.
const (
	openOwner = iota
	openRow
	openEntry
)

// writeOpening writes the transaction that records a connection and removes the connections in gone.
func (s *Store) writeOpening(ctx context.Context, o *opening, item sessionsItem, gone []string) error {
	owner, err := s.ownerPart(o.row.ID, "", o.row.Expires)
	if err != nil {
		return err
	}
	when, values := absent, attributes{":now": number(s.t.nowSeconds())}
	if o.evicts {
		when, values = "", nil // $connect writes the first row of its connection
	}
	row, err := s.t.putPart(o.row, when, values)
	if err != nil {
		return err
	}
	parts := []types.TransactWriteItem{openOwner: owner, openRow: row, openEntry: s.entryPart(item, *o, gone)}
	for _, id := range gone {
		parts = append(parts, s.t.deletePart(update{key: s.connectionKey(chat.ConnectionID(id))}))
	}
	return s.oust(ctx, parts, o.evicted, outReplaced, &o.foreign)
}

// openError returns why a connection was not recorded.
func (s *Store) openError(err error) error {
	if old, isRefused := refusedPart(err, openOwner); isRefused {
		return s.ownerRefused(old)
	}
	return err
}

// ownerRefused returns why an owner record was not written.
func (s *Store) ownerRefused(old attributes) error {
	var o ownerItem
	if err := attributevalue.UnmarshalMap(old, &o); err != nil {
		return err
	}
	if o.User != s.user.Key() {
		return chat.ErrForeign
	}
	return reason(o.Out).err()
}

// ownerPart writes the owner record of a connection. If out is empty, the condition requires that the stored record has
// no reason, so that an ended connection is not recorded again.
func (s *Store) ownerPart(id string, out reason, expires int64) (types.TransactWriteItem, error) {
	k := ownerKey(chat.ConnectionID(id))
	when := absent + " OR (#user = :me AND attribute_not_exists(#out))"
	if out != "" {
		when = absent + " OR #user = :me"
	}
	return s.t.putPart(ownerItem{PK: k.pk, SK: k.sk, User: s.user.Key(), Out: string(out), Expires: expires},
		when, attributes{":now": number(s.t.nowSeconds()), ":me": text(s.user.Key())})
}

// entryPart adds the entry of a connection to SESSIONS and removes the entries in gone. Its condition repeats the limit
// and the check of the sign-in, because SESSIONS may have changed since it was read.
func (s *Store) entryPart(item sessionsItem, o opening, gone []string) types.TransactWriteItem {
	row := o.row
	u := update{
		key: s.sessionsKey(), names: map[string]string{},
		when: "(attribute_not_exists(#before) OR #before < :signed) AND attribute_not_exists(#barred) AND " +
			"(attribute_not_exists(#until) OR #until <= :now)",
		values: attributes{":signed": number(row.SignedIn), ":now": number(millis(s.t.c.Now()))},
	}
	at := number(row.Connected)
	if item.Open == nil { // DynamoDB cannot set a key of a map that does not exist
		u.change, u.when = "SET #open = :open REMOVE #expires", u.when+" AND attribute_not_exists(#open)"
		u.values[":open"] = &types.AttributeValueMemberM{Value: attributes{row.ID: at}}
		return s.t.updatePart(u)
	}
	u.change = "SET #open.#id = :at REMOVE #expires"
	u.names["#id"], u.values[":at"] = row.ID, at
	u.values[":most"] = number(int64(s.t.c.Limits.Connections + len(gone)))
	if o.evicts { // an entry that exists was written by an earlier attempt
		u.when += " AND attribute_exists(#open) AND attribute_not_exists(#open.#id) AND size(#open) < :most"
	} else {
		u.when += " AND (attribute_exists(#open.#id) OR size(#open) < :most)"
	}
	for n, id := range gone {
		name := nth("gone", n)
		u.names[name] = id
		u.change += ", #open." + name
		// If the entry was written again since the read, its connection is live.
		value := ":" + strings.TrimPrefix(name, "#")
		u.values[value] = number(item.Open[id])
		u.when += " AND #open." + name + " = " + value
	}
	return s.t.updatePart(u)
}

// nth returns the placeholder of the nth connection in an expression.
func nth(what string, n int) string { return fmt.Sprintf("#%s%c%c", what, 'a'+n/26, 'a'+n%26) }

// oust writes parts and, in the same transaction, stores the reason in the owner records of the ended connections. If
// an owner record names another user, oust fails and adds the id to foreign, so that the next attempt leaves this
// record out.
func (s *Store) oust(
	ctx context.Context, parts []types.TransactWriteItem, ended []chat.ConnectionID, why reason,
	foreign *[]chat.ConnectionID,
) error {
	first := len(parts)
	own := without(ended, *foreign)
	for _, id := range own {
		part, err := s.ownerPart(string(id), why, s.t.expiry(connectionLife))
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	err := s.t.transact(ctx, parts...)
	for n, id := range own {
		if _, isRefused := refusedPart(err, first+n); isRefused {
			*foreign = append(*foreign, id)
		}
	}
	return err
}

// without returns ids without the ids of omit, in the same order.
func without(ids, omit []chat.ConnectionID) []chat.ConnectionID {
	return slices.DeleteFunc(slices.Clone(ids), func(id chat.ConnectionID) bool { return slices.Contains(omit, id) })
}

func asIDs(ids []string) []chat.ConnectionID {
	var all []chat.ConnectionID
	for _, id := range ids {
		all = append(all, chat.ConnectionID(id))
	}
	return all
}

// RemoveConnection removes a connection, so that nothing is posted to it any more. It succeeds if the connection has no
// row. The owner record stays until Disconnect or its time to live: its key does not begin with the user's key, so
// credentials for one user cannot reach it.
func (s *Store) RemoveConnection(ctx context.Context, id chat.ConnectionID) error {
	if err := checkConnectionID(id); err != nil {
		return err
	}
	return s.again(ctx, "remove a connection", func(ctx context.Context) error { return s.close(ctx, id) })
}

// Disconnect removes a connection and its owner record. It succeeds if they do not exist.
func (s *Store) Disconnect(ctx context.Context, id chat.ConnectionID) error {
	if err := checkConnectionID(id); err != nil {
		return err
	}
	owner := s.t.deletePart(update{
		key: ownerKey(id), when: "attribute_not_exists(#pk) OR #user = :me",
		values: attributes{":me": text(s.user.Key())},
	})
	return s.again(ctx, "remove a connection", func(ctx context.Context) error {
		err := s.close(ctx, id, owner)
		if _, foreign := refusedPart(err, 1); foreign { // another user's record stays
			return s.close(ctx, id)
		}
		return err
	})
}

// close removes a connection's row, its owner record if that is given, and its entry.
func (s *Store) close(ctx context.Context, id chat.ConnectionID, owner ...types.TransactWriteItem) error {
	parts := append([]types.TransactWriteItem{s.t.deletePart(update{key: s.connectionKey(id)})}, owner...)
	entry := s.t.updatePart(update{
		key: s.sessionsKey(), change: "REMOVE #open.#id", when: "attribute_exists(#open.#id)",
		names: map[string]string{"#id": string(id)},
	})
	err := s.t.transact(ctx, append(slices.Clone(parts), entry)...)
	if _, none := refusedPart(err, len(parts)); none { // the connection was replaced, or its user was signed out
		parts[0] = s.t.deletePart(s.orphanRow(id))
		return s.t.transact(ctx, parts...)
	}
	return err
}

// orphanRow returns the deletion of a row without an entry, which only a defect leaves. The condition keeps a row with
// the right owner hash: it was written after the entry was read, so it has an entry.
func (s *Store) orphanRow(id chat.ConnectionID) update {
	return update{
		key: s.connectionKey(id), when: "attribute_not_exists(#owner) OR #owner <> :owner",
		values: attributes{":owner": text(s.seal(id))},
	}
}
