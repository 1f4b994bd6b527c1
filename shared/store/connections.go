package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// connectionLife is how long a connection's rows stay: the two hours of a socket and some minutes.
const connectionLife = 2*time.Hour + 10*time.Minute

// Connect writes the owner and connection records. If the user then has more than the limit, it removes the oldest
// and returns them: the caller tells and closes them. A connection of another user gives chat.ErrForeign. Rows among the
// user's own that were written for another are chat.ForeignErrors: then all else is done and good.
func (s *Store) Connect(ctx context.Context, c chat.Connection) (replaced []chat.Connection, err error) {
	if err := errors.Join(checkConnectionID(c.ID), checkID("thread", c.Thread)); err != nil {
		return nil, err
	}
	row := s.connectionItem(c)
	if err := s.putConnection(ctx, row, "", nil); err != nil {
		return nil, err
	}
	all, foreign := s.Connections(ctx)
	if foreign != nil && !errors.Is(foreign, chat.ErrForeign) {
		return nil, foreign
	}
	// The new one is not among those that must go, whatever the clocks of its and their writers say.
	all = slices.DeleteFunc(all, func(o chat.Connection) bool { return o.ID == c.ID })
	excess := len(all) + 1 - s.t.c.Limits.Connections
	if excess <= 0 {
		return nil, foreign
	}
	slices.SortFunc(all, func(a, b chat.Connection) int { return a.Connected.Compare(b.Connected) })
	replaced = all[:min(excess, len(all))]
	for _, o := range replaced {
		if err := s.Disconnect(ctx, o.ID); err != nil {
			return nil, err
		}
	}
	return replaced, foreign
}

func (s *Store) connectionItem(c chat.Connection) connectionItem {
	if c.Connected.IsZero() {
		c.Connected = s.t.c.Now()
	}
	k := s.connectionKey(c.ID)
	return connectionItem{
		PK: k.pk, SK: k.sk, ID: string(c.ID), Owner: s.seal(c.ID), Thread: string(c.Thread), N: c.N, Connected: millis(c.Connected),
		TokenExpires: millis(c.TokenExpires), Acked: int64(c.Acked.Seq), Epoch: string(c.Acked.Epoch),
		Expires: s.t.expiry(connectionLife),
	}
}

// putConnection writes a connection's row, if the condition holds, and its owner record, if nobody else's is there.
func (s *Store) putConnection(ctx context.Context, row connectionItem, when string, values attributes) error {
	k := ownerKey(chat.ConnectionID(row.ID))
	owner, err := s.t.putPart(ownerItem{
		PK: k.pk, SK: k.sk, User: s.user.Key(), Expires: row.Expires,
	}, absent+" OR #user = :me", attributes{":now": number(s.t.nowSeconds()), ":me": text(s.user.Key())})
	if err != nil {
		return fmt.Errorf("write a connection: %w", err)
	}
	part, err := s.t.putPart(row, when, values)
	if err != nil {
		return fmt.Errorf("write a connection: %w", err)
	}
	for n := 1; ; n++ {
		err := s.t.transact(ctx, owner, part)
		if err == nil {
			return nil
		}
		if _, foreign := refusedPart(err, 0); foreign {
			return fmt.Errorf("write a connection: %w", chat.ErrForeign)
		}
		if !conflicted(err) {
			return fmt.Errorf("write a connection: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("write a connection: %w", errors.Join(waited, err))
		}
	}
}

// Connection reads one of the user's connections, or chat.ErrNotFound; of a row that was written for another it is the
// chat.ErrForeign.
func (s *Store) Connection(ctx context.Context, id chat.ConnectionID) (chat.Connection, error) {
	if err := checkConnectionID(id); err != nil {
		return chat.Connection{}, err
	}
	var row connectionItem
	found, err := s.t.get(ctx, s.connectionKey(id), &row)
	if err != nil {
		return chat.Connection{}, fmt.Errorf("read a connection: %w", err)
	}
	if !found || s.t.expired(row.Expires) {
		return chat.Connection{}, fmt.Errorf("connection: %w", chat.ErrNotFound)
	}
	c, err := s.connection(row)
	if err != nil {
		return c, fmt.Errorf("read a connection: %w", err)
	}
	return c, nil
}

// Connections lists the user's connections, consistently. Rows that were written for another are left out, and named by
// chat.ForeignErrors: then the list is good all the same.
func (s *Store) Connections(ctx context.Context) ([]chat.Connection, error) {
	var all []chat.Connection
	var foreign []error
	q := s.connectionSpan()
	_, err := s.t.each(ctx, q, func(item attributes) (bool, error) {
		var row connectionItem
		if err := attributevalue.UnmarshalMap(item, &row); err != nil {
			return false, err
		}
		if s.t.expired(row.Expires) {
			return true, nil
		}
		c, err := s.connection(row)
		if err != nil {
			foreign = append(foreign, err)
		} else {
			all = append(all, c)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	if len(foreign) > 0 {
		return all, fmt.Errorf("list connections: %w", errors.Join(foreign...))
	}
	return all, nil
}

// Watch points a connection at a thread if c.N is higher than the stored n, and returns the row as it is then: its
// Thread tells whether the change took (a repeat of the same n and thread did). What c acknowledges, if anything, is kept
// with it, in the same write. A row that is missing is made again
// from c; a row of another owner, or written for one, gives chat.ErrForeign. A row of before there were seals gets its own.
func (s *Store) Watch(ctx context.Context, c chat.Connection) (chat.Connection, error) {
	if err := errors.Join(checkConnectionID(c.ID), checkID("thread", c.Thread)); err != nil {
		return chat.Connection{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	u := update{
		key: s.connectionKey(c.ID), change: "SET #thread = :thread, #n = :n, #owner = :owner",
		when:   present + " AND #n < :n AND (attribute_not_exists(#owner) OR #owner = :owner)",
		values: attributes{":thread": text(c.Thread), ":n": number(c.N), ":owner": text(s.seal(c.ID)), ":now": number(s.t.nowSeconds())},
	}
	if c.Acked.Epoch != "" {
		u.change += ", #acked = :acked, #epoch = :epoch"
		u.values[":acked"], u.values[":epoch"] = number(c.Acked.Seq), text(c.Acked.Epoch)
	}
	for n := 1; ; n++ {
		item, err := s.t.update(ctx, u)
		old, isOld := refused(err)
		if isOld {
			item = old
		} else if err != nil {
			return chat.Connection{}, fmt.Errorf("watch a thread: %w", err)
		}
		var row connectionItem
		if err := attributevalue.UnmarshalMap(item, &row); err != nil {
			return chat.Connection{}, fmt.Errorf("watch a thread: %w", err)
		}
		if row.ID != "" && !s.t.expired(row.Expires) {
			return s.watched(row)
		}
		// Nobody's, or gone by TTL: unless somebody was quicker, it is made again.
		row = s.connectionItem(c)
		err = s.putConnection(ctx, row, absent, attributes{":now": number(s.t.nowSeconds())})
		if err == nil {
			return s.watched(row)
		}
		if !anyRefused(err) {
			return chat.Connection{}, err
		}
		if err := pause(ctx, n); err != nil {
			return chat.Connection{}, fmt.Errorf("watch a thread: %w", err)
		}
	}
}

func (s *Store) watched(row connectionItem) (chat.Connection, error) {
	c, err := s.connection(row)
	if err != nil {
		return c, fmt.Errorf("watch a thread: %w", err)
	}
	return c, nil
}

// Acknowledge keeps what a connection's client says that it has applied, if it is more than what was kept, and otherwise
// nothing: pings may come in any order. A connection that is not there is fine.
func (s *Store) Acknowledge(ctx context.Context, id chat.ConnectionID, c chat.Cursor) error {
	if err := errors.Join(checkConnectionID(id), checkID("epoch", c.Epoch)); err != nil {
		return err
	}
	_, err := s.t.update(ctx, update{
		key: s.connectionKey(id), change: "SET #acked = :acked, #epoch = :epoch",
		when:   present + " AND (attribute_not_exists(#epoch) OR #epoch <> :epoch OR #acked < :acked)",
		values: attributes{":acked": number(c.Seq), ":epoch": text(c.Epoch), ":now": number(s.t.nowSeconds())},
	})
	if _, isOld := refused(err); err != nil && !isOld {
		return fmt.Errorf("keep what a client has: %w", err)
	}
	return nil
}

// RemoveConnection forgets a connection, so that nothing is posted to it any more. One that is not there is fine. Its owner
// record, which is not below the user's key, stays until Disconnect or its time to live: who acts for a user alone cannot
// reach it.
func (s *Store) RemoveConnection(ctx context.Context, id chat.ConnectionID) error {
	if err := checkConnectionID(id); err != nil {
		return err
	}
	if err := s.t.remove(ctx, s.connectionKey(id), "", nil); err != nil {
		return fmt.Errorf("remove a connection: %w", err)
	}
	return nil
}

// Disconnect forgets a connection and its owner record. One that is not there is fine.
func (s *Store) Disconnect(ctx context.Context, id chat.ConnectionID) error {
	if err := s.RemoveConnection(ctx, id); err != nil {
		return err
	}
	const mine = "#user = :me"
	err := s.t.remove(ctx, ownerKey(id), mine, attributes{":me": text(s.user.Key())})
	if _, foreign := refused(err); err != nil && !foreign {
		return fmt.Errorf("remove a connection's owner: %w", err)
	}
	return nil
}
