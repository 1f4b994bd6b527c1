package emit

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"carrel/shared/chat"
)

// A post that is throttled is tried again so often, after pauses of 0.1 s, 0.2 s … 1.6 s, of which chance takes up to a
// half: 3 s in all. The client may be on a slow link, or the account at its limit.
const (
	slowTries = 6
	slowPause = 100 * time.Millisecond
)

// Stats are what an emitter has done so far.
type Stats struct {
	Posted    int           // messages that connections took
	Retried   int           // posts that were repeated because they had been throttled
	Throttled int           // posts that were
	Gone      int           // connections that a post found gone
	Cut       int           // connections that failed or could not keep up
	Lag       time.Duration // the longest that a connection that watches the thread waited for a record, its post included
	Behind    int           // the most events that one of them waited for
}

// Stats tells what the emitter has done so far. Any goroutine may ask.
func (e *Emitter) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.figures
}

// Post posts one message, again while it is throttled: chat.ErrSlow after 3 s of that. What else fails fails at once.
func Post(ctx context.Context, p Poster, id chat.ConnectionID, message []byte) error {
	return patiently(ctx, time.After, func() bool { return true }, func() error { return p.Post(ctx, id, message) })
}

// patiently does post until it is not throttled, as long as another try is wanted.
func patiently(ctx context.Context, after func(time.Duration) <-chan time.Time, again func() bool, post func() error) error {
	pause := slowPause
	for try := 1; ; try++ {
		err := post()
		if !errors.Is(err, chat.ErrSlow) || try == slowTries {
			return err
		}
		select {
		case <-after(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return err
		}
		if !again() {
			return err
		}
		pause *= 2
	}
}

// posting is one message on its way.
type posting struct {
	to      chat.ConnectionID
	message []byte
}

// send posts one message to an outlet's connection, and counts. Nobody else waits for it.
func (e *Emitter) send(o *outlet, d queued, p posting) error {
	again := func() bool {
		wanted := e.wants(o, d)
		if wanted {
			e.count(func(f *Stats) { f.Retried++ })
		}
		return wanted
	}
	return patiently(e.ctx, e.c.After, again, func() error {
		ctx, cancel := context.WithTimeout(e.ctx, postTime)
		defer cancel()
		err := e.c.Poster.Post(ctx, p.to, p.message)
		e.count(func(f *Stats) {
			switch {
			case err == nil:
				f.Posted++
			case errors.Is(err, chat.ErrSlow):
				f.Throttled++
			}
		})
		return err
	})
}

func (e *Emitter) count(change func(*Stats)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.figures)
}

// wants reports whether a message of a frame may be posted to an outlet's connection, by the list in force.
func (e *Emitter) wants(o *outlet, d queued) (wanted bool) {
	thread := audience(d.frame)
	e.current(func() {
		wanted = o.listed && !o.cut && target(o.conn, e.c.User.User(), e.c.User.Now()) && (thread == "" || thread == o.conn.Thread)
	})
	return wanted
}
