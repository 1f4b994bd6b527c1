// Package tool is what agents may do: tools, the frozen registry of them, and the dispatcher that one run calls them
// through. The dispatcher is the only way to a tool: it checks that the tool exists, that the run's grants allow it
// and that the arguments fit its JSON Schema, bounds number, time and result, survives a panic, and has each call
// recorded, allowed or not.
package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Spec is what a model is told of a tool.
type Spec struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON Schema of the arguments, an object
}

// Tool is one tool. Define makes it. It is immutable.
type Tool struct {
	spec     Spec
	grant    string
	effects  Effects
	question string // what a person is asked before each call, in the tool's own words; "": none, or a general one
	limits   limits
	check    func(args json.RawMessage) error
	call     func(ctx context.Context, args json.RawMessage) (string, error)
}

// Define makes a tool from a handler whose argument struct In gives the JSON Schema: a field is required unless its
// json tag says omitempty, and its jsonschema tag describes it to the model. A run may call it if its token
// grants grant; default deny: an empty grant is refused by NewRegistry. The handler's error text is told to the model
// only if it is an Error; any other error is logged and reported as "the tool failed".
func Define[In any](name, description, grant string, handle func(ctx context.Context, in In) (string, error)) (Tool, error) {
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
		call: func(ctx context.Context, args json.RawMessage) (string, error) {
			in, err := decode[In](resolved, args)
			if err != nil {
				return "", fmt.Errorf("decode the arguments: %w", err)
			}
			return handle(ctx, in)
		},
	}, nil
}

// decode checks arguments against the schema and reads them. Its error is in the words of JSON.
func decode[In any](schema *jsonschema.Resolved, args json.RawMessage) (in In, err error) {
	if args, err = normal(args); err != nil {
		return in, err
	}
	if err := validate(schema, args); err != nil {
		return in, err
	}
	if err := json.Unmarshal(args, &in); err != nil { // a schema does not know everything, such as the form of a time
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

// Error is a failure that the model may read: what was wrong and what to do instead.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// InputError is what a handler returns that needs something of a person: the run ends with the question, and the
// person's answer is the call's result, without the handler being called again. So a handler returns it before it does
// anything.
type InputError struct {
	Message string          // the question, at most 1,000 bytes
	Schema  json.RawMessage // JSON Schema of the answer, an object without $ref, at most 8 KB; may be nil
}

func (e *InputError) Error() string { return "input is required: " + e.Message }

// keyOf is the context key of the idempotency key.
type keyOf struct{}

// IdempotencyKey names the call that a handler is called for, the same whenever the call is made again: the hash of the
// user, the run's id and the call's. A run's id is its client's to choose, so without the user another's call could have
// the same key wherever the key is handed on to. Outside of a handler it is "".
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(keyOf{}).(string)
	return key
}

// Registry is the frozen set of tools of a deployment, shared by all runs. It holds no user's anything.
type Registry struct {
	tools map[string]Tool
}

// NewRegistry freezes a set of tools. Two of one name, a bad name, an empty grant or a limit that cannot be are errors.
func NewRegistry(tools ...Tool) (*Registry, error) {
	r := &Registry{tools: make(map[string]Tool, len(tools))}
	for _, t := range tools {
		name := t.spec.Name
		if t.call == nil {
			return nil, errors.New("register tools: one was not made by Define")
		}
		if !goodName(name) {
			return nil, fmt.Errorf("register tool %q: a name is 1 to 64 of [A-Za-z0-9_-]", name)
		}
		if t.grant == "" {
			return nil, fmt.Errorf("register tool %q: it needs a grant, or everybody could call it", name)
		}
		if t.effects.ReadOnly && t.effects.Destructive {
			return nil, fmt.Errorf("register tool %q: it is declared read-only and destructive; a tool is one of them at most", name)
		}
		if err := t.limits.check(); err != nil {
			return nil, fmt.Errorf("register tool %q: %w", name, err)
		}
		if _, twice := r.tools[name]; twice {
			return nil, fmt.Errorf("register tool %q: there are two of that name", name)
		}
		r.tools[name] = t
	}
	return r, nil
}

// Names are the names of all its tools, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.tools)) }

// Effects returns what a named tool is declared to do, and false if the registry lacks it.
func (r *Registry) Effects(name string) (Effects, bool) {
	t, ok := r.tools[name]
	return t.effects, ok
}

// Grant returns the grant that a named tool needs, and false if the registry lacks the tool.
func (r *Registry) Grant(name string) (string, bool) {
	t, ok := r.tools[name]
	return t.grant, ok
}

// With is a registry that has more tools: those of one run, which are bound to what is its user's. The registry itself
// stays as it is. It fails as NewRegistry does.
func (r *Registry) With(more ...Tool) (*Registry, error) {
	return NewRegistry(append(slices.Collect(maps.Values(r.tools)), more...)...)
}

// goodName is the rule of the model providers, who refuse a whole request for one bad name.
func goodName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func (s Spec) clone() Spec {
	s.Schema = bytes.Clone(s.Schema)
	return s
}
