package emit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chars"
)

// Sizes in bytes of JSON. A DynamoDB item may have 400 KB.
const (
	maxEvent  = 256 << 10
	maxRecord = 300 << 10
	maxDelta  = 32 << 10 // of one delta's text, which JSON may write up to six times as long
)

// sized is an event and what it takes at most as JSON.
type sized struct {
	event agui.Event
	size  int
}

func measure(ev agui.Event) (sized, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as the log and the frames write it
	if err := enc.Encode(ev); err != nil {
		return sized{}, fmt.Errorf("emit: %s: %w", ev.Type, err)
	}
	return sized{ev, b.Len()}, nil
}

// fit makes an event as small as a record needs it: a long delta becomes several. Anything else that is too large is
// refused: what is stored and shown is what the model reads, so a tool's result is cut before (tool.MaxResult).
func fit(ev agui.Event) ([]sized, error) {
	if agui.Deferrable(ev) && len(ev.Delta) > maxDelta {
		return split(ev)
	}
	s, err := measure(ev)
	if err != nil {
		return nil, err
	}
	if s.size > maxEvent {
		err = fmt.Errorf("emit: %s of %d bytes; an event may have %d", ev.Type, s.size, maxEvent)
	}
	return []sized{s}, err
}

func split(ev agui.Event) ([]sized, error) {
	var pieces []sized
	for text := ev.Delta; text != ""; text = text[len(ev.Delta):] {
		ev.Delta = chars.Head(text, maxDelta)
		s, err := measure(ev)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, s)
	}
	return pieces, nil
}

// pending is what waits for the next flush: never more than one record may hold.
type pending struct {
	events []agui.Event
	size   int
	urgent bool // something waits that is not a delta
	deltas bool // a delta waits
}

// room reports whether p fits beside what waits.
func (w *pending) room(p sized) bool { return w.size == 0 || w.size+p.size <= maxRecord }

// add takes an event, joining a delta to the one before it if both are pieces of the same thing.
func (w *pending) add(p sized) {
	w.size += p.size
	if agui.Deferrable(p.event) {
		w.deltas = true
	} else {
		w.urgent = true
	}
	if n := len(w.events); n > 0 && len(w.events[n-1].Delta)+len(p.event.Delta) <= maxDelta {
		if joined, ok := agui.Join(w.events[n-1], p.event); ok {
			w.events[n-1] = joined
			return
		}
	}
	w.events = append(w.events, p.event)
}

// pace is when deltas may be flushed: the first at once, then ever more seldom while they keep coming.
type pace struct {
	step      int
	flushed   time.Time // the last flush
	lastDelta time.Time
}

// pause without a delta makes the next one a first one again.
const pause = 250 * time.Millisecond

func (p *pace) delta(now time.Time) {
	if now.Sub(p.lastDelta) > pause {
		p.step = 0
	}
	p.lastDelta = now
}

// due is when the deltas that wait are to be flushed.
func (p *pace) due() time.Time { return p.flushed.Add(interval(p.step)) }

// flush notes a flush of w. One that held something else than deltas has interrupted their stream.
func (p *pace) flush(now time.Time, w pending) {
	p.flushed = now
	if w.deltas {
		p.step++
	}
	if w.urgent {
		p.step = min(p.step, 1)
	}
}

func interval(step int) time.Duration {
	switch step {
	case 0:
		return 0
	case 1:
		return 50 * time.Millisecond
	case 2:
		return 100 * time.Millisecond
	case 3:
		return 200 * time.Millisecond
	default:
		return 250 * time.Millisecond
	}
}
