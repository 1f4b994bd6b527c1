package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Received holds the events that were sent to a device, by sequence number, as the bytes that they were sent in. An
// event that was sent twice is kept once.
type Received struct {
	Events        map[chat.Seq]json.RawMessage
	Frames        int
	Foreign       int      // frames with a secret or a thread of another user
	GatewayErrors int      // frames of API Gateway's own: a function failed
	Problems      []string // messages that must not be sent to this device

	epoch chat.Epoch
}

// Received looks at every message that was sent to the device. The test fails if one holds anything of another user or
// an event of another thread, or if two different events have one sequence number.
func (d *Device) Received(t testing.TB, users []*User) Received {
	t.Helper()
	r := d.Inspect(users)
	for _, problem := range r.Problems {
		t.Error(problem)
	}
	return r
}

// Inspect is Received for a caller that reports the problems itself.
func (d *Device) Inspect(users []*User) Received {
	r := Received{Events: map[chat.Seq]json.RawMessage{}}
	var joiner wire.Joiner
	for _, m := range d.Messages() {
		r.Frames++
		frame, whole, err := Decode(&joiner, m)
		for _, u := range users {
			if u != d.User && (u.In(m) || u.In(whole)) { // a part is base64: its text is seen once all parts are joined
				r.Foreign++
				r.problem("%s was sent something of %s: %.300s", d.User.Name, u.Name, m)
			}
		}
		if errors.Is(err, wire.ErrGateway) {
			r.GatewayErrors++
			continue
		}
		if err != nil {
			r.problem("%s was sent %.300q: %v", d.User.Name, m, err)
		}
		if e, ok := frame.(*wire.Events); ok {
			r.add(d, e, whole)
		}
	}
	return r
}

func (r *Received) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// add takes in the events of one frame.
func (r *Received) add(d *Device, e *wire.Events, whole []byte) {
	raw, err := RawEvents(whole)
	if err != nil {
		r.problem("%s was sent events that cannot be decoded: %v", d.User.Name, err)
	}
	if e.ThreadID != d.Thread {
		r.problem("%s watches thread %s and was sent events of %s", d.User.Name, d.Thread, e.ThreadID)
	}
	if r.epoch == "" {
		r.epoch = e.Epoch
	}
	if r.epoch != e.Epoch {
		r.problem("thread %s changed its epoch", d.Thread)
	}
	for i, event := range raw {
		seq := e.Seq + chat.Seq(i)
		if had, ok := r.Events[seq]; ok && !bytes.Equal(had, event) {
			r.problem("event %d of thread %s was sent as %s and as %s", seq, d.Thread, had, event)
		}
		r.Events[seq] = event
	}
}

// Stream returns the events in order, decoded and as bytes. A missing event up to head is an error.
func (r *Received) Stream(head chat.Seq) ([]agui.Event, []json.RawMessage, error) {
	if chat.Seq(len(r.Events)) != head {
		return nil, nil, fmt.Errorf("%d events of %d", len(r.Events), head)
	}
	raw, err := inOrder(r.Events)
	if err != nil {
		return nil, nil, err
	}
	events, err := decodeEvents(raw)
	return events, raw, err
}

// inOrder returns events by their sequence numbers, which must be 1 to the number of events.
func inOrder(events map[chat.Seq]json.RawMessage) (raw []json.RawMessage, err error) {
	for seq := chat.Seq(1); seq <= chat.Seq(len(events)); seq++ {
		e, ok := events[seq]
		if !ok {
			return nil, fmt.Errorf("event %d of %d is missing", seq, len(events))
		}
		raw = append(raw, e)
	}
	return raw, nil
}

func decodeEvents(raw []json.RawMessage) ([]agui.Event, error) {
	events := make([]agui.Event, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &events[i]); err != nil {
			return nil, fmt.Errorf("decode event %d: %w", i+1, err)
		}
	}
	return events, nil
}

// DecodeEvents decodes events.
func DecodeEvents(t testing.TB, raw []json.RawMessage) []agui.Event {
	t.Helper()
	events, err := decodeEvents(raw)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// RawEvents returns the events of an events frame, each as the bytes that it was sent in.
func RawEvents(frame []byte) ([]json.RawMessage, error) {
	var f struct {
		Events []json.RawMessage `json:"events"`
	}
	err := json.Unmarshal(frame, &f)
	return f.Events, err
}

// Decode decodes a message of the server and joins parts. It returns the frame and its bytes; a part that is not the
// last of its frame returns no frame yet.
func Decode(j *wire.Joiner, m []byte) (wire.ServerFrame, []byte, error) {
	f, err := wire.DecodeServer(m)
	p, ok := f.(*wire.Part)
	if err != nil || !ok {
		return f, m, err
	}
	whole, err := j.Add(p)
	if err != nil || whole == nil {
		return nil, nil, err
	}
	f, err = wire.DecodeServer(whole)
	return f, whole, err
}
