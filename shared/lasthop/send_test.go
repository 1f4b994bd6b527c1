package lasthop_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// source is one record. A renewal reads it again, after a while.
type source struct {
	connection chat.Connection
	record     lasthop.Record
	takes      time.Duration
	err        error // of a renewal
	renewals   int
}

func (s *source) read() {
	s.record, _ = lasthop.Read(time.Now, func() (chat.Connection, error) {
		time.Sleep(s.takes)
		return s.connection, nil
	})
}

func (s *source) Latest(chat.ConnectionID) (lasthop.Record, error) { return s.record, nil }

func (s *source) Renew(context.Context, chat.ConnectionID) (lasthop.Record, error) {
	s.renewals++
	s.read()
	return s.record, s.err
}

// posts records the posted messages.
type posts struct {
	bodies []string
	to     []chat.ConnectionID
	err    error
	posted func() // called after each post; nil: not called
}

func (p *posts) Post(_ context.Context, m lasthop.Message) error {
	p.bodies, p.to = append(p.bodies, string(m.Body())), append(p.to, m.Connection())
	if p.posted != nil {
		p.posted()
	}
	return p.err
}

// own returns the record of a connection that may receive everything about the thread.
func own(t *testing.T) chat.Connection {
	c := conn("a")
	c.Owner = chat.OwnerHash(chattest.User(t, "alice").Hash())
	return c
}

func send(t *testing.T, src *source, f *lasthop.Frame, user chat.User) (*posts, error) {
	t.Helper()
	p := &posts{}
	s := &lasthop.Sender{User: user, Source: src, Poster: p, Now: time.Now}
	return p, s.Send(t.Context(), "a", f)
}

// kinds are frames of each kind of audience.
func kinds() map[string]*lasthop.Frame {
	return map[string]*lasthop.Frame{
		"events":                   lasthop.NewFrame(&wire.Events{ThreadID: thread}),
		"ended":                    lasthop.NewFrame(&wire.Ended{ThreadID: thread}),
		"row":                      lasthop.NewFrame(&wire.Thread{}),
		"reply":                    lasthop.NewReply(&wire.Pong{}, ""),
		"thread's reply":           lasthop.NewReply(&wire.Pong{}, thread),
		"expiry":                   lasthop.NewReply(&wire.Error{Code: wire.CodeTokenExpired}, ""),
		"expiry without a request": lasthop.NewFrame(&wire.Error{Code: wire.CodeTokenExpired}),
		"reply not expired":        lasthop.NewReply(&wire.Error{Code: wire.CodeNotFound}, ""),
	}
}

// Every clause of the rule allows the frames that it should, and refuses all others.
func TestSend_Rule(t *testing.T) {
	alice, bob := chattest.User(t, "alice"), chattest.User(t, "bob")
	replies := []string{"reply", "thread's reply", "expiry", "reply not expired"}
	for name, c := range map[string]struct {
		change  func(*chat.Connection)
		user    chat.User
		allowed []string
		want    error // of the others
	}{
		"own connection": {func(*chat.Connection) {}, alice, slices.Collect(maps.Keys(kinds())), nil},
		"another user":   {func(*chat.Connection) {}, bob, nil, lasthop.ErrRefused},
		"zero user": {func(c *chat.Connection) { c.Owner = chat.OwnerHash(chat.User{}.Hash()) }, chat.User{},
			nil, lasthop.ErrRefused},
		"no owner":           {func(c *chat.Connection) { c.Owner = "" }, alice, nil, lasthop.ErrRefused},
		"no owner, no user":  {func(c *chat.Connection) { c.Owner = "" }, chat.User{}, nil, lasthop.ErrRefused},
		"another connection": {func(c *chat.Connection) { c.ID = "b" }, alice, nil, lasthop.ErrRefused},
		"no hello yet":       {func(c *chat.Connection) { c.N = 0 }, alice, replies, lasthop.ErrRefused},
		"another thread": {func(c *chat.Connection) { c.Thread = "another" }, alice,
			[]string{"row", "reply", "expiry", "expiry without a request", "reply not expired"}, lasthop.ErrRefused},
		"expired token": {func(c *chat.Connection) { c.TokenExpires = time.Now() }, alice,
			[]string{"expiry"}, lasthop.ErrTokenExpired},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &source{connection: own(t)}
			c.change(&src.connection)
			src.read()
			for kind, f := range kinds() {
				p, err := send(t, src, f, c.user)
				if slices.Contains(c.allowed, kind) {
					if err != nil || len(p.to) != 1 || p.to[0] != "a" {
						t.Errorf("%s: %s: %d posts, %v, want one", name, kind, len(p.to), err)
					}
				} else if len(p.to) > 0 || !errors.Is(err, c.want) {
					t.Errorf("%s: %s: %d posts, %v, want none and %v", name, kind, len(p.to), err, c.want)
				}
			}
		})
	}
}

// A record is renewed once it is older than Interval, and nothing is posted by one that is older than MaxAge.
func TestSend_AgeOfTheRecord(t *testing.T) {
	alice := chattest.User(t, "alice")
	for name, c := range map[string]struct {
		age, takes      time.Duration // of the record, and of a renewal
		never           bool          // no record was read
		renewals, posts int
	}{
		"young":                  {age: interval, posts: 1},
		"renewed":                {age: interval + 1, takes: maxAge, renewals: 1, posts: 1},
		"never read":             {never: true, renewals: 1, posts: 1},
		"renewals take too long": {age: interval + 1, takes: maxAge + 1, renewals: 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &source{connection: own(t), takes: c.takes}
			if !c.never {
				src.takes = c.age
				src.read()
				src.takes = c.takes
			}
			p, err := send(t, src, lasthop.NewFrame(&wire.Thread{}), alice)
			if len(p.to) != c.posts || src.renewals != c.renewals || (err == nil) != (c.posts == 1) ||
				errors.Is(err, lasthop.ErrRefused) {
				t.Errorf("%s: %d posts after %d renewals, %v", name, len(p.to), src.renewals, err)
			}
		})
	}
}

// Each message of a long frame, and each retry, is checked by a record that is fresh at that time.
func TestSend_ChangeInTheMiddle(t *testing.T) {
	alice := chattest.User(t, "alice")
	long := &wire.Events{ThreadID: thread, Events: []agui.Event{{Type: agui.TextMessageContent,
		Delta: strings.Repeat("x", 200<<10)}}}
	for name, change := range map[string]func(*chat.Connection){
		"another user":   func(c *chat.Connection) { c.Owner = "bob" },
		"another thread": func(c *chat.Connection) { c.Thread = "another" },
		"expired token":  func(c *chat.Connection) { c.TokenExpires = time.Now() },
		"no hello":       func(c *chat.Connection) { c.N = 0 },
	} {
		for what, fails := range map[string]error{"message": nil, "retry": chat.ErrSlow} {
			synctest.Test(t, func(t *testing.T) {
				src := &source{connection: own(t)}
				src.read()
				p := &posts{err: fails}
				p.posted = func() {
					if len(p.to) == 2 {
						change(&src.connection)
						time.Sleep(maxAge)
					}
				}
				s := &lasthop.Sender{User: alice, Source: src, Poster: p, Now: time.Now}
				err := s.Send(t.Context(), "a", lasthop.NewFrame(long))
				if len(p.to) != 2 || !errors.Is(err, lasthop.ErrRefused) {
					t.Errorf("%s before a %s: %d posts, %v, want 2 posts", name, what, len(p.to), err)
				}
			})
		}
	}
}

// A renewal that fails is the error of the post.
func TestSend_FailedRenewal(t *testing.T) {
	src := &source{connection: own(t), err: errLost}
	if p, err := send(t, src, lasthop.NewFrame(&wire.Thread{}), chattest.User(t, "alice")); !errors.Is(err, errLost) ||
		len(p.to) > 0 {
		t.Errorf("%d posts, %v", len(p.to), err)
	}
}

// A post that is throttled is repeated for 3 s; the error says that it was throttled to the end.
func TestSend_Throttled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{connection: own(t)}
		p, tries := &posts{err: chat.ErrSlow}, []int{}
		s := &lasthop.Sender{User: chattest.User(t, "alice"), Source: src, Poster: p, Now: time.Now,
			Tried: func(try int, _ error) { tries = append(tries, try) }}
		start := time.Now()
		err := s.Send(t.Context(), "a", lasthop.NewFrame(&wire.Thread{}))
		took := time.Since(start)
		if !errors.Is(err, chat.ErrSlow) || !slices.Equal(tries, []int{1, 2, 3, 4, 5, 6}) ||
			took < 1500*time.Millisecond || took > 3200*time.Millisecond {
			t.Errorf("tries %v in %v, %v", tries, took, err)
		}
	})
}

// The last frame of a connection is posted without a record, and the connection is closed even if that fails.
func TestEnd_FailedPost(t *testing.T) {
	p := &closer{posts: posts{err: errLost}}
	err := lasthop.End(t.Context(), p, map[chat.ConnectionID]*wire.Error{"a": {Code: wire.CodeReplaced}, "b": nil})
	slices.Sort(p.closed)
	if !errors.Is(err, errLost) || !slices.Equal(p.to, []chat.ConnectionID{"a"}) ||
		!slices.Equal(p.closed, []chat.ConnectionID{"a", "b"}) {
		t.Errorf("posted to %v, closed %v, %v", p.to, p.closed, err)
	}
}

// closer also keeps the connections that are closed.
type closer struct {
	posts
	mu     sync.Mutex
	closed []chat.ConnectionID
}

func (c *closer) Close(_ context.Context, id chat.ConnectionID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = append(c.closed, id)
	return nil
}
