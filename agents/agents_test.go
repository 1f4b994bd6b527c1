package agents_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/catalog"
	"carrel/shared/model/scripted"
	"carrel/shared/tool/mcp"
)

func TestDefinitions(t *testing.T) {
	set, err := agents.Definitions()
	if err != nil {
		t.Fatalf("correct the files of agents/definitions:\n%v", err)
	}
	grants := append(catalog.Scopes(agents.Grants()), agent.Open)
	for _, name := range set.Names() {
		d, err := set.Find(name, grants)
		if err != nil {
			t.Errorf("%v: no token can carry that grant. Add a line to Grants in agents/tools.go, "+
				"then run `make scopes`", err)
			continue
		}
		if d.Description == "" {
			t.Errorf("agents/definitions/%s.yaml: write a description, one sentence for the people who choose", name)
		}
		if !slices.Contains(grants, d.Grant) {
			t.Errorf("agents/definitions/%s.yaml: the grant %q is unknown", name, d.Grant)
		}
		if err := scripted.Check(d.Script); err != nil {
			t.Errorf("agents/definitions/%s.yaml: script: %v", name, err)
		}
	}
}

// The names of the team's tools and grants stand in agents/ only, so that an upgrade of functions/ and shared/ does not
// depend on them.
func TestGrants_OwnNames(t *testing.T) {
	builtIn := catalog.Names(catalog.Grants())
	for _, name := range catalog.Names(agents.Grants()) {
		if slices.Contains(builtIn, name) {
			continue
		}
		for _, root := range []string{"../functions", "../shared"} {
			err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
					return err
				}
				text, err := os.ReadFile(filepath.Join(root, path))
				if strings.Contains(string(text), name) {
					t.Errorf("%s/%s names the tool %s", root, path, name)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Each MCP server has a grant that a token can carry, so that a person can use its tools.
func TestMCP(t *testing.T) {
	file, lock := agents.MCP()
	servers, err := mcp.Parse(file)
	if err != nil {
		t.Fatalf("correct agents/mcp.yaml:\n%v", err)
	}
	pins, err := mcp.ParsePins(lock)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if !slices.Contains(catalog.Scopes(agents.Grants()), s.Grant) {
			t.Errorf("agents/mcp.yaml: no token can carry the grant %q of the server %s. Add a line to Grants in "+
				"shared/catalog/catalog.go, then run `make scopes`", s.Grant, s.Name)
		}
		if s.Credentials == mcp.None {
			if _, err := mcp.New(mcp.Config{Servers: []mcp.Server{s}, Pins: pins}); err != nil {
				t.Error(err)
			}
		}
	}
}
