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
	maxDelta  = 32 << 10 // of the text of one delta, which JSON may lengthen to six times as much
)

// sized is an event with the size of its JSON.
type sized struct {
	event agui.Event
	size  int
}

func measure(ev agui.Event) (sized, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // like the log and the frames
	if err := enc.Encode(ev); err != nil {
		return sized{}, fmt.Errorf("emit: encode %s: %w", ev.Type, err)
	}
	return sized{ev, b.Len()}, nil
}

// fit splits a long delta, so that each piece fits in a record. Any other event that is too large is refused. The
// stored and shown content must be what the model reads, so the result of a tool is cut earlier (tool.MaxResult).
func fit(ev agui.Event) ([]sized, error) {
	if agui.Deferrable(ev) && len(ev.Delta) > maxDelta {
		return split(ev)
	}
	s, err := measure(ev)
	if err != nil {
		return nil, err
	}
	if s.size > maxEvent {
		err = fmt.Errorf("emit: a %s has %d bytes; an event may have %d", ev.Type, s.size, maxEvent)
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

// pending holds the events until the next flush. It never holds more than fits in one record.
type pending struct {
	events []agui.Event
	size   int
	urgent bool // an event is pending that is not a delta
	deltas bool // a delta is pending
}

// room reports whether the events fit beside the pending ones.
func (w *pending) room(events ...sized) bool {
	size := w.size
	for _, e := range events {
		size += e.size
	}
	return w.size == 0 || size <= maxRecord
}

// add adds an event. If it and the last pending event of its line are deltas of the same message or call, it joins
// them. Lines of sub-agents alternate, so the deltas of other lines may be in between.
func (w *pending) add(p sized) {
	w.size += p.size
	if agui.Deferrable(p.event) {
		w.deltas = true
	} else {
		w.urgent = true
	}
	for i := len(w.events) - 1; i >= 0 && agui.Deferrable(w.events[i]); i-- {
		if w.events[i].SubagentRunID != p.event.SubagentRunID {
			continue
		}
		if joined, ok := agui.Join(w.events[i], p.event); ok && len(joined.Delta) <= maxDelta {
			w.events[i] = joined
			return
		}
		break
	}
	w.events = append(w.events, p.event)
}

// pace says when deltas may be flushed: the first immediately, and the next ones at growing intervals while they keep
// coming.
type pace struct {
	step      int
	flushed   time.Time // the last flush
	lastDelta time.Time
}

// pause is the time without deltas after which the next one is flushed immediately again.
const pause = 250 * time.Millisecond

func (p *pace) delta(now time.Time) {
	if now.Sub(p.lastDelta) > pause {
		p.step = 0
	}
	p.lastDelta = now
}

// due returns when the pending deltas are to be flushed.
func (p *pace) due() time.Time { return p.flushed.Add(interval(p.step)) }

// flush records a flush of w. If w held another event than deltas, the stream of deltas was interrupted.
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
