package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Raw makes a tool from a schema and a handler that receives the arguments as JSON. It is for tools whose arguments are
// known at run time only, such as those of an MCP server. The arguments that reach the handler fit the schema, no key
// stands twice in them, and whole numbers are plain digits. A schema that is not an object's, that is too large or too
// deep, or whose references do not resolve inside of it is an error.
func Raw(spec Spec, grant string, call func(ctx context.Context, args json.RawMessage) (Output, error)) (Tool, error) {
	if call == nil {
		return Tool{}, errors.New("make a raw tool: it has no handler")
	}
	resolved, err := resolveArguments(spec.Schema)
	if err != nil {
		return Tool{}, fmt.Errorf("make a raw tool: %w", err)
	}
	spec.Schema = bytes.Clone(spec.Schema)
	checked := func(args json.RawMessage) (json.RawMessage, error) {
		args, err := normal(args)
		if err != nil {
			return nil, err
		}
		return args, validate(resolved, args)
	}
	return Tool{
		spec:   spec,
		grant:  grant,
		limits: defaults(),
		check: func(args json.RawMessage) error {
			_, err := checked(args)
			return err
		},
		call: func(ctx context.Context, args json.RawMessage) (Output, error) {
			args, err := checked(args)
			if err != nil {
				return Output{}, fmt.Errorf("check the arguments: %w", err)
			}
			return call(ctx, args)
		},
	}, nil
}
