package lasthop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
)

// Reader lists the connections of one user. It is for one goroutine at a time.
type Reader struct {
	User        chat.User
	Connections Connections
	Now         func() time.Time
	Violation   func(chat.ConnectionID) // called once for each listed connection that belongs to another user

	reported map[chat.ConnectionID]bool
}

// Read lists the user's connections within MaxAge: a later answer would be too old to post by. It reports each listed
// connection of another user, which is an isolation violation. The check of
// a Sender refuses it.
func (r *Reader) Read(ctx context.Context) ([]Record, error) {
	readAt := r.Now()
	limited, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	listed, err := r.Connections.Connections(limited)
	if err != nil && !errors.Is(err, chat.ErrForeign) {
		return nil, fmt.Errorf("list the user's connections: %w", err)
	}
	for _, id := range chat.Foreign(err) {
		r.report(id)
	}
	var records []Record
	for _, c := range listed {
		if c.Owner != chat.OwnerHash(r.User.Hash()) {
			r.report(c.ID)
		}
		records = append(records, Record{connection: c, readAt: readAt})
	}
	return records, nil
}

// Eligible reports whether a connection may receive the frames that are sent to all connections of the user. It does
// not look at the age of the record.
func (r *Reader) Eligible(record Record) bool {
	return record.check(r.User, audience{}, r.Now()) == nil
}

// report reports a connection of another user, once.
func (r *Reader) report(id chat.ConnectionID) {
	if r.reported == nil {
		r.reported = map[chat.ConnectionID]bool{}
	}
	if !r.reported[id] {
		r.reported[id] = true
		r.Violation(id)
	}
}
