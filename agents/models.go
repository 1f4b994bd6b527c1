// Package agents holds the files of a deployment's own: its agents and the facts about its models. It has data only.
package agents

import (
	"bytes"
	_ "embed"
)

//go:embed models.yaml
var models []byte

// Models returns the text of models.yaml.
func Models() []byte { return bytes.Clone(models) }
