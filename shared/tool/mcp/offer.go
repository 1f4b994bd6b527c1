package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/chars"
	"carrel/shared/tool"
	"carrel/shared/visible"
)

const (
	maxName        = 64   // of a tool's name, by the rule of the model providers
	maxDescription = 4000 // bytes
)

// Listed is one tool as a server lists it. The digest changes with everything that the model or the person relies on.
type Listed struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	Destructive bool            `json:"destructive,omitempty"` // the server says that a call deletes or overwrites
	Digest      string          `json:"digest"`
}

// listed returns a tool of the SDK as this package keeps it.
func listed(t *sdk.Tool) (Listed, error) {
	schema, err := json.Marshal(t.InputSchema)
	if err != nil {
		return Listed{}, fmt.Errorf("encode the schema of %q: %w", t.Name, err)
	}
	l := Listed{Name: t.Name, Description: t.Description, Schema: schema}
	if a := t.Annotations; a != nil && a.DestructiveHint != nil {
		l.Destructive = *a.DestructiveHint && !a.ReadOnlyHint
	}
	text, err := json.Marshal(l) // with an empty digest; the SDK has decoded the schema, so its keys are sorted
	if err != nil {
		return Listed{}, err
	}
	sum := sha256.Sum256(text)
	l.Digest = hex.EncodeToString(sum[:])
	return l, nil
}

// toolName returns the name under which a model calls a server's tool: the server's name, which has no underscore, and
// the tool's. A name that is too long or has other characters ends with a hash of the original, so two tools never
// have one name.
func toolName(server, name string) string {
	plain := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			return c
		}
		return '_'
	}, name)
	full := server + "_" + plain
	if plain == name && len(full) <= maxName {
		return full
	}
	sum := sha256.Sum256([]byte(server + "\x00" + name))
	tail := "_" + hex.EncodeToString(sum[:4])
	return full[:min(len(full), maxName-len(tail))] + tail
}

// offer makes the tool that a model can call from a server's tool. call makes the call.
func offer(s Server, l Listed, call handler) (tool.Tool, error) {
	schema, unwrap, err := forModel(l.Schema)
	if err != nil {
		return tool.Tool{}, fmt.Errorf("the schema of %q: %w", l.Name, err)
	}
	spec := tool.Spec{
		Name: toolName(s.Name, l.Name), Description: visible.Text(chars.Head(l.Description, maxDescription)),
		Schema: schema,
	}
	made, err := tool.Raw(spec, s.Grant, call.with(l, unwrap))
	if err != nil {
		return tool.Tool{}, fmt.Errorf("the tool %q: %w", l.Name, err)
	}
	made = made.From("mcp:" + s.Name).Deadline(callTime)
	readOnly := has(s.ReadOnly, l.Name)
	if readOnly {
		made = made.ReadOnly()
	}
	if has(s.Idempotent, l.Name) {
		made = made.Idempotent()
	}
	if s.Ask == AskAlways || l.Destructive || s.Ask == AskWrites && !readOnly {
		made = made.AskFirst(fmt.Sprintf("May %s of the server %s be called?", visible.Line(l.Name), s.Name))
	}
	if !s.Trusted {
		made = made.Outside()
	}
	return made, nil
}

// wrapped is the property that holds the arguments of a tool whose schema is a union.
const wrapped = "arguments"

// unwrapper turns arguments for the schema that the model sees into those for the server.
type unwrapper func(args json.RawMessage) (json.RawMessage, error)

// forModel returns the schema that a model provider accepts, and the unwrapper of its arguments. Providers refuse a
// schema whose root is a union. Such a schema becomes the one property of an object.
func forModel(schema json.RawMessage) (json.RawMessage, unwrapper, error) {
	same := func(args json.RawMessage) (json.RawMessage, error) { return args, nil }
	var root map[string]json.RawMessage
	if err := json.Unmarshal(schema, &root); err != nil || root == nil {
		return nil, nil, errors.New("it is not a JSON object")
	}
	if !slices.ContainsFunc([]string{"anyOf", "oneOf", "allOf", "not", "if", "enum", "const"},
		func(name string) bool { return root[name] != nil }) {
		return schema, same, nil
	}
	if strings.Contains(string(schema), `"$ref"`) {
		return nil, nil, errors.New("its root is a union and it has references")
	}
	outer, err := json.Marshal(map[string]any{
		"type": "object", "properties": map[string]json.RawMessage{wrapped: schema},
		"required": []string{wrapped}, "additionalProperties": false,
	})
	return outer, func(args json.RawMessage) (json.RawMessage, error) {
		var inner map[string]json.RawMessage
		err := json.Unmarshal(args, &inner)
		return inner[wrapped], err
	}, err
}
