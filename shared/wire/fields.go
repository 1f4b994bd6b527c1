package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"carrel/shared/chat"
)

// Bounds of numbers. A sequence number has at most 12 digits, because the store's keys have room for 12.
const (
	maxN     = 1<<53 - 1
	maxSeq   = 999_999_999_999
	maxLimit = 100

	maxListCursor = 256 // bytes: more than the base64 of any id with its time
)

// listCursor reads where a page of a list begins. Only the store knows what the cursor holds.
func (o *object) listCursor(name string) chat.ListCursor {
	s := o.text(name, optional)
	outside := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	invalid := s == "" || len(s) > maxListCursor || strings.ContainsFunc(s, outside)
	if _, there := o.fields[name]; there && o.err == nil && invalid {
		o.fail(name, "This is not a cursor; send the before of an answer, or leave it out.")
	}
	return chat.ListCursor(s)
}

// cursor reads the last event that a client has applied; nil if the field is absent.
func (o *object) cursor(name string) *chat.Cursor {
	in := o.object(name)
	if in == nil {
		return nil
	}
	c := &chat.Cursor{Epoch: chat.Epoch(in.id("epoch", required)), Seq: chat.Seq(in.integer("seq", 0, maxSeq,
		required))}
	in.end()
	o.adopt(in)
	return c
}

// compact returns a field's JSON without its white space. It refuses more than max bytes of it.
func (o *object) compact(name string, max int) json.RawMessage {
	var b bytes.Buffer
	var value any
	if raw := o.fields[name]; json.Compact(&b, raw) != nil || json.Unmarshal(raw, &value) != nil {
		o.fail(name, "It holds a number that is too large.")
		return nil
	}
	if o.err == nil && b.Len() > max {
		o.fail(name, fmt.Sprintf("It is %d bytes long; send at most %d.", b.Len(), max))
		o.err.Code = CodeTooLarge
	}
	return b.Bytes()
}

// metadata reads the object that a client keeps with a message for the user's own devices. It refuses the member
// carrel, which only the server writes.
func (o *object) metadata(name string) json.RawMessage {
	in := o.object(name)
	if in == nil {
		return nil
	}
	if _, there := in.fields["carrel"]; there {
		in.fail("carrel", "Only the server writes this; use another name.")
	}
	o.adopt(in)
	return o.compact(name, MaxMetadata)
}

// confirmed reads a field that must be true, because the request cannot be undone; why is the reason for the sender.
func (o *object) confirmed(name, why string) bool {
	raw := o.get(name, "a boolean", required)
	if raw != nil && string(bytes.TrimSpace(raw)) != "true" {
		o.fail(name, "It must be true: "+why)
	}
	return o.err == nil
}

// boolean reads true or false; false if the field is absent.
func (o *object) boolean(name string) bool {
	raw := o.get(name, "a boolean", optional)
	return raw != nil && string(bytes.TrimSpace(raw)) == "true"
}
