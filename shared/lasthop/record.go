package lasthop

import (
	"time"

	"carrel/shared/chat"
)

// Record is the record of a connection and the time at which its read was requested. Only Read and Reader make one, so
// that no record can claim to be younger than it is.
type Record struct {
	connection chat.Connection
	readAt     time.Time
}

// Read calls read, which reads or writes the record of a connection, and stamps the result with the time before the
// call.
func Read(now func() time.Time, read func() (chat.Connection, error)) (Record, error) {
	readAt := now()
	c, err := read()
	if err != nil {
		return Record{}, err
	}
	return Record{connection: c, readAt: readAt}, nil
}

// Connection returns what the record says.
func (r Record) Connection() chat.Connection { return r.connection }

// age returns the time since the read of the record was requested.
func (r Record) age(now time.Time) time.Duration { return now.Sub(r.readAt) }

// check is the rule of the last hop, but for the age of the record: it returns nil if the connection may receive a
// message for this audience, and otherwise an ErrRefused.
func (r Record) check(u chat.User, a audience, now time.Time) error {
	c := r.connection
	switch {
	case u.IsZero() || c.Owner != chat.OwnerHash(u.Hash()):
		return ErrRefused
	case !now.Before(c.TokenExpires) && !a.expired:
		return ErrTokenExpired
	case c.N == 0 && !a.reply:
		return ErrRefused
	case a.thread != "" && a.thread != c.Thread:
		return ErrRefused
	}
	return nil
}
