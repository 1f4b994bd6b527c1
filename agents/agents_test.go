package agents_test

import (
	"slices"
	"testing"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/catalog"
)

func TestDefinitions(t *testing.T) {
	set, err := agents.Definitions()
	if err != nil {
		t.Fatalf("correct the files of agents/definitions:\n%v", err)
	}
	grants := append(catalog.Scopes(), agent.Open)
	for _, name := range set.Names() {
		d, err := set.Find(name, grants)
		if err != nil {
			t.Errorf("%v: no token can carry that grant. Add a line to Grants in shared/catalog/catalog.go, "+
				"then run `make scopes`", err)
			continue
		}
		if d.Description == "" {
			t.Errorf("agents/definitions/%s.yaml: write a description, one sentence for the people who choose", name)
		}
		if !slices.Contains(grants, d.Grant) {
			t.Errorf("agents/definitions/%s.yaml: the grant %q is unknown", name, d.Grant)
		}
	}
}
