package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/tool"
	"carrel/shared/tool/mcp"
	"carrel/shared/usercontext"
)

// sourceOf is a source in memory.
type sourceOf func(uc *usercontext.Context) ([]tool.Tool, error)

func (s sourceOf) Tools(_ context.Context, uc *usercontext.Context) ([]tool.Tool, error) {
	return s(uc)
}

// The tools of a source belong to one run. If a server is down, the run goes on without its tools, and the person and
// the operator learn which server it is.
func TestSources(t *testing.T) {
	t.Attr("row", "D4: the tools of a source are made for one run's user")
	r := newFixture(t, fast()).as(t, "auth0|alice")
	r.sources = []tool.Source{sourceOf(func(uc *usercontext.Context) ([]tool.Tool, error) {
		made, err := tool.Raw(tool.Spec{Name: "git_whoami", Schema: json.RawMessage(`{"type":"object"}`)}, "git",
			func(context.Context, json.RawMessage) (tool.Output, error) {
				return tool.Output{Text: "you are " + uc.User().Hash()}, nil
			})
		down := &mcp.SourceError{Server: "mail", State: mcp.Down, Err: errors.New("refused")}
		return []tool.Tool{made.From("mcp:git").ReadOnly()}, errors.Join(err, down)
	})}
	calls := 0
	for run, c := range map[string]struct {
		user, grant string
		want        tool.Outcome
	}{
		"r1": {"auth0|alice", "git", tool.OK}, "r2": {"auth0|bob", "git", tool.OK},
		"r3": {"auth0|eve", "x", tool.Denied},
	} {
		one := r.as(t, c.user)
		log := one.asks(t, "r1", "/call git_whoami {}", c.grant)
		got, _ := outcomes(log)
		calls += len(got)
		if !slices.Equal(got, []tool.Outcome{c.want}) {
			t.Errorf("%s: the calls got %v, want %s", run, got, c.want)
		}
		var said, missing string
		for _, e := range log {
			switch {
			case e.Type == agui.ToolCallResult:
				said = *e.Content
			case e.Name == "carrel.source":
				missing += e.Name + string(e.Value)
			}
		}
		if c.want == tool.OK && said != "you are "+one.user.Hash() {
			t.Errorf("%s: the tool said %q", run, said)
		}
		if missing != `carrel.source{"server":"mail","state":"down"}` ||
			!strings.Contains(one.log.String(), "MCP server mail is down: refused") {
			t.Errorf("%s: the person learns %q", run, missing)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d calls of three users", calls))
}

// An agent without a pattern for a source does not wait for sources.
func TestSources_NotNamed(t *testing.T) {
	r := newFixture(t, fast()).as(t, "auth0|alice")
	r.agents = agentsOf(t, named("plain", fast(), "calculator"))
	r.sources = []tool.Source{sourceOf(func(*usercontext.Context) ([]tool.Tool, error) {
		t.Error("the source was asked")
		return nil, nil
	})}
	r.asks(t, "r1", "/call calculator {\"expression\":\"1\"}", "calculator")
}
