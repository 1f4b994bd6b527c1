package tool

import (
	"encoding/json"
	"fmt"
)

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

// Edited is the result of a call whose arguments a person changed. It begins with them, because the model wrote others.
func Edited(arguments, result string) string {
	return fmt.Sprintf("A person changed the arguments to %s\n%s", arguments, result)
}
