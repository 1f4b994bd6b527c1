package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// The bounds of an argument schema that another party wrote.
const (
	maxSchema      = 32 << 10 // bytes
	maxSchemaDepth = 40       // nested objects and arrays
	// how many subschemas one value may be checked against: otherwise a short schema keeps a processor busy for hours
	maxSchemaWeight = 1000
)

// resolveArguments decodes a schema that another party wrote. It must describe a JSON object. References must stay
// inside of the schema, must be JSON pointers, and must not lead back to themselves for the same value: the check of
// arguments would never end.
func resolveArguments(schema json.RawMessage) (*jsonschema.Resolved, error) {
	if len(schema) > maxSchema {
		return nil, fmt.Errorf("the schema has %d bytes; it may have %d", len(schema), maxSchema)
	}
	var document any
	if err := json.Unmarshal(schema, &document); err != nil {
		return nil, fmt.Errorf("decode the schema: %w", err)
	}
	root, ok := document.(map[string]any)
	if !ok || root["type"] != "object" {
		return nil, errors.New(`the schema does not have the type "object"`)
	}
	w := weigher{document: document, weights: map[string]int{}}
	if err := w.visit("", document, 0); err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, fmt.Errorf("decode the schema: %w", err)
	}
	if v := s.Schema; v != "" && !strings.Contains(v, "/2020-12/") && !strings.Contains(v, "draft-07/") {
		s.Schema = "" // other drafts are read as 2020-12
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("resolve the schema: %w", err)
	}
	return resolved, nil
}

// weigher counts how many subschemas one value is checked against. It treats each object of the document as a schema,
// because a wrong guess only refuses a strange schema.
type weigher struct {
	document any
	weights  map[string]int // by JSON pointer; -1 while the weight is being computed
}

// visit checks a value of the document and everything in it.
func (w weigher) visit(at string, value any, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("the schema is nested more than %d deep", maxSchemaDepth)
	}
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			if err := w.visit(at+"/"+strconv.Itoa(i), item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, err := w.weigh(at, v); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := w.visit(at+"/"+escape(name), v[name], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// weigh returns the number of subschemas that a value is checked against by the schema at a pointer.
func (w weigher) weigh(at string, schema map[string]any) (int, error) {
	switch sum := w.weights[at]; {
	case sum < 0:
		return 0, fmt.Errorf("the schema refers to itself at %q", "#"+at)
	case sum > 0:
		return sum, nil
	}
	for _, name := range []string{"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$id"} {
		if _, there := schema[name].(string); there && (at != "" || name != "$id") {
			return 0, fmt.Errorf("the schema has the keyword %s", name)
		}
	}
	w.weights[at] = -1
	sum := 1
	parts, err := inPlace(at, schema)
	if err != nil {
		return 0, err
	}
	for _, part := range parts {
		target, err := w.find(part)
		if err != nil {
			return 0, err
		}
		inner, ok := target.(map[string]any)
		if !ok {
			continue // true, false, or not a schema at all
		}
		more, err := w.weigh(part, inner)
		if err != nil {
			return 0, err
		}
		if sum += more; sum > maxSchemaWeight {
			return 0, fmt.Errorf("the schema has more than %d alternatives for one value", maxSchemaWeight)
		}
	}
	w.weights[at] = sum
	return sum, nil
}

// inPlace returns the pointers of the subschemas that check the same value as the schema.
func inPlace(at string, schema map[string]any) ([]string, error) {
	var all []string
	if ref, ok := schema["$ref"].(string); ok {
		pointer, local := strings.CutPrefix(ref, "#")
		if !local || pointer != "" && pointer[0] != '/' || strings.Contains(pointer, "%") {
			return nil, fmt.Errorf("the schema has the reference %q, which is not a JSON pointer into it", ref)
		}
		all = append(all, pointer)
	}
	for _, name := range []string{"not", "if", "then", "else"} {
		if _, there := schema[name].(map[string]any); there {
			all = append(all, at+"/"+name)
		}
	}
	for _, name := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := schema[name].([]any)
		for i := range list {
			all = append(all, at+"/"+name+"/"+strconv.Itoa(i))
		}
	}
	for _, name := range []string{"dependentSchemas", "dependencies"} {
		named, _ := schema[name].(map[string]any)
		for key := range named {
			all = append(all, at+"/"+name+"/"+escape(key))
		}
	}
	return all, nil
}

// find returns the value of the document at a JSON pointer.
func (w weigher) find(pointer string) (any, error) {
	value := w.document
	for _, name := range strings.Split(pointer, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		var found bool
		switch v := value.(type) {
		case map[string]any:
			value, found = v[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
				value, found = v[i], true
			}
		}
		if !found {
			return nil, fmt.Errorf("the schema refers to %q, which does not exist", "#"+pointer)
		}
	}
	return value, nil
}

// escape writes a name as a part of a JSON pointer.
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
