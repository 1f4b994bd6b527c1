package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"carrel/shared/sametext"
)

// CheckResponse reports what is wrong with a person's answer to a question with this schema, in words that may hold a part of the
// answer; without a schema every answer fits. An error of the schema itself is one too.
func CheckResponse(schema, answer json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	resolved, err := resolve(schema)
	if err != nil {
		return err
	}
	if answer, err = normal(answer); err != nil {
		return err
	}
	return validate(resolved, answer)
}

// resolve reads the schema of an answer, which has to be an object that refers to nothing: a reference in a circle would
// not end.
func resolve(schema json.RawMessage) (*jsonschema.Resolved, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(schema), []byte("{")) {
		return nil, errors.New("the schema of an answer is no object")
	}
	if bytes.Contains(schema, []byte(`"$ref"`)) || bytes.Contains(schema, []byte(`"$dynamicRef"`)) {
		return nil, errors.New("the schema of an answer has a reference: write in its place what it refers to")
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, fmt.Errorf("read the schema of an answer: %w", err)
	}
	if v := s.Schema; v != "" && !strings.Contains(v, "/2020-12/") && !strings.Contains(v, "/draft-07/") {
		return nil, fmt.Errorf("the schema of an answer is of %q: it may be of draft 2020-12 or draft-07", v)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolve the schema of an answer: %w", err)
	}
	return resolved, nil
}

// MatchChoice returns the choice of a schema that looks like the answer, if there is one such choice; otherwise the answer. A
// client may have typed é as one character where the choice has two.
func MatchChoice(schema, answer json.RawMessage) json.RawMessage {
	var of struct {
		Enum []json.RawMessage `json:"enum"`
	}
	var text string
	if json.Unmarshal(schema, &of) != nil || json.Unmarshal(answer, &text) != nil {
		return answer
	}
	var alike []json.RawMessage
	for _, choice := range of.Enum {
		var one string
		switch err := json.Unmarshal(choice, &one); {
		case err != nil: // a number, say
		case one == text:
			return answer
		case sametext.Equal(one, text):
			alike = append(alike, choice)
		}
	}
	if len(alike) != 1 {
		return answer
	}
	return alike[0]
}

// PlainApproval is the JSON Schema of an answer that approves or refuses a call and changes nothing about it.
const PlainApproval = `{"type":"object","properties":{"approved":{"type":"boolean"}},"required":["approved"],"additionalProperties":false}`

// approval is the JSON Schema of the answer to a question about a call: {approved: boolean, arguments?: the tool's
// schema}. A tool's schema that is too long, or that refers to something, is left out: then the arguments cannot be edited.
func approval(arguments json.RawMessage) json.RawMessage {
	whole := json.RawMessage(fmt.Sprintf(
		`{"type":"object","properties":{"approved":{"type":"boolean"},"arguments":%s},"required":["approved"],"additionalProperties":false}`, arguments))
	if len(whole) > maxAsked {
		return json.RawMessage(PlainApproval)
	}
	if _, err := resolve(whole); err != nil {
		return json.RawMessage(PlainApproval)
	}
	return whole
}

// EditedResult is the result of a call whose arguments a person changed. It begins with them, because the model wrote others.
func EditedResult(arguments, result string) string {
	return fmt.Sprintf("A person changed the arguments to %s\n%s", arguments, result)
}
