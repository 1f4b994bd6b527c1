// Package catalog lists the built-in tools: their names, the grants that they need, and their effects. agents.Grants
// adds the tools of the deployment's own. The scopes of the local issuer and the isolation tests are made from that
// list. template.yaml is written from it (`make scopes`). Tests compare it with the tools that functions/turn makes.
// docs/tools.md explains how to add a tool.
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

// Grants returns the built-in tools' grants, in the order of the scopes in template.yaml.
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
		{Name: "fetch", Title: "Read pages of the web", Tools: []Tool{{"fetch", readOnly}}},
	}
}

// Scopes returns the names of the grants, in their order.
func Scopes(grants []Grant) []string {
	var names []string
	for _, g := range grants {
		names = append(names, g.Name)
	}
	return names
}

// Names returns the names of all tools of the grants, in their order.
func Names(grants []Grant) []string {
	var names []string
	for _, g := range grants {
		for _, t := range g.Tools {
			names = append(names, t.Name)
		}
	}
	return names
}
