// Package ask provides the built-in tool with which an agent asks the user a question. The run ends with the question,
// and the user's answer becomes the call's result.
package ask

import (
	"context"
	"encoding/json"
	"fmt"

	"carrel/shared/chars"
	"carrel/shared/sametext"
	"carrel/shared/tool"
	"carrel/shared/visible"
)

// Name is the tool's name, and the grant that a run needs for it.
const Name = "ask"

const (
	maxQuestion = 1000 // bytes; the limit of every question
	maxChoices  = 20
	maxChoice   = 100 // bytes
)

const description = "Asks the user a question and waits for the answer. " +
	"Call it only if you cannot go on without knowing, and offer choices if there are few answers."

type arguments struct {
	Question string   `json:"question" jsonschema:"the question, in the user's language, at most 1000 bytes"`
	Choices  []string `json:"choices,omitempty" jsonschema:"the answers to choose from, 2 to 20 of at most 100 bytes; left out, the user writes what they like"`
}

// answer is the JSON Schema of an answer.
type answer struct {
	Title     string   `json:"title"`
	Type      string   `json:"type"`
	Enum      []string `json:"enum,omitempty"`
	MinLength int      `json:"minLength"`
	MaxLength int      `json:"maxLength"`
}

// New makes the tool.
func New() (tool.Tool, error) {
	t, err := tool.Define(Name, description, Name, func(_ context.Context, in arguments) (string, error) {
		if wrong := in.wrong(); wrong != "" {
			return "", &tool.Error{Text: wrong}
		}
		schema, err := json.Marshal(answer{
			Title: "Answer", Type: "string", Enum: in.Choices, MinLength: 1, MaxLength: 2000,
		})
		if err != nil {
			return "", fmt.Errorf("encode the response schema: %w", err)
		}
		return "", &tool.InputError{Message: in.Question, Schema: schema}
	})
	return t.ReadOnly(), err
}

// wrong explains to the model why the question cannot be asked. It returns "" if it can.
func (in arguments) wrong() string {
	if chars.Blank(in.Question) || len(in.Question) > maxQuestion {
		return fmt.Sprintf("The question has %d bytes. Write one of 1 to %d.", len(in.Question), maxQuestion)
	}
	if n := len(in.Choices); n == 1 || n > maxChoices {
		return fmt.Sprintf("There are %d choices. Give 2 to %d, or none.", n, maxChoices)
	}
	for _, text := range append([]string{in.Question}, in.Choices...) {
		if c, there := visible.Hidden(text); there {
			return fmt.Sprintf("The question or a choice has the character U+%04X, "+
				"which a person cannot see or which breaks the line. Write plain text, on one line.", c)
		}
	}
	for _, c := range in.Choices {
		if chars.Blank(c) || len(c) > maxChoice {
			return fmt.Sprintf("The choice %q has %d bytes. Write each in 1 to %d.",
				chars.HeadPoints(c, 100), len(c), maxChoice)
		}
	}
	seen := map[string]string{} // by their appearance
	for _, c := range in.Choices {
		key := sametext.Key(c)
		if other, there := seen[key]; there && other != c {
			return fmt.Sprintf("Two choices look like %q. Give choices that look different.", c)
		}
		seen[key] = c
	}
	return ""
}
