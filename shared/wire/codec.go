package wire

import "errors"

// What DecodeServer says of messages that are no frame of the protocol.
var (
	ErrGateway     = errors.New("wire: a message of API Gateway itself")
	ErrUnknownType = errors.New("wire: an unknown type of frame")
)

// DecodeClient decodes one frame of a client strictly: an unknown type, a missing or extra field, a wrong type, a bad
// id or an over-long text gives an *Error (bad_frame or too_large) that names the field, ready to be sent, with the
// frame's requestId if that much could be read.
func DecodeClient(data []byte) (ClientFrame, *Error) { panic("not built") }

// EncodeClient encodes a client's frame, setting its type. It fails for a frame that DecodeClient would refuse.
func EncodeClient(f ClientFrame) ([]byte, error) { panic("not built") }

// Encode encodes a server's frame as the WebSocket messages that carry it: one, or Parts if it is over MaxFrame. It
// sets the frame's type and makes nil slices empty ones: absent means absent, never null. The id names the parts; it
// must be unique on its connection.
func Encode(f ServerFrame, id string) ([][]byte, error) { panic("not built") }

// DecodeServer decodes one message of the server into a pointer to one of its frames. A message without a type is one
// of API Gateway's own and gives ErrGateway; an unknown type gives ErrUnknownType, which a client passes over.
func DecodeServer(data []byte) (ServerFrame, error) { panic("not built") }

// Joiner joins Parts to frames, byte for byte. It is for one goroutine. The zero Joiner is ready.
type Joiner struct {
	parts map[string][][]byte
}

// Add takes one part and returns the whole frame's bytes once its last part is there, else nil. A part that does not
// fit what came before it under the same id is refused, and what was kept of that id is dropped.
func (j *Joiner) Add(p *Part) ([]byte, error) { panic("not built") }

// Drop forgets an incomplete frame: its parts stopped coming, and what it held counts as a gap.
func (j *Joiner) Drop(id string) { delete(j.parts, id) }
