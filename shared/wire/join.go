package wire

import (
	"bytes"
	"fmt"
)

// What a Joiner keeps at most: a peer that begins frames and never ends them must not fill the memory.
const (
	maxParts   = 1024     // of one frame: 22 MB
	maxJoining = 8        // frames begun at a time
	maxJoined  = 32 << 20 // bytes of all of them
)

// Joiner joins Parts to frames, byte for byte. It is for one goroutine. The zero Joiner is ready.
type Joiner struct {
	parts map[string][][]byte
	bytes int // of all that is kept
}

// Add takes one part and returns the whole frame's bytes once its last part is there, else nil. A part that does not
// fit what came before it under the same id is refused, and what was kept of that id is dropped.
func (j *Joiner) Add(p *Part) ([]byte, error) {
	have, begun := j.parts[p.ID]
	if err := j.check(p, have, begun); err != nil {
		j.Drop(p.ID)
		return nil, err
	}
	if !begun {
		if j.parts == nil {
			j.parts = make(map[string][][]byte)
		}
		have = make([][]byte, p.Of)
		j.parts[p.ID] = have
	}
	if have[p.N-1] == nil {
		j.bytes += len(p.Data)
	}
	have[p.N-1] = p.Data
	for _, b := range have {
		if b == nil {
			return nil, nil
		}
	}
	j.Drop(p.ID)
	return bytes.Join(have, nil), nil
}

func (j *Joiner) check(p *Part, have [][]byte, begun bool) error {
	switch {
	case p.ID == "":
		return fmt.Errorf("wire: a part without an id")
	case p.Of < 1 || p.Of > maxParts || p.N < 1 || p.N > p.Of:
		return fmt.Errorf("wire: part %d of %d of %q: want 1 to at most %d", p.N, p.Of, p.ID, maxParts)
	case len(p.Data) == 0 || len(p.Data) > partData:
		return fmt.Errorf("wire: part %d of %q holds %d bytes: want 1 to %d", p.N, p.ID, len(p.Data), partData)
	case !begun && len(j.parts) >= maxJoining:
		return fmt.Errorf("wire: part of %q: %d frames are begun and not ended", p.ID, len(j.parts))
	case j.bytes+len(p.Data) > maxJoined:
		return fmt.Errorf("wire: part of %q: more than %d bytes of frames are begun and not ended", p.ID, maxJoined)
	case begun && len(have) != p.Of:
		return fmt.Errorf("wire: part of %q says %d parts, an earlier one %d", p.ID, p.Of, len(have))
	case begun && have[p.N-1] != nil && !bytes.Equal(have[p.N-1], p.Data):
		return fmt.Errorf("wire: part %d of %q came twice with other data", p.N, p.ID)
	}
	return nil
}

// Drop forgets an incomplete frame: its parts stopped coming, and what it held counts as a gap.
func (j *Joiner) Drop(id string) {
	for _, data := range j.parts[id] {
		j.bytes -= len(data)
	}
	delete(j.parts, id)
}
