package main

import (
	"encoding/json"
	"slices"

	"carrel/shared/agent"
	"carrel/shared/engine"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// agent returns what the engine needs of an agent.
func (t *turn) agent(a agent.Agent, tools *tool.Dispatcher) engine.Agent {
	return engine.Agent{
		Name: a.Name, Models: a.Candidates, System: []engine.Part{{Text: a.Instructions, Stable: true}}, Tools: tools,
		Settings: engine.Settings{Output: json.RawMessage(a.Output)}, Asks: t.colleagues(a.Agents),
		Handoffs: t.colleagues(a.Handoffs),
	}
}

// colleagues describes the agents of these names to an agent that may ask them. The set of definitions has checked the
// names.
func (t *turn) colleagues(names []string) (all []engine.Colleague) {
	for _, name := range names {
		a, err := t.agents.Unchecked(name)
		if err != nil {
			continue
		}
		grant := a.Grant
		if grant == agent.Open {
			grant = ""
		}
		all = append(all, engine.Colleague{Name: name, Description: a.Description, Grant: grant})
	}
	return all
}

// patterns returns the patterns for tools of all agents that the run can involve.
func (t *turn) patterns(a agent.Agent) (all []string) {
	for _, name := range t.agents.Reach(a.Name) {
		if other, err := t.agents.Unchecked(name); err == nil {
			all = append(all, other.Tools...)
		}
	}
	return all
}

// opener returns the function that makes an agent that another one asks. The agent's user context is a child of the
// asking agent's. Of its grants it has only what the agent's tools need, and the agents that it may ask in turn.
func (t *turn) opener(s start, registry *tool.Registry, run *tool.Dispatcher) func(*usercontext.Context, string,
	string) (engine.Agent, *usercontext.Context, error) {
	return func(parent *usercontext.Context, line, name string) (engine.Agent, *usercontext.Context, error) {
		a, err := t.agents.Unchecked(name)
		if err != nil {
			return engine.Agent{}, nil, err
		}
		names, err := registry.Match(a.Tools...)
		if err != nil {
			return engine.Agent{}, nil, err
		}
		child, err := parent.ChildWith(line, t.grants(registry, a))
		if err != nil {
			return engine.Agent{}, nil, err
		}
		tools, err := run.For(child, names)
		if err != nil {
			return engine.Agent{}, nil, err
		}
		tools.CountPrevious(s.events)
		return t.agent(a, tools), child, nil
	}
}

// successor returns the function that makes an agent that takes over the run.
func (t *turn) successor(s start, registry *tool.Registry, run *tool.Dispatcher) func(string) (engine.Agent, error) {
	return func(name string) (engine.Agent, error) {
		a, err := t.agents.Unchecked(name)
		if err != nil {
			return engine.Agent{}, err
		}
		names, err := registry.Match(a.Tools...)
		if err != nil {
			return engine.Agent{}, err
		}
		tools, err := run.For(t.uc, names)
		if err != nil {
			return engine.Agent{}, err
		}
		tools.CountPrevious(s.events)
		return t.agent(a, tools), nil
	}
}

// grants returns the grants that an agent needs for its tools, and for the agents that it may ask with their needs.
func (t *turn) grants(registry *tool.Registry, a agent.Agent) (needed []string) {
	for _, name := range t.agents.Reach(a.Name) {
		other, err := t.agents.Unchecked(name)
		if err != nil {
			continue
		}
		if name != a.Name {
			needed = append(needed, other.Grant)
		}
		tools, err := registry.Match(other.Tools...)
		if err != nil {
			continue // its own start fails with this error
		}
		for _, name := range tools {
			if grant, ok := registry.Grant(name); ok {
				needed = append(needed, grant)
			}
		}
	}
	slices.Sort(needed)
	return slices.Compact(needed)
}
