package wire

import (
	"bytes"
	"fmt"

	"carrel/shared/chat"
)

// Bounds of the parts. The last three bound the memory of a Joiner, because a peer may begin frames and never end them.
const (
	partData   = 22 << 10 // bytes in one part
	maxParts   = 1024     // of one frame: 22 MB
	maxJoining = 8        // frames with a part missing at a time
	maxJoined  = 32 << 20 // bytes of all of these
)

// Part is a piece of a frame that is longer than MaxFrame.
type Part struct {
	Kind
	ID   string `json:"id"`
	N    int    `json:"n"`  // from 1
	Of   int    `json:"of"` // how many parts the frame has
	Data []byte `json:"data"`
}

// split encodes a long frame as parts.
func split(data []byte, id string) ([][]byte, error) {
	if err := chat.CheckID(id); err != nil {
		return nil, fmt.Errorf("wire: name the parts of a long frame: %w", err)
	}
	p := Part{Kind: Kind{TypePart}, ID: id, Of: (len(data) + partData - 1) / partData}
	if p.Of > maxParts {
		return nil, fmt.Errorf("wire: a frame of %d bytes is too long: at most %d fit in parts", len(data),
			maxParts*partData)
	}
	out := make([][]byte, 0, p.Of)
	for len(data) > 0 {
		k := min(partData, len(data))
		p.N++
		p.Data, data = data[:k], data[k:]
		b, err := marshal(&p)
		if err != nil {
			return nil, fmt.Errorf("wire: encode part %d of %d: %w", p.N, p.Of, err)
		}
		out = append(out, b)
	}
	return out, nil
}

// Joiner joins Parts to frames, byte for byte. It is for one goroutine. The zero Joiner is ready.
type Joiner struct {
	parts map[string][][]byte
	bytes int // of all parts that are held
}

// Add adds one part. It returns the bytes of the whole frame with the frame's last part, and else nil. A part that does
// not fit the earlier parts of the same id is an error, and Add then drops those parts too.
func (j *Joiner) Add(p *Part) ([]byte, error) {
	held, begun := j.parts[p.ID]
	if err := j.check(p, held, begun); err != nil {
		j.Drop(p.ID)
		return nil, err
	}
	if !begun {
		if j.parts == nil {
			j.parts = make(map[string][][]byte)
		}
		held = make([][]byte, p.Of)
		j.parts[p.ID] = held
	}
	if held[p.N-1] == nil {
		j.bytes += len(p.Data)
	}
	held[p.N-1] = p.Data
	for _, b := range held {
		if b == nil {
			return nil, nil
		}
	}
	j.Drop(p.ID)
	return bytes.Join(held, nil), nil
}

func (j *Joiner) check(p *Part, held [][]byte, begun bool) error {
	switch {
	case p.ID == "":
		return fmt.Errorf("wire: a part without an id")
	case p.Of < 1 || p.Of > maxParts || p.N < 1 || p.N > p.Of:
		return fmt.Errorf("wire: part %d of %d of %q: want 1 to at most %d", p.N, p.Of, p.ID, maxParts)
	case len(p.Data) == 0 || len(p.Data) > partData:
		return fmt.Errorf("wire: part %d of %q has %d bytes: want 1 to %d", p.N, p.ID, len(p.Data), partData)
	case !begun && len(j.parts) >= maxJoining:
		return fmt.Errorf("wire: part of %q: %d other frames are incomplete", p.ID, len(j.parts))
	case j.bytes+len(p.Data) > maxJoined:
		return fmt.Errorf("wire: part of %q: incomplete frames exceed %d bytes", p.ID, maxJoined)
	case begun && len(held) != p.Of:
		return fmt.Errorf("wire: part of %q gives %d parts, an earlier one %d", p.ID, p.Of, len(held))
	case begun && held[p.N-1] != nil && !bytes.Equal(held[p.N-1], p.Data):
		return fmt.Errorf("wire: part %d of %q was received twice with different data", p.N, p.ID)
	}
	return nil
}

// Drop discards the parts of an incomplete frame.
func (j *Joiner) Drop(id string) {
	for _, data := range j.parts[id] {
		j.bytes -= len(data)
	}
	delete(j.parts, id)
}
