package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Errors of DecodeServer for messages that a client passes over.
var (
	ErrGateway     = errors.New("wire: a message of API Gateway itself")
	ErrUnknownType = errors.New("wire: an unknown type of frame")
)

// EncodeClient encodes a client's frame and sets its type. It fails for a frame that DecodeClient would refuse.
func EncodeClient(f ClientFrame) ([]byte, error) {
	typed, err := typedClient(f)
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

// DecodeClient decodes one frame of a client strictly. It refuses an unknown type, a missing or additional field, a
// wrong type of a field, a bad id and a text that is too long. Its *Error (bad_frame or too_large) names the field and
// is ready to be sent; it has the frame's requestId if that could be read.
func DecodeClient(data []byte) (ClientFrame, *Error) {
	if len(data) > MaxFrame {
		return nil, &Error{Kind: Kind{TypeError}, Code: CodeTooLarge,
			Message: fmt.Sprintf("The frame is %d bytes long; send at most %d.", len(data), MaxFrame)}
	}
	if !utf8.Valid(data) {
		return nil, bad("", "The frame is not UTF-8 text.")
	}
	o, err := readObject(data, "")
	if err != nil {
		if o != nil {
			err.RequestID = o.readableID("requestId")
		}
		return nil, err
	}
	f := decodeFrame(o)
	if o.err != nil {
		o.err.RequestID = o.readableID("requestId")
		return nil, o.err
	}
	return f, nil
}

// decodeFrame reads the frame whose type the object names. The first error is in o.err.
func decodeFrame(o *object) ClientFrame {
	h := Header{Type: Type(o.text("type", required)), RequestID: o.id("requestId", optional)}
	if o.err != nil {
		return nil
	}
	for _, row := range clientTable() {
		if row.typ == h.Type {
			f := row.decode(o, h)
			o.end()
			return f
		}
	}
	o.fail("type", fmt.Sprintf("There is no frame of type %q; the protocol's reference lists them.",
		clip(string(h.Type))))
	return nil
}

// Encode encodes a server's frame as the WebSocket messages that carry it: one, or Parts if it is over MaxFrame. It
// sets the frame's type and replaces nil lists by empty ones: absent means absent, never null. The id names the parts;
// it must be unique on its connection.
func Encode(f ServerFrame, id string) ([][]byte, error) {
	t, typed, err := typedServer(f)
	if err != nil {
		return nil, err
	}
	data, err := marshal(typed)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", t, err)
	}
	if len(data) <= MaxFrame {
		return [][]byte{data}, nil
	}
	return split(data, id)
}

// DecodeServer decodes one message of the server into a pointer to one of its frames. It returns ErrGateway for a
// message without a type, which API Gateway has sent itself, and ErrUnknownType for an unknown type. A client passes
// over both.
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
	f := newServerFrame(*head.Type)
	if f == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownType, *head.Type)
	}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("wire: decode %s: %w", *head.Type, err)
	}
	return f, nil
}

// marshal is json.Marshal without the escapes for HTML, which only lengthen texts.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
