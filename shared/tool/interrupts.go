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

// CheckResponse returns an error if a person's response does not fit the schema, or if the schema itself is invalid.
// The error text may contain a part of the response. Without a schema every response fits.
func CheckResponse(schema, response json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	resolved, err := resolve(schema)
	if err != nil {
		return err
	}
	if response, err = normal(response); err != nil {
		return err
	}
	return validate(resolved, response)
}

// CheckSchema returns an error if CheckResponse accepts no response because the schema itself is invalid.
func CheckSchema(schema json.RawMessage) error {
	_, err := resolve(schema)
	return err
}

// resolve decodes a response schema. The schema must be a JSON object without references, because a circular reference
// would never end.
func resolve(schema json.RawMessage) (*jsonschema.Resolved, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(schema), []byte("{")) {
		return nil, errors.New("the schema is not a JSON object")
	}
	if bytes.Contains(schema, []byte(`"$ref"`)) || bytes.Contains(schema, []byte(`"$dynamicRef"`)) {
		return nil, errors.New("the schema has a reference: replace it with the schema that it refers to")
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, fmt.Errorf("decode the schema: %w", err)
	}
	if v := s.Schema; v != "" && !strings.Contains(v, "/2020-12/") && !strings.Contains(v, "/draft-07/") {
		return nil, fmt.Errorf("the schema has the version %q: use draft 2020-12 or draft-07", v)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolve the schema: %w", err)
	}
	return resolved, nil
}

// MatchChoice returns the choice of the schema's enum that looks the same as the response, if there is exactly one.
// Otherwise it returns the response. For example, a client may send é as one character where the choice has two.
func MatchChoice(schema, response json.RawMessage) json.RawMessage {
	var of struct {
		Enum []json.RawMessage `json:"enum"`
	}
	var text string
	if json.Unmarshal(schema, &of) != nil || json.Unmarshal(response, &text) != nil {
		return response
	}
	var alike []json.RawMessage
	for _, choice := range of.Enum {
		var one string
		switch err := json.Unmarshal(choice, &one); {
		case err != nil: // a number, say
		case one == text:
			return response
		case sametext.Equal(one, text):
			alike = append(alike, choice)
		}
	}
	if len(alike) != 1 {
		return response
	}
	return alike[0]
}

// PlainApproval is the JSON Schema of a response that approves or refuses a call and cannot edit its arguments.
const PlainApproval = `{"type":"object","properties":{"approved":{"type":"boolean"}},` +
	`"required":["approved"],"additionalProperties":false}`

// approval returns the JSON Schema of the response to an interrupt about a call: {approved: boolean, arguments?: the
// tool's schema}. If the tool's schema is too long or has a reference, it returns PlainApproval, and the arguments
// cannot be edited.
func approval(arguments json.RawMessage) json.RawMessage {
	whole := json.RawMessage(fmt.Sprintf(
		`{"type":"object","properties":{"approved":{"type":"boolean"},"arguments":%s},`+
			`"required":["approved"],"additionalProperties":false}`, arguments))
	if len(whole) > maxAsked {
		return json.RawMessage(PlainApproval)
	}
	if _, err := resolve(whole); err != nil {
		return json.RawMessage(PlainApproval)
	}
	return whole
}

// EditedResult returns the result text of a call whose arguments a person edited. The text begins with these arguments,
// because the model wrote other ones.
func EditedResult(arguments, result string) string {
	return fmt.Sprintf("A person changed the arguments to %s\n%s", arguments, result)
}
