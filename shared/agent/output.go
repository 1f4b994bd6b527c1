package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"carrel/shared/tool"
)

// Output is the JSON Schema of an agent's answers, as JSON text. A file of agents/definitions has it as YAML.
type Output json.RawMessage

// maxOutput bounds a schema in bytes. Models without a schema mode receive it in each request.
const maxOutput = 16 << 10

// UnmarshalYAML implements yaml.Unmarshaler. The error names the line.
func (o *Output) UnmarshalYAML(n *yaml.Node) error {
	var schema map[string]any
	if err := n.Decode(&schema); err != nil {
		return err
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return fmt.Errorf("line %d: output: every name in a JSON Schema is a text: %w", n.Line, err)
	}
	*o = text
	return nil
}

// check returns an error if answers cannot be checked against the schema, or if providers do not accept it.
func (o Output) check() error {
	if o == nil {
		return nil
	}
	if len(o) > maxOutput {
		return fmt.Errorf("the schema has %d bytes; it may have %d", len(o), maxOutput)
	}
	if err := tool.CheckSchema(json.RawMessage(o)); err != nil {
		return err
	}
	var root map[string]any
	if err := json.Unmarshal(o, &root); err != nil {
		return err
	}
	if root["type"] != "object" {
		return errors.New("the schema needs type: object, because providers accept no other answer")
	}
	return checkTypes(root)
}

// checkTypes returns an error for a type that JSON Schema does not have. The values of enum, const, default and
// examples are not schemas.
func checkTypes(schema any) error {
	types := []string{"object", "array", "string", "number", "integer", "boolean", "null"}
	var errs []error
	switch s := schema.(type) {
	case []any:
		for _, each := range s {
			errs = append(errs, checkTypes(each))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(s)) {
			word, isWord := s[name].(string)
			switch {
			case name == "type" && isWord && !slices.Contains(types, word):
				return fmt.Errorf("the type %q is unknown; the types are %s", word, strings.Join(types, ", "))
			case name == "enum", name == "const", name == "default", name == "examples":
			default:
				errs = append(errs, checkTypes(s[name]))
			}
		}
	}
	return errors.Join(errs...)
}
