// Package agent provides agent definitions, the frozen registry of them, and the sample agents of a new deployment.
package agent

import (
	"errors"
	"fmt"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/engine"
)

// Agent defines one agent: the model that answers, the system prompt, and the tools that it may request. The user's
// grants decide whether a requested call is made.
type Agent struct {
	Name   string // clients select the agent by it
	System string
	Model  engine.Model
	Tools  []string
}

// Registry is the frozen set of agents of a deployment. The first agent is the default. A Registry is safe for
// concurrent use.
type Registry struct {
	agents []Agent
}

// NewRegistry freezes agents. An empty list, an invalid name (chat.CheckID), a duplicate name and an agent without a
// model are errors.
func NewRegistry(agents ...Agent) (*Registry, error) {
	if len(agents) == 0 {
		return nil, errors.New("register agents: the list is empty")
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
			return nil, fmt.Errorf("register agent %q: the name is used twice", a.Name)
		}
		a.Tools = slices.Clone(a.Tools)
		r.agents = append(r.agents, a)
	}
	return r, nil
}

// Agent returns the agent of that name, or the default for "". It fails with chat.ErrUnknownAgent.
func (r *Registry) Agent(name string) (Agent, error) {
	for _, a := range r.agents {
		if name == "" || a.Name == name {
			a.Tools = slices.Clone(a.Tools)
			return a, nil
		}
	}
	return Agent{}, fmt.Errorf("agent %q: %w", name, chat.ErrUnknownAgent)
}

// Names returns the agents' names, the default first.
func (r *Registry) Names() []string {
	names := make([]string, len(r.agents))
	for i, a := range r.agents {
		names[i] = a.Name
	}
	return names
}
