// Package own holds this deployment's own tools. The folder belongs to the team that deploys Carrel. Function turn
// registers the tools; agents.Grants lists them with their grants. docs/tools.md says how to add one.
package own

import (
	"carrel/agents/own/advisor"
	"carrel/shared/tool"
)

// Price is the list price of a model.
type Price = advisor.Price

// Tools makes the tools. All runs share them, so none holds data of a user. price returns the list price of a model,
// and false if it is not known.
func Tools(price func(model string) (Price, bool)) ([]tool.Tool, error) {
	return advisor.New(price)
}
