// Package calculator provides the built-in tool that evaluates arithmetic exactly, in fractions. It accepts + - * / ^,
// parentheses and decimal numbers. For any other input it returns an error that names the position.
package calculator

import (
	"context"

	"carrel/shared/tool"
)

// Name is the tool's name, and the grant that a run needs for it.
const Name = "calculator"

const description = "Evaluates an arithmetic expression exactly: + - * / ^ (whole exponents), parentheses, " +
	"decimal numbers such as 12.5. A result that has no finite decimal form is rounded and begins with ≈."

type arguments struct {
	Expression string `json:"expression" jsonschema:"the expression, for example (1.5 + 2) * 3^2"`
}

// New makes the tool.
func New() (tool.Tool, error) {
	t, err := tool.Define(Name, description, Name, func(_ context.Context, in arguments) (string, error) {
		result, err := Evaluate(in.Expression)
		if err != nil {
			return "", &tool.Error{Text: err.Error()}
		}
		return result, nil
	})
	return t.ReadOnly(), err
}
