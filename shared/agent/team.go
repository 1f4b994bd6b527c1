package agent

import (
	"fmt"
	"slices"
	"strings"

	"carrel/shared/engine"
)

// maxToolName is the longest name of an agent that can be asked, as part of the name of a tool.
const maxToolName = 64 - len(engine.AskPrefix)

// checkTeams returns the mistakes in Agents and Handoffs, of which each definition names others.
func checkTeams(all []Definition, tools []string) (mistakes []error) {
	byName := map[string]Definition{}
	for _, d := range all {
		byName[d.Name] = d
	}
	for _, d := range all {
		report := func(field, format string, args ...any) {
			mistakes = append(mistakes, &Mistake{Agent: d.Name, Field: field, Text: fmt.Sprintf(format, args...)})
		}
		checkNames(d, all, func(format string, args ...any) { report("agents", format, args...) }, d.Agents,
			prefixed(engine.AskPrefix, tools))
		checkNames(d, all, func(format string, args ...any) { report("handoffs", format, args...) }, d.Handoffs,
			prefixed(engine.HandoffPrefix, tools))
		checkDepth(d, byName, report)
	}
	return mistakes
}

// prefixed returns the tools whose names begin with the prefix, without it.
func prefixed(prefix string, tools []string) (names []string) {
	for _, tool := range tools {
		if name, ok := strings.CutPrefix(tool, prefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// checkNames reports the mistakes in one list of agents. taken are names that a tool of the deployment has.
func checkNames(d Definition, all []Definition, report func(format string, args ...any), names, taken []string) {
	known := namesOf(all)
	for i, name := range names {
		switch {
		case !slices.Contains(known, name):
			report("the agent %q is unknown; the agents are %s", name, strings.Join(known, ", "))
		case name == d.Name:
			report("an agent cannot name itself")
		case slices.Contains(names[:i], name):
			report("it names %q twice", name)
		case len(name) > maxToolName || strings.ContainsAny(name, ".:"):
			report("the name of %q becomes part of a tool's name: use at most %d of A-Z a-z 0-9 _ -", name, maxToolName)
		case slices.Contains(taken, name):
			report("the name of %q would give a tool of the deployment a second meaning; rename the agent", name)
		}
	}
}

func namesOf(all []Definition) []string {
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.Name
	}
	return names
}

// checkDepth reports a circle of agents that ask each other, and a chain that is too long.
func checkDepth(d Definition, byName map[string]Definition, report func(field, format string, args ...any)) {
	var walk func(chain []string) bool
	walk = func(chain []string) bool {
		for _, name := range byName[chain[len(chain)-1]].Agents {
			longer := append(slices.Clone(chain), name)
			switch {
			case name == d.Name && len(chain) > 1:
				report("agents", "a circle: %s", strings.Join(longer, " asks "))
				return false
			case slices.Contains(chain, name): // another agent's circle, which is reported there
				continue
			case len(longer) > engine.MaxDepth+1:
				report("agents", "%s: at most %d agents may wait for each other", strings.Join(longer, " asks "),
					engine.MaxDepth)
				return false
			case !walk(longer):
				return false
			}
		}
		return true
	}
	walk([]string{d.Name})
}

// Reach returns the names of all agents that a run of the named agent can involve, by questions and hand-overs. The
// first is the agent itself.
func (s *Set) Reach(name string) []string {
	reached := []string{name}
	for i := 0; i < len(reached); i++ {
		for _, d := range s.definitions {
			if d.Name != reached[i] {
				continue
			}
			for _, next := range slices.Concat(d.Agents, d.Handoffs) {
				if !slices.Contains(reached, next) {
					reached = append(reached, next)
				}
			}
		}
	}
	return reached
}
