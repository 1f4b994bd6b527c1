package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// What DecodeServer says of messages that are no frame of the protocol.
var (
	ErrGateway     = errors.New("wire: a message of API Gateway itself")
	ErrUnknownType = errors.New("wire: an unknown type of frame")
)

// EncodeClient encodes a client's frame, setting its type. It fails for a frame that DecodeClient would refuse.
func EncodeClient(f ClientFrame) ([]byte, error) {
	typed, err := withClientType(f)
	if err != nil {
		return nil, err
	}
	data, err := marshal(typed)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %T: %w", f, err)
	}
	if _, bad := DecodeClient(data); bad != nil {
		return nil, fmt.Errorf("wire: encode %T: %s: %s", f, bad.Code, bad.Message)
	}
	return data, nil
}

// withClientType returns a copy of f with its type set: the caller's frame may be in use elsewhere.
func withClientType(f ClientFrame) (ClientFrame, error) {
	switch f := f.(type) {
	case *Hello:
		c := *f
		c.Type = TypeHello
		return &c, nil
	case *Run:
		c := *f
		c.Type, c.Messages = TypeRun, some(c.Messages)
		return &c, nil
	case *Cancel:
		c := *f
		c.Type = TypeCancel
		return &c, nil
	case *Threads:
		c := *f
		c.Type = TypeThreads
		return &c, nil
	case *History:
		c := *f
		c.Type = TypeHistory
		return &c, nil
	case *Rename:
		c := *f
		c.Type = TypeRename
		return &c, nil
	case *Delete:
		c := *f
		c.Type = TypeDelete
		return &c, nil
	case *Runs:
		c := *f
		c.Type = TypeRuns
		return &c, nil
	case *Erase:
		c := *f
		c.Type = TypeErase
		return &c, nil
	case *SignOut:
		c := *f
		c.Type = TypeSignOut
		return &c, nil
	case *Ping:
		c := *f
		c.Type = TypePing
		return &c, nil
	}
	return nil, fmt.Errorf("wire: encode %T: not a client's frame", f)
}

// Encode encodes a server's frame as the WebSocket messages that carry it: one, or Parts if it is over MaxFrame. It
// sets the frame's type and makes nil slices empty ones: absent means absent, never null. The id names the parts; it
// must be unique on its connection.
func Encode(f ServerFrame, id string) ([][]byte, error) {
	typed, err := normalise(f)
	if err != nil {
		return nil, err
	}
	data, err := marshal(typed)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", f.frame(), err)
	}
	if len(data) <= MaxFrame {
		return [][]byte{data}, nil
	}
	return split(data, id)
}

func split(data []byte, id string) ([][]byte, error) {
	if err := chat.CheckID(id); err != nil {
		return nil, fmt.Errorf("wire: name the parts of a long frame: %w", err)
	}
	p := Part{Type: TypePart, ID: id, Of: (len(data) + partData - 1) / partData}
	if p.Of > maxParts {
		return nil, fmt.Errorf("wire: a frame of %d bytes is too long: at most %d fit in parts", len(data), maxParts*partData)
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

// normalise returns a copy of f with its type set and no nil slice. The copy is shallow: what f points to is only read.
func normalise(f ServerFrame) (ServerFrame, error) {
	switch f := f.(type) {
	case *Ready:
		c := *f
		c.Type, c.Queued, c.Interrupts = TypeReady, some(c.Queued), some(c.Interrupts)
		return &c, nil
	case *Snapshot:
		c := *f
		c.Type, c.Messages, c.Interrupts = TypeSnapshot, some(c.Messages), some(c.Interrupts)
		c.Runs = some(c.Runs)
		return &c, nil
	case *Pong:
		c := *f
		c.Type, c.Runs = TypePong, some(c.Runs)
		return &c, nil
	case *Events:
		c := *f
		c.Type, c.Events = TypeEvents, withInputs(some(c.Events))
		return &c, nil
	case *ThreadList:
		c := *f
		c.Type, c.Threads = TypeThreads, some(c.Threads)
		return &c, nil
	case *HistoryPage:
		c := *f
		c.Type, c.Messages, c.Runs = TypeHistory, some(c.Messages), some(c.Runs)
		return &c, nil
	case *RunList:
		c := *f
		c.Type, c.Runs = TypeRuns, some(c.Runs)
		return &c, nil
	}
	return normaliseFlat(f)
}

// normaliseFlat does the frames without lists.
func normaliseFlat(f ServerFrame) (ServerFrame, error) {
	switch f := f.(type) {
	case *Accepted:
		c := *f
		c.Type = TypeAccepted
		return &c, nil
	case *Rejected:
		c := *f
		c.Type = TypeRejected
		return &c, nil
	case *Ended:
		c := *f
		c.Type = TypeEnded
		return &c, nil
	case *Thread:
		c := *f
		c.Type = TypeThread
		return &c, nil
	case *Done:
		c := *f
		c.Type = TypeDone
		return &c, nil
	case *Error:
		c := *f
		c.Type = TypeError
		return &c, nil
	case *Part:
		c := *f
		c.Type, c.Data = TypePart, some(c.Data)
		return &c, nil
	}
	return nil, fmt.Errorf("wire: encode %T: not a server's frame", f)
}

func some[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// withInputs makes the message list of a RUN_STARTED's input a list even if it is empty, on a copy: events are shared.
func withInputs(events []agui.Event) []agui.Event {
	out := events
	for i, e := range events {
		if e.Input == nil || e.Input.Messages != nil {
			continue
		}
		if &out[0] == &events[0] {
			out = append([]agui.Event(nil), events...)
		}
		in := *e.Input
		in.Messages = []agui.Message{}
		out[i].Input = &in
	}
	return out
}

// DecodeServer decodes one message of the server into a pointer to one of its frames. A message without a type is one
// of API Gateway's own and gives ErrGateway; an unknown type gives ErrUnknownType, which a client passes over.
func DecodeServer(data []byte) (ServerFrame, error) {
	if b := bytes.TrimLeft(data, " \t\r\n"); len(b) == 0 || b[0] != '{' {
		return nil, errors.New("wire: decode a server's frame: not a JSON object")
	}
	var head struct {
		Type *Type `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("wire: decode a server's frame: %w", err)
	}
	if head.Type == nil {
		return nil, ErrGateway
	}
	f := serverFrame(*head.Type)
	if f == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownType, *head.Type)
	}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("wire: decode %s: %w", *head.Type, err)
	}
	return f, nil
}

func serverFrame(t Type) ServerFrame {
	switch t {
	case TypeReady:
		return new(Ready)
	case TypeSnapshot:
		return new(Snapshot)
	case TypePong:
		return new(Pong)
	case TypeEvents:
		return new(Events)
	case TypeAccepted:
		return new(Accepted)
	case TypeRejected:
		return new(Rejected)
	case TypeEnded:
		return new(Ended)
	case TypeThread:
		return new(Thread)
	case TypeDone:
		return new(Done)
	case TypeThreads:
		return new(ThreadList)
	case TypeHistory:
		return new(HistoryPage)
	case TypeRuns:
		return new(RunList)
	case TypeError:
		return new(Error)
	case TypePart:
		return new(Part)
	}
	return nil
}

// marshal is json.Marshal without the escapes for HTML, which would make text longer for nobody's good.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
