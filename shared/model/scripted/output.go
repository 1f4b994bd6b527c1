package scripted

import "encoding/json"

// example returns JSON text that fits a simple JSON Schema.
func example(schema json.RawMessage) string {
	var s map[string]any
	if json.Unmarshal(schema, &s) != nil {
		return "null"
	}
	text, err := json.Marshal(exampleOf(s))
	if err != nil {
		return "null"
	}
	return string(text)
}

// exampleOf returns a value of the schema's type, with the required properties of an object.
func exampleOf(s map[string]any) any {
	if choices, ok := s["enum"].([]any); ok && len(choices) > 0 {
		return choices[0]
	}
	if only, ok := s["const"]; ok {
		return only
	}
	switch s["type"] {
	case "object":
		value := map[string]any{}
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, r := range required {
			name, _ := r.(string)
			property, _ := properties[name].(map[string]any)
			value[name] = exampleOf(property)
		}
		return value
	case "array":
		return []any{}
	case "number", "integer":
		return 0
	case "boolean":
		return false
	case "null":
		return nil
	}
	return "example"
}
