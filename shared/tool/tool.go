// Package tool provides tools for agents, the frozen registry of them, and the dispatcher through which one run calls
// them. The dispatcher is the only way to call a tool. It checks that the tool exists, that the run's grants allow it,
// and that the arguments fit its JSON Schema. It limits the number of calls, their time and their results, recovers
// from panics, and records every call, allowed or not.
package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Spec describes a tool to a model.
type Spec struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON Schema of the arguments, an object
}

// Tool is one tool. It is made by Define or Raw and is immutable.
type Tool struct {
	spec     Spec
	grant    string
	effects  Effects
	question string                            // the question to a person before each call
	askWhen  func(args json.RawMessage) string // a question that depends on the arguments; may be nil
	// a question if the model had read text from outside; may be nil
	askOutside func(args json.RawMessage, before Conversation) string
	repeats    bool   // equal calls in a row are useful
	outside    bool   // results hold text from outside of the deployment
	origin     string // the source that provides the tool, such as mcp:github; "" if none does
	limits     limits
	check      func(args json.RawMessage) error
	call       func(ctx context.Context, args json.RawMessage) (Output, error)
}

// Define makes a tool from a handler. The JSON Schema of the arguments is derived from the struct In: a field is
// required unless its json tag has omitempty, and its jsonschema tag describes it to the model. A run may call the tool
// if its token has the grant. NewRegistry rejects an empty grant, so that no tool is open to everyone by mistake. The
// model reads the text of a handler's error only if it is an Error. Any other error is logged, and the model reads that
// the tool failed.
func Define[In any](name, description, grant string, handle func(ctx context.Context, in In) (string, error)) (Tool,
	error) {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		return Tool{}, fmt.Errorf("define tool %s: infer the schema: %w", name, err)
	}
	if schema.Type != "object" {
		return Tool{}, fmt.Errorf("define tool %s: its arguments must be a struct, not %q", name, schema.Type)
	}
	bounded(schema)
	text, err := json.Marshal(schema)
	if err != nil {
		return Tool{}, fmt.Errorf("define tool %s: encode the schema: %w", name, err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return Tool{}, fmt.Errorf("define tool %s: resolve the schema: %w", name, err)
	}
	return Tool{
		spec:   Spec{Name: name, Description: description, Schema: text},
		grant:  grant,
		limits: defaults(),
		check: func(args json.RawMessage) error {
			_, err := decode[In](resolved, args)
			return err
		},
		call: func(ctx context.Context, args json.RawMessage) (Output, error) {
			in, err := decode[In](resolved, args)
			if err != nil {
				return Output{}, fmt.Errorf("decode the arguments: %w", err)
			}
			text, err := handle(ctx, in)
			return Output{Text: text}, err
		},
	}, nil
}

// decode checks arguments against the schema and decodes them. Its errors name JSON types, not Go types.
func decode[In any](schema *jsonschema.Resolved, args json.RawMessage) (in In, err error) {
	if args, err = normal(args); err != nil {
		return in, err
	}
	if err := validate(schema, args); err != nil {
		return in, err
	}
	if err := json.Unmarshal(args, &in); err != nil { // some types, such as a time, need more than the schema checks
		return in, explain(err)
	}
	return in, nil
}

// validate checks a JSON value against a schema.
func validate(schema *jsonschema.Resolved, text json.RawMessage) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return explain(err)
	}
	if err := schema.Validate(value); err != nil {
		return errors.New(readable(err.Error()))
	}
	return nil
}

// Error is a failure whose text the model reads. The text names the fault and what to do instead.
type Error struct {
	Text  string
	Cause error // for the log; may be nil
}

// Error returns the text, and the cause behind it.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// InputError is the error that a handler returns to request input from a person. The run ends with an interrupt, and
// the person's response becomes the call's result. The handler is not called again, so it must return the InputError
// before it changes anything.
type InputError struct {
	Message string          // the question, at most 1,000 bytes
	Schema  json.RawMessage // JSON Schema of the response, a JSON object without $ref, at most 8 KB; may be nil
}

func (e *InputError) Error() string { return "input is required: " + e.Message }

// keyOf is the context key of the idempotency key.
type keyOf struct{}

// IdempotencyKey returns the key of the call that a handler is called for. It is the same each time the call is
// repeated. It consists of the user's hash, the run's id and the call's id. Clients choose the ids of runs, so without
// the user's hash two users' calls could have the same key in an external system. Outside of a handler the key is "".
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(keyOf{}).(string)
	return key
}

// textsOf is the context key of the person's texts.
type textsOf struct{}

// UserTexts returns the person's messages that the model receives, oldest first. A tool reads data there that the model
// would have to copy otherwise. Outside of a handler it returns none.
func UserTexts(ctx context.Context) []string {
	texts, _ := ctx.Value(textsOf{}).([]string)
	return slices.Clone(texts)
}

func (s Spec) clone() Spec {
	s.Schema = bytes.Clone(s.Schema)
	return s
}
