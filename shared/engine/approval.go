package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/tool"
)

// approval is a person's decision whether a call may be made.
type approval struct {
	approved  bool
	arguments string // the person's edited arguments, JSON text; "" if the person did not edit them
}

// InvalidResponse describes a response that does not fit its interrupt. The text is for a person, and may contain a
// part of the response.
type InvalidResponse struct {
	Field string // the field of the response that is wrong, such as payload.approved
	Text  string
}

func (e *InvalidResponse) Error() string { return e.Field + ": " + e.Text }

// The fields of a response that an InvalidResponse names.
const (
	fieldPayload   = "payload"
	fieldApproved  = "payload.approved"
	fieldArguments = "payload.arguments"
)

// readApproval decodes the payload of a response that approves or refuses a call. The only forms are no payload,
// {"approved": true}, {"approved": true, "arguments": {…}} and {"approved": false}. Anything else is an error,
// because unknown input must never approve. It reads the keys one by one, because encoding/json alone accepts a
// duplicate key and a key in another case.
func readApproval(payload json.RawMessage) (approval, *InvalidResponse) {
	if len(payload) == 0 {
		return approval{approved: true}, nil
	}
	fields, err := keysOf(payload)
	if err != nil {
		return approval{}, &InvalidResponse{fieldPayload,
			fmt.Sprintf(`the payload %v: send {"approved": true} or {"approved": false}`, err)}
	}
	for name := range fields {
		if name != "approved" && name != "arguments" {
			return approval{}, &InvalidResponse{fieldPayload + "." + chars.Head(name, maxName),
				fmt.Sprintf("%q is not a field of an approval", chars.HeadPoints(name, 40))}
		}
	}
	var a approval
	switch string(fields["approved"]) {
	case "true":
		a.approved = true
	case "false":
	case "":
		return approval{}, &InvalidResponse{fieldApproved, `"approved" is missing: it must be true or false`}
	default:
		return approval{}, &InvalidResponse{fieldApproved, `"approved" is neither true nor false`}
	}
	if edited, there := fields["arguments"]; there && a.approved {
		if _, err := keysOf(edited); err != nil {
			return approval{}, &InvalidResponse{fieldArguments, fmt.Sprintf(`"arguments" %v`, err)}
		}
		a.arguments = string(edited)
	}
	return a, nil
}

// keysOf splits a JSON object into its fields. A duplicate key is an error.
func keysOf(object json.RawMessage) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errors.New("is not valid JSON")
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("is not valid JSON")
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("has the field %q twice", chars.HeadPoints(name, 40))
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, errors.New("is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is more than one JSON value")
	}
	return fields, nil
}

// checkApproval decodes the payload of a response about a call, and checks edited arguments against the tool's schema,
// which the interrupt carries. An interrupt without that schema accepts no edited arguments.
func checkApproval(interrupt agui.Interrupt, payload json.RawMessage) (approval, *InvalidResponse) {
	a, invalid := readApproval(payload)
	if invalid != nil || a.arguments == "" {
		return a, invalid
	}
	if !editable(interrupt.ResponseSchema) {
		return approval{}, &InvalidResponse{fieldArguments,
			"the arguments of this call cannot be changed: approve it as it is, or refuse it"}
	}
	if err := tool.CheckResponse(interrupt.ResponseSchema, payload); err != nil {
		return approval{}, &InvalidResponse{fieldArguments, chars.Head(err.Error(), maxReason)}
	}
	return a, nil
}

// editable reports whether a response schema has a property for edited arguments.
func editable(schema json.RawMessage) bool {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	return json.Unmarshal(schema, &s) == nil && len(s.Properties["arguments"]) > 0
}

// sameJSON reports whether two texts are the same JSON value, apart from white space and the order of keys.
func sameJSON(a, b string) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// canonical returns a JSON text without white space and with sorted keys. Numbers keep their spelling, because two
// different large numbers can be equal as float64.
func canonical(text string) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
