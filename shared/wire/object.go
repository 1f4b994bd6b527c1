package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"

	"carrel/shared/chars"
	"carrel/shared/chat"
)

// presence says whether a field must be there.
type presence bool

const (
	required presence = true
	optional presence = false
)

// object is one JSON object that is read field by field. encoding/json alone would take a key twice, in another case
// or with null; here each is refused. The first error stays.
type object struct {
	path   string
	fields map[string]json.RawMessage
	known  []string // the fields that were asked for; end refuses all others
	err    *Error
}

// bad is a bad_frame error about a field ("" is the whole frame). Its message is for a person.
func bad(field, what string) *Error {
	msg := what
	if field != "" {
		msg = field + ": " + what
	}
	return &Error{Kind: Kind{TypeError}, Code: CodeBadFrame, Field: field, Message: msg}
}

// readObject splits an object into its fields. On an error the object holds what was read before it, or is nil.
func readObject(data []byte, path string) (*object, *Error) {
	if !json.Valid(data) {
		return nil, bad(path, "The frame is not JSON.")
	}
	switch k := kind(data); {
	case k != "an object" && path == "":
		return nil, bad("", "The frame must be a JSON object, not "+k+".")
	case k != "an object":
		return nil, bad(path, "It must be an object, not "+k+".")
	}
	o := &object{path: path, fields: make(map[string]json.RawMessage)}
	dec := json.NewDecoder(bytes.NewReader(data))
	var twice *Error
	for {
		t, err := dec.Token()
		if err == io.EOF {
			return o, twice
		}
		if err != nil {
			return o, bad(path, "The frame is not JSON.")
		}
		key, isKey := t.(string)
		if !isKey { // the braces
			continue
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return o, bad(path, "The frame is not JSON.")
		}
		if _, there := o.fields[key]; !there {
			o.fields[key] = value
		} else if twice == nil {
			twice = bad(o.at(clip(key)), "The field is there twice; send it once.")
		}
	}
}

// at is the path of a field.
func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func (o *object) fail(name, what string) { o.setErr(bad(o.at(name), what)) }

func (o *object) setErr(err *Error) {
	if o.err == nil {
		o.err = err
	}
}

// adopt takes over the error of an inner object.
func (o *object) adopt(in *object) {
	if in.err != nil {
		o.setErr(in.err)
	}
}

// get returns a field of the wanted kind, or nil after noting what is wrong.
func (o *object) get(name, want string, p presence) json.RawMessage {
	o.known = append(o.known, name)
	raw, there := o.fields[name]
	if !there {
		if p == required {
			o.fail(name, "The field is missing; it must be "+want+".")
		}
		return nil
	}
	switch k := kind(raw); k {
	case want:
		return raw
	case "null":
		o.fail(name, "It must be "+want+", not null; leave a field out if it has no value.")
	default:
		o.fail(name, "It must be "+want+", not "+k+".")
	}
	return nil
}

// kind names a JSON value's kind as messages do.
func kind(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func (o *object) text(name string, p presence) string {
	raw := o.get(name, "a string", p)
	if raw == nil {
		return ""
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		o.fail(name, "It must be a string.")
	}
	return s
}

// id reads a client's id. An optional one is absent or good, never empty.
func (o *object) id(name string, p presence) string {
	s := o.text(name, p)
	if _, there := o.fields[name]; !there || o.err != nil {
		return ""
	}
	if err := chat.CheckID(s); err != nil {
		o.fail(name, "It is a "+err.Error()+".")
		return ""
	}
	return s
}

// readableID is a good id or nothing; it notes no error.
func (o *object) readableID(name string) string {
	var s string
	if json.Unmarshal(o.fields[name], &s) != nil || chat.CheckID(s) != nil {
		return ""
	}
	return s
}

func (o *object) integer(name string, least, most int64, p presence) int64 {
	raw := o.get(name, "a number", p)
	if raw == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil || n < least || n > most {
		o.fail(name, "It must be a whole number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most,
			10)+".")
		return 0
	}
	return n
}

// object reads an optional inner object, nil if it is absent or wrong.
func (o *object) object(name string) *object {
	raw := o.get(name, "an object", optional)
	if raw == nil {
		return nil
	}
	in, err := readObject(raw, o.at(name))
	if err != nil {
		o.setErr(err)
		return nil
	}
	return in
}

func (o *object) list(name string, p presence) []json.RawMessage {
	raw := o.get(name, "a list", p)
	if raw == nil {
		return nil
	}
	var l []json.RawMessage
	if err := json.Unmarshal(raw, &l); err != nil {
		o.fail(name, "It must be a list.")
	}
	return l
}

// end refuses the fields that nobody asked for: the alphabetically first, so that the answer is always the same.
func (o *object) end() {
	var extra []string
	for name := range o.fields {
		if !slices.Contains(o.known, name) {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		o.fail(clip(slices.Min(extra)), "There is no such field here; leave it out.")
	}
}

// clip shortens what a client wrote before it is said back.
func clip(s string) string {
	if head := chars.HeadPoints(s, 40); head != s {
		return head + "…"
	}
	return s
}
