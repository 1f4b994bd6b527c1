// Package agent holds agent definitions, the frozen registry of them, and the sample agents that a new deployment
// starts with.
package agent

import "carrel/shared/engine"

// Agent is one agent: which model answers, what it is told first, and which tools it may try to call (the user's
// grants decide whether it may).
type Agent struct {
	Name   string // what a client asks for
	System string
	Model  engine.Model
	Tools  []string
}

// Registry is the frozen set of agents of a deployment; the first is the default.
type Registry struct {
	agents []Agent
}

// NewRegistry freezes agents. No agent, two of one name or one without a model is an error.
func NewRegistry(agents ...Agent) (*Registry, error) { panic("not built") }

// Agent returns the agent of that name, the default for "", or chat.ErrUnknownAgent.
func (r *Registry) Agent(name string) (Agent, error) { panic("not built") }

// Names are the agents' names, the default first.
func (r *Registry) Names() []string { panic("not built") }
