// Package lasthop posts messages to the connections of one user. It owns the last rule of isolation: a message is
// posted only by a fresh record of its connection, which says that the connection belongs to this user, watches the
// thread that the message is about, and has a valid token. The check runs before each message and before each retry of
// one.
//
// Its three users are the emitter of a run (shared/emit), broadcasts to all connections of a user (Broadcast) and the
// answers of functions/message. No other code can post, because a Poster takes a Message, and only this package makes
// one. End is the one exception to the rule: it notifies and closes connections whose records may already be deleted.
package lasthop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
)

// Every record is read again after Interval, and no message is posted by a record older than MaxAge. The difference is
// the time that the next read may take. Age counts from the moment at which the read was requested.
const (
	Interval = time.Second
	MaxAge   = Interval + 250*time.Millisecond
)

// removeTime bounds the removal of the record of a connection that no longer exists.
const removeTime = 3 * time.Second

var (
	// ErrRefused is returned for a message that the connection may not receive: the connection is not this user's, is
	// no longer listed, has not said hello, or watches another thread.
	ErrRefused = errors.New("the connection may not receive this message")

	// ErrTokenExpired is the ErrRefused of a connection whose token has expired.
	ErrTokenExpired = fmt.Errorf("%w: its token has expired", ErrRefused)

	// errStale is returned if no record can be had that is young enough to post by.
	errStale = errors.New("the record of the connection is too old to post by")
)

// Message is one encoded message that passed the check, with the connection that may receive it. Only this package
// makes one, so a Poster cannot be asked to post a message that was not checked. The zero Message has no connection.
type Message struct {
	to   chat.ConnectionID
	body []byte
}

// Connection returns the connection that may receive the message; "" for the zero Message.
func (m Message) Connection() chat.ConnectionID { return m.to }

// Body returns the encoded message.
func (m Message) Body() []byte { return m.body }

// Poster posts one message. Its error is a chat.ErrGone if the connection no longer exists, and a chat.ErrSlow if the
// buffer of the connection is full or the account is throttled.
type Poster interface {
	Post(ctx context.Context, m Message) error
}

// Closer posts messages and closes connections.
type Closer interface {
	Poster
	Close(ctx context.Context, id chat.ConnectionID) error
}

// Connections lists the connections of one user with consistent reads, and removes the record of one. If the error of a
// list is a chat.ErrForeign, the list is valid: the connections that the error names are left out of it.
type Connections interface {
	Connections(ctx context.Context) ([]chat.Connection, error)
	RemoveConnection(ctx context.Context, id chat.ConnectionID) error
}
