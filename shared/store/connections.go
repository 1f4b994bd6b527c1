package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// connectionLife is how long the rows of a connection are kept: the two hours of a WebSocket and some minutes.
const connectionLife = 2*time.Hour + 10*time.Minute

// Connect records a new connection. If the user has as many connections as the limit allows, the oldest is removed in
// the same transaction and returned; the caller notifies and closes it. Connect never returns a connection whose owner
// record names another user.
//
// Connect fails with chat.ErrForeign for a connection of another user, with chat.ErrSignedOut for a session that was
// ended, with chat.ErrReplaced for a connection that was replaced before, and with a *chat.RateLimitedError while new
// connections are refused. Then it writes nothing and returns no connection.
func (s *Store) Connect(ctx context.Context, c chat.Connection) (replaced []chat.ConnectionID, err error) {
	if err := errors.Join(checkConnectionID(c.ID), checkID("thread", c.Thread)); err != nil {
		return nil, err
	}
	o := opening{row: s.connectionItem(c), evicts: true}
	err = s.again(ctx, "record a connection", func(ctx context.Context) error { return s.open(ctx, &o) })
	if err != nil {
		return nil, err // a connection that an earlier attempt chose stays open
	}
	return without(o.evicted, o.foreign), nil
}

func (s *Store) connectionItem(c chat.Connection) connectionItem {
	if c.Connected.IsZero() {
		c.Connected = s.t.c.Now()
	}
	k := s.connectionKey(c.ID)
	return connectionItem{
		PK: k.pk, SK: k.sk, ID: string(c.ID), Owner: s.seal(c.ID), Thread: string(c.Thread), N: c.N, HelloBy: c.HelloBy,
		Connected: millis(c.Connected), TokenExpires: millis(c.TokenExpires), SignedIn: seconds(c.SignedIn),
		Acked: int64(c.Acked.Seq), Epoch: string(c.Acked.Epoch),
		Expires: s.t.expiry(connectionLife),
	}
}

// Connection reads one of the user's connections. It fails with chat.ErrNotFound, or with chat.ErrForeign for a row
// that was written for another user.
func (s *Store) Connection(ctx context.Context, id chat.ConnectionID) (chat.Connection, error) {
	return s.connectionFrom(s.t.reader(ctx), id)
}

func (s *Store) connectionFrom(read reader, id chat.ConnectionID) (chat.Connection, error) {
	if err := checkConnectionID(id); err != nil {
		return chat.Connection{}, err
	}
	var row connectionItem
	found, err := read(s.connectionKey(id), &row)
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

// Connections lists the user's connections, consistently. It leaves out rows that were written for another user and
// returns a chat.ForeignError for each; then the list is valid all the same.
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

// Watch points a connection at a thread if c.N is higher than the stored N, and returns the row after the call. The
// row was changed by this call if it has the N and HelloBy of c: the SDK may have repeated a write whose answer was
// lost. The position that c acknowledges, if any, is stored in the same write.
//
// Watch fails with chat.ErrForeign for a row of another owner. It writes a missing row again, under the conditions of
// Connect, but it removes no other connection for it: if the limit is reached, Watch fails with chat.ErrReplaced.
func (s *Store) Watch(ctx context.Context, c chat.Connection) (chat.Connection, error) {
	if err := errors.Join(checkConnectionID(c.ID), checkID("thread", c.Thread)); err != nil {
		return chat.Connection{}, err
	}
	var row connectionItem
	err := s.again(ctx, "watch a thread", func(ctx context.Context) (err error) {
		row, err = s.pointAt(ctx, c)
		if err != nil || row.ID != "" && !s.t.expired(row.Expires) {
			return err
		}
		row = s.connectionItem(c)
		return s.open(ctx, &opening{row: row})
	})
	if err != nil {
		return chat.Connection{}, err
	}
	return s.watched(row)
}

// pointAt changes the thread that a connection watches and returns the row. Without a row the result is zero or
// expired.
func (s *Store) pointAt(ctx context.Context, c chat.Connection) (row connectionItem, err error) {
	u := update{
		key: s.connectionKey(c.ID), change: "SET #thread = :thread, #n = :n, #by = :by",
		names: map[string]string{"#by": "helloBy"},
		when:  present + " AND #n < :n AND #owner = :owner",
		values: attributes{
			":thread": text(c.Thread), ":n": number(c.N), ":by": text(c.HelloBy), ":owner": text(s.seal(c.ID)),
			":now": number(s.t.nowSeconds()),
		},
	}
	if c.Acked.Epoch != "" {
		u.change += ", #acked = :acked, #epoch = :epoch"
		u.values[":acked"], u.values[":epoch"] = number(c.Acked.Seq), text(c.Acked.Epoch)
	}
	item, err := s.t.update(ctx, u)
	if old, isOld := refused(err); isOld {
		item = old
	} else if err != nil {
		return row, err
	}
	return row, attributevalue.UnmarshalMap(item, &row)
}

func (s *Store) watched(row connectionItem) (chat.Connection, error) {
	c, err := s.connection(row)
	if err != nil {
		return c, fmt.Errorf("watch a thread: %w", err)
	}
	return c, nil
}

// Acknowledge stores the position that a connection's client has applied, if it is higher than the stored one, because
// pings may arrive in any order. It succeeds without a change if the connection has no row.
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
		return fmt.Errorf("store an acknowledgement: %w", err)
	}
	return nil
}
