package emit

import (
	"errors"
	"time"

	"carrel/shared/chat"
)

// Stats counts what an emitter has done so far.
type Stats struct {
	Posted    int // messages that connections took
	Retried   int // posts that were repeated because they had been throttled
	Throttled int // posts that were throttled
	Gone      int // connections that no longer existed when they were posted to
	Cut       int // connections that failed or could not keep up
	// the longest that a connection which watches the thread waited for a record, its post included
	Lag    time.Duration
	Behind int // the most events that one of them waited for
}

// Stats returns what the emitter has done so far. Any goroutine may call it.
func (e *Emitter) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// tried counts one try of a post.
func (e *Emitter) tried(try int, err error) {
	e.count(func(s *Stats) {
		if try > 1 {
			s.Retried++
		}
		switch {
		case err == nil:
			s.Posted++
		case errors.Is(err, chat.ErrSlow):
			s.Throttled++
		}
	})
}

func (e *Emitter) count(change func(*Stats)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.stats)
}
