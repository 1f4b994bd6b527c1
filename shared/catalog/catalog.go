// Package catalog is the one list of this deployment's tools: their names, the grants that they need, and their
// effects. The default agent, the scopes of the local issuer and the isolation tests are made from it. template.yaml is
// written from it (`make scopes`). Tests compare it with the tools that functions/turn makes. docs/tools.md explains
// how to add a tool.
package catalog

import "carrel/shared/tool"

// Grant is one permission that a user's token may carry, with the tools that it allows. A grant without tools opens
// agents only.
type Grant struct {
	Name  string // the OAuth scope
	Title string // what the scope allows; the user pool shows it as the scope's description
	Tools []Tool
}

// Tool is one tool as the list declares it.
type Tool struct {
	Name    string
	Effects tool.Effects // the same that the tool's package declares
}

// Grants returns the list, in the order of the scopes in template.yaml.
func Grants() []Grant {
	readOnly, destructive := tool.Effects{ReadOnly: true}, tool.Effects{Destructive: true}
	return []Grant{
		{Name: "calculator", Title: "Calculate", Tools: []Tool{{"calculator", readOnly}}},
		{Name: "clock", Title: "Tell the time", Tools: []Tool{{"clock", readOnly}}},
		{Name: "notes", Title: "Keep notes", Tools: []Tool{
			{"notes_save", tool.Effects{}},
			{"notes_list", readOnly},
			{"notes_search", readOnly},
			{"notes_delete", destructive},
			{"notes_clear", destructive},
		}},
		{Name: "ask", Title: "Ask you something", Tools: []Tool{{"ask", readOnly}}},
	}
}

// Scopes returns the names of the grants, in the order of the list.
func Scopes() []string {
	var names []string
	for _, g := range Grants() {
		names = append(names, g.Name)
	}
	return names
}

// Names returns the names of all tools, in the order of the list.
func Names() []string {
	var names []string
	for _, g := range Grants() {
		for _, t := range g.Tools {
			names = append(names, t.Name)
		}
	}
	return names
}
