package catalog_test

import (
	"slices"
	"testing"

	"carrel/shared/catalog"
)

func TestGrants(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range catalog.Grants() {
		if g.Name == "" || g.Title == "" {
			t.Errorf("the grant %+v has an empty field", g)
		}
		for _, name := range append([]string{"grant " + g.Name}, toolsOf(g)...) {
			if seen[name] {
				t.Errorf("%s stands twice in the list", name)
			}
			seen[name] = true
		}
	}
	all := catalog.Grants()
	if got := catalog.Scopes(all); !slices.Contains(got, "notes") || len(got) != len(all) {
		t.Errorf("the scopes are %q", got)
	}
	if got := catalog.Names(all); !slices.Contains(got, "notes_clear") || len(got)+len(all) != len(seen) {
		t.Errorf("the tools are %q", got)
	}
}

func toolsOf(g catalog.Grant) (names []string) {
	for _, t := range g.Tools {
		names = append(names, "tool "+t.Name)
	}
	return names
}
