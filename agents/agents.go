// Package agents holds this deployment's agents as data: one YAML file per agent in definitions. The folder belongs to
// the team that deploys Carrel; docs/agents.md describes it. Package agent reads and checks the files.
package agents

import (
	"embed"

	"carrel/shared/agent"
	"carrel/shared/catalog"
)

//go:embed definitions/*.yaml
var files embed.FS

// Definitions returns the checked definitions. The error names the file and line of every mistake.
func Definitions() (*agent.Set, error) {
	return agent.Parse(files, catalog.Names(Grants()))
}
