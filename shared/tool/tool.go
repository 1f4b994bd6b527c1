// Package tool is what agents may do: tools, the frozen registry of them, and the dispatcher that one run calls them
// through. The dispatcher is the only way to a tool: it checks that the tool exists, that the run's grants allow it
// and that the arguments fit its JSON Schema, bounds time and result, and survives a panic.
package tool

import (
	"context"
	"encoding/json"

	"carrel/shared/usercontext"
)

// Spec is what a model is told of a tool.
type Spec struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON Schema of the arguments, an object
}

// Tool is one tool. Define makes it.
type Tool struct {
	spec  Spec
	grant string
	call  func(ctx context.Context, args json.RawMessage) (string, error)
}

// Define makes a tool from a handler whose argument struct In gives the JSON Schema. A run may call it if its token
// grants grant; default deny: an empty grant is refused by NewRegistry. The handler's error text is told to the model
// only if it is an Error; any other error is logged and reported as "the tool failed".
func Define[In any](name, description, grant string, handle func(ctx context.Context, in In) (string, error)) (Tool, error) {
	panic("not built")
}

// Error is a failure that the model may read: what was wrong and what to do instead.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// Registry is the frozen set of tools of a deployment, shared by all runs. It holds no user's anything.
type Registry struct {
	tools map[string]Tool
}

// NewRegistry freezes a set of tools. Two of one name, a bad name or an empty grant are errors.
func NewRegistry(tools ...Tool) (*Registry, error) { panic("not built") }

// Outcome is what became of a call.
type Outcome string

// The outcomes of a call. Each has a result that the model reads.
const (
	OK           Outcome = "ok"
	Unknown      Outcome = "unknown"
	Denied       Outcome = "denied"
	BadArguments Outcome = "bad_arguments"
	Failed       Outcome = "failed"
	TimedOut     Outcome = "timeout"
	Panicked     Outcome = "panic"
	Stopped      Outcome = "stopped" // the run ended or was cancelled meanwhile
)

// Result is the end of a call: text for the model and for the person who reads along.
type Result struct {
	Outcome Outcome
	Content string
}

// Dispatcher calls tools for one run. It is made from one user context and refuses after its Close.
type Dispatcher struct{}

// NewDispatcher makes the dispatcher of one run with those of the named tools that exist in the registry; a name that
// does not is an error of the agent's definition.
func NewDispatcher(uc *usercontext.Context, r *Registry, names []string) (*Dispatcher, error) {
	panic("not built")
}

// Specs are the tools that this run may call, sorted by name: those that its grants allow.
func (d *Dispatcher) Specs() []Spec { panic("not built") }

// Call calls a tool with arguments as the model wrote them. It always gives a result; concurrent calls are fine.
func (d *Dispatcher) Call(ctx context.Context, name, arguments string) Result { panic("not built") }
