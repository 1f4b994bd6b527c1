package agents

import (
	"carrel/shared/catalog"
	"carrel/shared/tool"
)

// Grants returns the grants of this deployment with their tools: those of shared/catalog, and then those of agents/own.
// It is data, so that a function can check an agent's tools without linking them.
func Grants() []catalog.Grant {
	readOnly := tool.Effects{ReadOnly: true}
	return append(catalog.Grants(),
		catalog.Grant{Name: "usage", Title: "Analyse AI usage", Tools: []catalog.Tool{
			{Name: "usage_actions", Effects: readOnly},
			{Name: "usage_check", Effects: readOnly},
			{Name: "usage_figures", Effects: readOnly},
			{Name: "usage_options", Effects: readOnly},
			{Name: "usage_report", Effects: readOnly},
			{Name: "usage_whatif", Effects: readOnly},
		}})
}
