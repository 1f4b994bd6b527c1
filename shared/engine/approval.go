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

// approval is what a person answered to the question whether a call may be made.
type approval struct {
	approved  bool
	arguments string // as the person edited them, JSON text; "": they stay as the model wrote them
}

// InvalidResponse is an answer that cannot be acted on. Its text is for a person and may hold a part of the answer.
type InvalidResponse struct {
	Field string // within the answer, such as payload.approved
	Text  string
}

func (e *InvalidResponse) Error() string { return e.Field + ": " + e.Text }

// The fields of an answer that an InvalidResponse names.
const (
	fieldPayload   = "payload"
	fieldApproved  = "payload.approved"
	fieldArguments = "payload.arguments"
)

// readApproval reads the only forms of an approval: no payload, {"approved": true}, {"approved": true, "arguments": {…}}
// and {"approved": false}. Anything else is an error, because unknown input never means yes. The keys are read one by one:
// encoding/json alone would accept a key twice or in another case.
func readApproval(payload json.RawMessage) (approval, *InvalidResponse) {
	if len(payload) == 0 {
		return approval{approved: true}, nil
	}
	fields, err := keysOf(payload)
	if err != nil {
		return approval{}, &InvalidResponse{fieldPayload, fmt.Sprintf(`the payload %v: send {"approved": true} or {"approved": false}`, err)}
	}
	for name := range fields {
		if name != "approved" && name != "arguments" {
			return approval{}, &InvalidResponse{fieldPayload + "." + chars.Head(name, maxName), fmt.Sprintf("%q is not a field of an approval", chars.HeadPoints(name, 40))}
		}
	}
	var a approval
	switch given := string(fields["approved"]); given {
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

// keysOf splits a JSON object into its fields. A key that stands twice is an error.
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

// checkApproval reads the answer to a question about a call, and checks edited arguments against the tool's schema, which
// the question carries. A question without that schema accepts no edited arguments.
func checkApproval(question agui.Interrupt, payload json.RawMessage) (approval, *InvalidResponse) {
	a, invalid := readApproval(payload)
	if invalid != nil || a.arguments == "" {
		return a, invalid
	}
	if !editable(question.ResponseSchema) {
		return approval{}, &InvalidResponse{fieldArguments, "the arguments of this call cannot be changed: approve it as it is, or refuse it"}
	}
	if err := tool.CheckResponse(question.ResponseSchema, payload); err != nil {
		return approval{}, &InvalidResponse{fieldArguments, chars.Head(err.Error(), maxWrong)}
	}
	return a, nil
}

// editable reports whether the schema of an answer has a place for edited arguments.
func editable(schema json.RawMessage) bool {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	return json.Unmarshal(schema, &s) == nil && len(s.Properties["arguments"]) > 0
}

// sameJSON reports whether two texts are the same JSON, whatever their white space and the order of their keys.
func sameJSON(a, b string) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// canonical is a JSON text without white space and with its keys in order. Numbers stay as they are written: as float64 two
// large ones would be equal.
func canonical(text string) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
