package wire

import (
	"encoding/json"
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// responses reads a run's responses to interrupts, nil if the run has none.
func (o *object) responses(name string) []agui.Resume {
	entries := o.list(name, optional)
	if _, there := o.fields[name]; !there || o.err != nil {
		return nil
	}
	if len(entries) < 1 || len(entries) > MaxResponses {
		o.fail(name, fmt.Sprintf("A run takes 1 to %d answers, not %d; leave resume out if there is none.",
			MaxResponses, len(entries)))
		return nil
	}
	out := make([]agui.Resume, 0, len(entries))
	for i, raw := range entries {
		path := fmt.Sprintf("%s[%d]", o.at(name), i)
		r, err := decodeResponse(raw, path)
		for _, previous := range out {
			if err == nil && previous.InterruptID == r.InterruptID {
				err = bad(path+".interruptId", "This interrupt is answered twice; answer it once.")
			}
		}
		if err != nil {
			o.setErr(err)
			return nil
		}
		out = append(out, r)
	}
	return out
}

func decodeResponse(raw []byte, path string) (agui.Resume, *Error) {
	o, err := readObject(raw, path)
	if err != nil {
		return agui.Resume{}, err
	}
	r := agui.Resume{
		InterruptID: chat.InterruptID(o.id("interruptId", required)),
		Status:      agui.ResumeStatus(o.text("status", required)),
		Payload:     o.payload("payload"),
	}
	if r.Status != agui.ResumeResolved && r.Status != agui.ResumeCancelled {
		o.fail("status", "It must be resolved or cancelled.")
	}
	o.end()
	return r, o.err
}

// payload reads any JSON but null, without its white space. It refuses a number that does not fit in a float64, because
// no later reader of the payload could hold it.
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
