package modeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// content is the content of a message in the Chat, Responses and Messages formats: a text or a list of blocks.
type content struct {
	text   string
	blocks []block
	null   bool
}

// block is one block of content, in any of these formats.
type block struct {
	Type         string          `json:"type"`
	Text         *string         `json:"text"`
	Thinking     *string         `json:"thinking"`
	Signature    *string         `json:"signature"`
	Data         string          `json:"data"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      content         `json:"content"`
	IsError      bool            `json:"is_error"`
	CacheControl *m              `json:"cache_control"`
}

// UnmarshalJSON reads either form.
func (c *content) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case 'n':
		c.null = true
		return nil
	case '"':
		return json.Unmarshal(b, &c.text)
	}
	return strict(b, &c.blocks)
}

func (c content) all() string {
	text := c.text
	for _, b := range c.blocks {
		if b.Text != nil {
			text += *b.Text
		}
	}
	return text
}

// strict decodes JSON and fails at a member that v does not have.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// unknown returns the name of the unknown member that an error of strict is about.
func unknown(err error) string {
	_, name, ok := strings.Cut(err.Error(), "unknown field ")
	if !ok {
		return err.Error()
	}
	return strings.Trim(name, `"`)
}

// validName reports whether a tool's name or a call's id has the characters and the length that providers allow.
func validName(name string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`).MatchString(name)
}

// isObject reports whether a text is a JSON object.
func isObject(text []byte) bool {
	var v map[string]json.RawMessage
	return json.Unmarshal(text, &v) == nil && v != nil
}

// badSchema returns what a provider says about a tool's schema, or "".
func badSchema(schema json.RawMessage) string {
	var v map[string]any
	if json.Unmarshal(schema, &v) != nil || v == nil {
		return "the schema is not a JSON object"
	}
	if v["type"] != "object" {
		return fmt.Sprintf("schema must be a JSON Schema of 'type: \"object\"', got 'type: %q'", fmt.Sprint(v["type"]))
	}
	for _, name := range []string{"oneOf", "allOf", "anyOf"} {
		if _, ok := v[name]; ok {
			return "input_schema does not support oneOf, allOf, or anyOf at the top level"
		}
	}
	return ""
}

// missing returns the members of want that got lacks.
func missing(want, got []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(id string) bool { return slices.Contains(got, id) })
}
