package tool

import (
	"context"
	"math"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chars"
)

// The bounds of the progress of one call.
const (
	progressPace    = time.Second // between two events
	progressMessage = 200         // characters
)

// progressOf is the context key of a call's progress.
type progressOf struct{}

// Progress shows the user the progress of a call: done of total, and a short message. A total of 0 is unknown. Progress
// sends an event at most once a second; within that second the newest value replaces the ones before. The first and
// the last value are sent. It does nothing outside of a handler and after the call has ended. It is safe for
// concurrent use.
func Progress(ctx context.Context, done, total float64, message string) {
	if p, ok := ctx.Value(progressOf{}).(*progress); ok {
		p.report(done, total, message)
	}
}

// progress sends the progress of one call.
type progress struct {
	call string
	send func(agui.Event)
	now  func() time.Time

	mu     sync.Mutex
	sent   time.Time   // when the last event was sent
	latest *agui.Event // the newest value, if it was not sent
	ended  bool
}

func (p *progress) report(done, total float64, message string) {
	e := agui.CustomEvent(agui.ProgressName, agui.Progress{
		Call: p.call, Done: finite(done), Total: finite(total), Message: chars.HeadPoints(message, progressMessage),
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if now := p.now(); p.sent.IsZero() || now.Sub(p.sent) >= progressPace {
		p.sent, p.latest = now, nil
		p.send(e)
		return
	}
	p.latest = &e
}

// end sends the last value, if it was not sent. Later values are dropped, because the call's result follows.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest != nil {
		p.send(*p.latest)
	}
	p.latest, p.ended = nil, true
}

// finite returns a number that JSON can hold.
func finite(n float64) float64 {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}
