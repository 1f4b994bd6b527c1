package lasthop

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"carrel/shared/chat"
)

// A throttled post is tried again after pauses of 0.1 s, 0.2 s … 1.6 s, of which a random part of up to one half is
// left out: 3 s in all. The client may be on a slow link, or the account at its limit.
const (
	postTime  = 5 * time.Second // for one try
	slowTries = 6
	slowPause = 100 * time.Millisecond
)

// renewTries is how often a record is renewed for one post, if the reads take longer than MaxAge.
const renewTries = 3

// Source holds the newest records of the connections of one user. Its methods return an ErrRefused for a connection
// that has no record or may not receive anything.
type Source interface {
	// Latest returns the newest known record of a connection, without a request.
	Latest(id chat.ConnectionID) (Record, error)
	// Renew reads the record of a connection again, or waits until another goroutine has read it.
	Renew(ctx context.Context, id chat.ConnectionID) (Record, error)
}

// Sender posts frames to the connections of one user. It is safe for concurrent use.
type Sender struct {
	User   chat.User
	Source Source
	Poster Poster
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time // nil: time.After
	Tried  func(try int, err error)             // called after each try of a post; nil: not called
}

// Send posts a frame to a connection, one message after the other, and waits for the posts. It stops at the first
// message that fails: with an ErrRefused if the check refuses the message, and otherwise with the error of the Poster,
// which is a chat.ErrSlow only if the post was still throttled after 3 s.
func (s *Sender) Send(ctx context.Context, id chat.ConnectionID, f *Frame) error {
	bodies, err := f.encoded()
	if err != nil {
		return err
	}
	for _, body := range bodies {
		err := s.post(ctx, func() (Message, error) {
			if err := s.check(ctx, id, f.audience); err != nil {
				return Message{}, err
			}
			return Message{id, body}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// check returns nil if the connection may receive a message for this audience now, by a record that is fresh.
func (s *Sender) check(ctx context.Context, id chat.ConnectionID, a audience) error {
	r, err := s.Source.Latest(id)
	if err != nil {
		return err
	}
	now, allowed := s.Now(), Interval
	for try := 1; r.age(now) > allowed; try++ {
		if try > renewTries {
			return errStale
		}
		if r, err = s.Source.Renew(ctx, id); err != nil {
			return err
		}
		now, allowed = s.Now(), MaxAge
	}
	if r.connection.ID != id {
		return ErrRefused
	}
	return r.check(s.User, a, now)
}

// post posts one message and repeats the post while it is throttled. Before each try it calls checked, which returns
// the message or the reason why it must not be posted.
func (s *Sender) post(ctx context.Context, checked func() (Message, error)) error {
	after := s.After
	if after == nil {
		after = time.After
	}
	pause := slowPause
	for try := 1; ; try++ {
		m, err := checked()
		if err != nil {
			return err
		}
		err = s.try(ctx, m)
		if s.Tried != nil {
			s.Tried(try, err)
		}
		if !errors.Is(err, chat.ErrSlow) || try == slowTries {
			return err
		}
		select {
		case <-after(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return err
		}
		pause *= 2
	}
}

// try posts one message within postTime.
func (s *Sender) try(ctx context.Context, m Message) error {
	limited, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	return s.Poster.Post(limited, m)
}
