package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/sametext"
)

// shape is the part of an answer's schema that this program reads. The server checks the rest.
type shape struct {
	Type       string
	Enum       []json.RawMessage
	Properties map[string]shape
	odd        bool // it says more than the fields above hold
}

// UnmarshalJSON reads a schema. One of several types, or of alternatives, is an odd one.
func (s *shape) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		s.odd = true // true and false are schemas too
		return nil
	}
	for name, to := range map[string]any{"type": &s.Type, "enum": &s.Enum, "properties": &s.Properties} {
		if value, there := all[name]; there && json.Unmarshal(value, to) != nil {
			s.odd = true
		}
	}
	for _, name := range []string{"anyOf", "oneOf", "allOf", "not", "const"} {
		if _, there := all[name]; there {
			s.odd = true
		}
	}
	return nil
}

// shapeOf reads the schema of a question's answer.
func shapeOf(q agui.Interrupt) shape {
	var s shape
	if len(q.ResponseSchema) > 0 && json.Unmarshal(q.ResponseSchema, &s) != nil {
		return shape{odd: true}
	}
	return s
}

// label is a choice as a person reads and writes it: a string without its quotes.
func label(choice json.RawMessage) string {
	var text string
	if json.Unmarshal(choice, &text) == nil {
		return text
	}
	return string(choice)
}

// choices lists the values of an enumeration.
func choices(s shape) string {
	var all []string
	for _, one := range s.Enum {
		all = append(all, label(one))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, " | ") + ")"
}

// plain reports whether a line is the answer as it stands.
func (s shape) plain() bool { return !s.odd && (s.Type == "" || s.Type == "string") }

// wanted describes the expected answer to a person.
func wanted(q agui.Interrupt) string {
	if s := shapeOf(q); s.plain() || len(s.Enum) > 0 || s.Type == "object" && len(s.Properties) == 1 {
		return "the answer"
	}
	return "JSON that fits " + string(q.ResponseSchema)
}

// payload turns a line into the answer that a schema describes: one of its choices, text, JSON, or the only field of an
// object. The line is sent exactly as written, or rejected.
func payload(s shape, line string) (json.RawMessage, error) {
	if !utf8.ValidString(line) {
		return nil, errors.New("the answer is not valid UTF-8; write it again, or /refuse")
	}
	var alike []json.RawMessage
	for _, choice := range s.Enum {
		if label(choice) == line {
			return choice, nil
		}
		if sametext.Equal(label(choice), line) {
			alike = append(alike, choice)
		}
	}
	switch {
	case len(alike) == 1:
		return alike[0], nil
	case s.plain():
		return json.Marshal(line)
	case s.Type == "object" && !strings.HasPrefix(strings.TrimSpace(line), "{") && len(s.Properties) == 1:
		for name, field := range s.Properties {
			value, err := payload(field, line)
			if err != nil {
				return nil, err
			}
			return json.Marshal(map[string]json.RawMessage{name: value})
		}
	}
	if !json.Valid([]byte(line)) {
		return nil, fmt.Errorf("the answer is to be a JSON %s; write it as JSON, or /refuse", s.Type)
	}
	return json.RawMessage(line), nil
}

// approval approves a call with the arguments that a person wrote.
func approval(q agui.Interrupt, arguments string) (agui.Resume, error) {
	if _, editable := shapeOf(q).Properties["arguments"]; !editable {
		return agui.Resume{}, errors.New("the arguments of this call cannot be changed: answer y or n")
	}
	a, err := client.ApproveWith(q, json.RawMessage(arguments))
	if err != nil {
		return a, errors.New("write the arguments behind /edit, as a JSON object")
	}
	return a, nil
}
