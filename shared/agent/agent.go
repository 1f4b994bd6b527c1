// Package agent holds agent definitions, the frozen registry of them, and the sample agents that a new deployment
// starts with.
package agent

import (
	"errors"
	"fmt"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/engine"
)

// Agent is one agent: which model answers, what it is told first, and which tools it may try to call (the user's
// grants decide whether it may).
type Agent struct {
	Name   string // what a client asks for
	System string
	Model  engine.Model
	Tools  []string
}

// Registry is the frozen set of agents of a deployment; the first is the default. It may be read concurrently.
type Registry struct {
	agents []Agent
}

// NewRegistry freezes agents. No agent, a bad name (chat.CheckID), two of one name or one without a model is an error.
func NewRegistry(agents ...Agent) (*Registry, error) {
	if len(agents) == 0 {
		return nil, errors.New("register agents: there is none")
	}
	r := &Registry{}
	for _, a := range agents {
		if err := chat.CheckID(a.Name); err != nil {
			return nil, fmt.Errorf("register agent %q: %w", a.Name, err)
		}
		if a.Model == nil {
			return nil, fmt.Errorf("register agent %q: it has no model", a.Name)
		}
		if slices.Contains(r.Names(), a.Name) {
			return nil, fmt.Errorf("register agent %q: there are two of that name", a.Name)
		}
		a.Tools = slices.Clone(a.Tools)
		r.agents = append(r.agents, a)
	}
	return r, nil
}

// Agent returns the agent of that name, the default for "", or chat.ErrUnknownAgent.
func (r *Registry) Agent(name string) (Agent, error) {
	for _, a := range r.agents {
		if name == "" || a.Name == name {
			a.Tools = slices.Clone(a.Tools)
			return a, nil
		}
	}
	return Agent{}, fmt.Errorf("agent %q: %w", name, chat.ErrUnknownAgent)
}

// Names are the agents' names, the default first.
func (r *Registry) Names() []string {
	names := make([]string, len(r.agents))
	for i, a := range r.agents {
		names[i] = a.Name
	}
	return names
}
