package store

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Pack returns the messages of a run as a transcript's item has them.
func Pack(messages []agui.Message, run chat.RunID) ([]byte, error) {
	text, err := json.Marshal(messages)
	if err != nil {
		return nil, err
	}
	return packed{messages: messages, size: len(text)}.pack(run)
}

// Unpack returns the messages that a transcript's item has.
func Unpack(content []byte, run chat.RunID) ([]agui.Message, error) {
	p, err := new(unpacking).unpack(content, run)
	return p.messages, err
}

// NewEndpoints returns what resolves the endpoint of a client.
func NewEndpoints() dynamodb.EndpointResolverV2 { return newEndpoints() }
