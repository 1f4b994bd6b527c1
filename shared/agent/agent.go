// Package agent provides the definitions of agents, which are data, and the frozen registry that gives each agent its
// model. Function message uses the definitions alone, so that it links no model.
package agent

import (
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/engine"
)

// Agent is one agent of a deployment, ready to run.
type Agent struct {
	Definition
	Candidates []engine.Candidate // its models, the first choice first
}

// Registry is the frozen set of agents of a deployment with their models. It is safe for concurrent use.
type Registry struct {
	set    *Set
	models map[string][]engine.Candidate // by the agent's name
}

// NewRegistry freezes the agents of a set. models returns the models of a definition, the first choice first. All runs
// of the agent share them. The error names every agent whose models fail.
func NewRegistry(set *Set, models func(Definition) ([]engine.Candidate, error)) (*Registry, error) {
	r := &Registry{set: set, models: map[string][]engine.Candidate{}}
	var errs []error
	for _, d := range set.definitions {
		m, err := models(d)
		if err == nil && len(m) == 0 {
			err = errors.New("it has no model")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("agent %s: %w", d.Name, err))
		}
		r.models[d.Name] = m
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r, nil
}

// Agent returns the agent of that name for a user with the grants, or the default for "". Its errors are Set.Find's.
func (r *Registry) Agent(name string, grants []string) (Agent, error) {
	d, err := r.set.Find(name, grants)
	if err != nil {
		return Agent{}, err
	}
	return Agent{Definition: d, Candidates: r.models[d.Name]}, nil
}

// Unchecked returns the agent of that name whatever the grants are. It is for an agent that another one asks: the
// engine checks its grant. It fails with chat.ErrUnknownAgent.
func (r *Registry) Unchecked(name string) (Agent, error) {
	for _, d := range r.set.definitions {
		if d.Name == name {
			return Agent{Definition: d.clone(), Candidates: r.models[name]}, nil
		}
	}
	return Agent{}, fmt.Errorf("agent %q: %w", name, chat.ErrUnknownAgent)
}

// Reach is Set.Reach.
func (r *Registry) Reach(name string) []string { return r.set.Reach(name) }

// Names returns the agents' names, the default first.
func (r *Registry) Names() []string { return r.set.Names() }
