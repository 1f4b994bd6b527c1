package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/chat"
)

// Open is the Grant of an agent that every user may use.
const Open = "none"

// DefaultModel is the role of the deployment's main model. An agent that names no model has it.
const DefaultModel = "default"

// Definition describes one agent as data. A file of agents/definitions has the same fields; its name is the agent's.
type Definition struct {
	Name         string   `yaml:"-"`
	Description  string   `yaml:"description"`  // one sentence for the people and agents that choose an agent
	Instructions string   `yaml:"instructions"` // the system prompt
	Models       []string `yaml:"models"`       // roles or provider:model; the others stand in for the first
	Tools        []string `yaml:"tools"`        // names of tools; a final * stands for any ending, a first ! leaves out
	Agents       []string `yaml:"agents"`       // the agents that it may ask, by the tool ask_<name>
	Handoffs     []string `yaml:"handoffs"`     // the agents that may take over, by the tool to_<name>
	Grant        string   `yaml:"grant"`        // the grant that a user needs, or Open
	Hidden       bool     `yaml:"hidden"`       // clients do not offer it; other agents ask it
	Default      bool     `yaml:"default"`      // answers when a run names no agent; exactly one has it
	Limits       Limits   `yaml:"limits"`
	Output       Output   `yaml:"output"` // the JSON Schema of the answer; nil: the answer is free text
	Script       string   `yaml:"script"` // what the scripted model plays as this agent; "": its own answers
}

// Limits bound one run of an agent. 0 means the deployment's limit, and a higher value than that has no effect.
type Limits struct {
	Seconds    int `yaml:"seconds"`
	ModelCalls int `yaml:"modelCalls"`
	ToolCalls  int `yaml:"toolCalls"`
}

// Within returns the deployment's limits, lowered to those of the agent.
func (l Limits) Within(all chat.Limits) chat.Limits {
	lower := func(limit *int, value int) {
		if value > 0 {
			*limit = min(*limit, value)
		}
	}
	lower(&all.ModelCalls, l.ModelCalls)
	lower(&all.ToolCalls, l.ToolCalls)
	if l.Seconds > 0 {
		all.RunTime = min(all.RunTime, time.Duration(l.Seconds)*time.Second)
	}
	return all
}

// Set is the frozen set of definitions of a deployment. It is safe for concurrent use.
type Set struct {
	definitions []Definition // the default first
}

// NewSet checks and freezes definitions. tools are the names of the deployment's tools. NewSet replaces the patterns in
// Tools by the names that they match. The error joins all mistakes: a *Mistake for each that belongs to one agent.
func NewSet(tools []string, definitions ...Definition) (*Set, error) {
	if len(definitions) == 0 {
		return nil, errors.New("define agents: the list is empty")
	}
	var mistakes []error
	s := &Set{}
	defaults := 0
	for _, d := range definitions {
		report := func(field, format string, args ...any) {
			mistakes = append(mistakes, &Mistake{Agent: d.Name, Field: field, Text: fmt.Sprintf(format, args...)})
		}
		d.check(report)
		if slices.Contains(s.Names(), d.Name) {
			report("name", "another agent has the same name")
		}
		d.Tools = resolveTools(d.Tools, tools, report)
		d.Models, d.Agents, d.Handoffs = slices.Clone(d.Models), slices.Clone(d.Agents), slices.Clone(d.Handoffs)
		if len(d.Models) == 0 {
			d.Models = []string{DefaultModel}
		}
		if d.Default {
			if defaults++; defaults > 1 {
				report("default", "another agent is the default already; only one can be")
			}
			s.definitions = slices.Insert(s.definitions, 0, d)
			continue
		}
		s.definitions = append(s.definitions, d)
	}
	mistakes = append(mistakes, checkTeams(s.definitions, tools)...)
	if defaults == 0 {
		mistakes = append(mistakes, errors.New("define agents: no agent is the default; write default: true in one"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return s, nil
}

// Mistake is one mistake in a definition.
type Mistake struct {
	Agent, Field, Text string
}

// Error names the agent, the field and what to do.
func (m *Mistake) Error() string { return fmt.Sprintf("agent %s: %s: %s", m.Agent, m.Field, m.Text) }

func (d Definition) check(report func(field, format string, args ...any)) {
	if err := chat.CheckID(d.Name); err != nil {
		report("name", "%v", err)
	}
	if d.Grant == "" {
		report("grant", "it is missing; name the grant that a user needs, or write none, which opens the agent to all")
	}
	if strings.ContainsAny(d.Grant, " \t\r\n") {
		report("grant", "%q has a space in it; a grant is one word", d.Grant)
	}
	for _, m := range d.Models {
		if strings.TrimSpace(m) == "" {
			report("models", "a name is empty")
		}
	}
	if err := d.Output.check(); err != nil {
		report("output", "%v", err)
	}
	for _, limit := range []struct {
		field string
		value int
	}{{"seconds", d.Limits.Seconds}, {"modelCalls", d.Limits.ModelCalls}, {"toolCalls", d.Limits.ToolCalls}} {
		if limit.value < 0 {
			report(limit.field, "it is %d, and must not be negative", limit.value)
		}
	}
}

// resolveTools returns the names of all that the patterns match and no pattern with ! leaves out, in the order of all.
// Patterns for the tools of an MCP
// server come first, as they are: what a server offers is known at run time only.
func resolveTools(patterns, all []string, report func(field, format string, args ...any)) []string {
	var names []string
	for _, p := range patterns {
		if ofSource(p) {
			names = append(names, p)
			continue
		}
		p = strings.TrimPrefix(p, "!")
		if !slices.ContainsFunc(all, func(name string) bool { return matches(p, name) }) {
			report("tools", "no tool matches %q; the tools are %s", p, strings.Join(all, ", "))
		}
	}
	for _, name := range all {
		one := func(p string) bool { return matches(p, name) }
		without := func(p string) bool { return strings.HasPrefix(p, "!") && matches(p[1:], name) }
		if slices.ContainsFunc(patterns, one) && !slices.ContainsFunc(patterns, without) {
			names = append(names, name)
		}
	}
	return names
}

// ofSource reports whether a pattern stands for tools of an MCP server, such as mcp:git/*.
func ofSource(pattern string) bool {
	server, tool, ok := strings.Cut(strings.TrimPrefix(pattern, "mcp:"), "/")
	return ok && strings.HasPrefix(pattern, "mcp:") && server != "" && tool != ""
}

// matches reports whether a pattern of Definition.Tools stands for the tool.
func matches(pattern, name string) bool {
	if start, any := strings.CutSuffix(pattern, "*"); any {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}

// Names returns the agents' names, the default first.
func (s *Set) Names() []string {
	names := make([]string, len(s.definitions))
	for i, d := range s.definitions {
		names[i] = d.Name
	}
	return names
}

// For returns the definitions that a client offers to a user with the grants, the default first.
func (s *Set) For(grants []string) []Definition {
	var all []Definition
	for _, name := range s.Names() {
		if d, err := s.Find(name, grants); err == nil && !d.Hidden {
			all = append(all, d)
		}
	}
	return all
}

// Find returns the agent of that name, or the default for "". It fails with chat.ErrUnknownAgent, and with
// chat.ErrDenied if the grants do not include the agent's.
func (s *Set) Find(name string, grants []string) (Definition, error) {
	for _, d := range s.definitions {
		if name != "" && d.Name != name {
			continue
		}
		if d.Grant != Open && !slices.Contains(grants, d.Grant) {
			return Definition{}, fmt.Errorf("agent %q needs the grant %q: %w", d.Name, d.Grant, chat.ErrDenied)
		}
		return d.clone(), nil
	}
	return Definition{}, fmt.Errorf("agent %q: %w", name, chat.ErrUnknownAgent)
}

// clone returns a copy that shares no slice with d.
func (d Definition) clone() Definition {
	d.Tools, d.Models = slices.Clone(d.Tools), slices.Clone(d.Models)
	d.Agents, d.Handoffs, d.Output = slices.Clone(d.Agents), slices.Clone(d.Handoffs), slices.Clone(d.Output)
	return d
}
