package agents

import (
	"bytes"
	_ "embed"
)

//go:embed models.yaml
var models []byte

// Models returns the text of models.yaml.
func Models() []byte { return bytes.Clone(models) }
