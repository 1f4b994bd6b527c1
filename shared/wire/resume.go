package wire

import (
	"bytes"
	"encoding/json"
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// answers reads a run's answers to interrupts, nil if it has none.
func (o *object) answers(name string) []agui.Resume {
	list := o.list(name, optional)
	if _, there := o.fields[name]; !there || o.err != nil {
		return nil
	}
	if len(list) < 1 || len(list) > MaxAnswers {
		o.fail(name, fmt.Sprintf("A run takes 1 to %d answers, not %d; leave resume out if there is none.", MaxAnswers, len(list)))
		return nil
	}
	out := make([]agui.Resume, 0, len(list))
	for i, raw := range list {
		path := fmt.Sprintf("%s[%d]", o.at(name), i)
		a, err := decodeAnswer(raw, path)
		for _, earlier := range out {
			if err == nil && earlier.InterruptID == a.InterruptID {
				err = bad(path+".interruptId", "This interrupt is answered twice; answer it once.")
			}
		}
		if err != nil {
			o.setErr(err)
			return nil
		}
		out = append(out, a)
	}
	return out
}

func decodeAnswer(raw []byte, path string) (agui.Resume, *Error) {
	o, err := readObject(raw, path)
	if err != nil {
		return agui.Resume{}, err
	}
	a := agui.Resume{
		InterruptID: chat.InterruptID(o.id("interruptId", required)),
		Status:      agui.ResumeStatus(o.text("status", required)),
		Payload:     o.payload("payload"),
	}
	if a.Status != agui.ResumeResolved && a.Status != agui.ResumeCancelled {
		o.fail("status", "It must be resolved or cancelled.")
	}
	o.end()
	return a, o.err
}

// payload reads any JSON but null, without its white space. A number that no float64 holds is refused: whoever reads
// the payload later could not.
func (o *object) payload(name string) json.RawMessage {
	o.known = append(o.known, name)
	raw, there := o.fields[name]
	if !there {
		return nil
	}
	if kind(raw) == "null" {
		o.fail(name, "It must not be null; leave a field out if it has no value.")
		return nil
	}
	return o.compact(name, MaxPayload)
}

// compact is a field's JSON without its white space, at most so many bytes of it.
func (o *object) compact(name string, most int) json.RawMessage {
	var b bytes.Buffer
	var value any
	if raw := o.fields[name]; json.Compact(&b, raw) != nil || json.Unmarshal(raw, &value) != nil {
		o.fail(name, "It holds a number that is too large.")
		return nil
	}
	if o.err == nil && b.Len() > most {
		o.fail(name, fmt.Sprintf("It is %d bytes long; send at most %d.", b.Len(), most))
		o.err.Code = CodeTooLarge
	}
	return b.Bytes()
}

// metadata reads what a client keeps with a message for itself and its user's other devices: an object without the member
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

// confirmed reads a field that must be true: what follows cannot be taken back.
func (o *object) confirmed(name, why string) bool {
	raw := o.get(name, "a boolean", required)
	if raw != nil && string(bytes.TrimSpace(raw)) != "true" {
		o.fail(name, "It must be true: "+why)
	}
	return o.err == nil
}

// boolean reads true or false; false if it is missing.
func (o *object) boolean(name string) (yes bool) {
	raw := o.get(name, "a boolean", optional)
	return raw != nil && string(bytes.TrimSpace(raw)) == "true"
}
