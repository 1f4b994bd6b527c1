package main

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/catalog"
	"carrel/shared/tool"
	"carrel/shared/tool/tooltest"
	"carrel/shared/usercontext"
)

// collidingNames returns users whose names begin with one another, or contain characters that keys use as separators.
func collidingNames() []string {
	return []string{"auth0|bob", "auth0|bob#", "auth0|bobby", "auth0|bob#N#1"}
}

// catalogDifferences compares the tools that a run has with agents.Grants and with the test cases. Each message says
// which file to edit.
func catalogDifferences(r *tool.Registry, cases map[string]tooltest.Case) (wrong []string) {
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, g := range agents.Grants() {
		for _, listed := range g.Tools {
			grant, made := r.Grant(listed.Name)
			effects, _ := r.Effects(listed.Name)
			switch {
			case !made:
				report("agents.Grants lists the tool %s, but no run has it: make it in functions/turn/tools.go",
					listed.Name)
			case grant != g.Name:
				report("the tool %s needs the grant %q, but agents.Grants lists it under %q", listed.Name, grant,
					g.Name)
			case effects != listed.Effects:
				report("the tool %s declares %+v, but agents.Grants lists %+v", listed.Name, effects, listed.Effects)
			}
			if _, ok := cases[listed.Name]; !ok {
				report("the tool %s has no isolation case: add one to shared/tool/tooltest/cases.txtar, or for a tool "+
					"of your own to agents/own/cases.txtar", listed.Name)
			}
		}
	}
	for _, name := range r.Names() {
		if !slices.Contains(catalog.Names(agents.Grants()), name) {
			report("functions/turn makes the tool %s, but agents.Grants does not list it: add it to shared/catalog or "+
				"to agents/tools.go", name)
		}
	}
	for name := range cases {
		if !slices.Contains(catalog.Names(agents.Grants()), name) {
			report("cases.txtar has a case for %s, which agents.Grants does not list", name)
		}
	}
	return wrong
}

// isolationViolations lets each user call a tool in one process, as in a warm environment, and reports each result or
// note in which one user's secret reached another user.
func (r *fixture) isolationViolations(t *testing.T, name string, c tooltest.Case) (wrong []string) {
	t.Helper()
	names := collidingNames()
	secret := func(i int) string { return fmt.Sprintf("secret-%d-", i) }
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL)
	}))
	defer page.Close()
	fill := func(i int, text string) string {
		return strings.NewReplacer("$MINE", secret(i), "$PAGE", page.URL).Replace(text)
	}
	var users []*fixture
	var before []string
	for i, user := range names {
		u := r.as(t, user)
		for range 2 {
			if _, err := u.store.SaveNote(t.Context(), fill(i, "a note of $MINE")); err != nil {
				t.Fatal(err)
			}
		}
		users, before = append(users, u), append(before, u.allNotes(t))
	}
	for i, u := range users {
		got := u.call(t, name, fill(i, c.Call))
		if q := got.Question; q != nil { // a call that asks a person has no content yet
			got = tool.Result{Outcome: tool.OK, Content: q.Message + string(q.Schema)}
		}
		if got.Outcome != tool.OK || !strings.Contains(got.Content, fill(i, c.Says)) {
			wrong = append(wrong, fmt.Sprintf("%s got %+v, want %q", names[i], got, fill(i, c.Says)))
		}
		for j, other := range users {
			now := other.allNotes(t)
			if j != i && (strings.Contains(got.Content, secret(j)) || strings.Contains(now, secret(i))) {
				wrong = append(wrong, fmt.Sprintf("data of %s and %s was mixed: %s; %s", names[i], names[j],
					got.Content, now))
			}
			if j > i && now != before[j] {
				wrong = append(wrong, fmt.Sprintf("a call of %s changed the notes of %s to %s", names[i], names[j],
					now))
			}
		}
	}
	for i, u := range users {
		if n := u.notes(t); n != c.Leaves || strings.Count(u.allNotes(t), secret(i)) != n {
			wrong = append(wrong, fmt.Sprintf("%s has %s at the end, want %d notes", names[i], u.allNotes(t), c.Leaves))
		}
	}
	return wrong
}

// allNotes returns the user's notes as one text.
func (r *fixture) allNotes(t *testing.T) string {
	t.Helper()
	all, err := r.store.Notes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all)
}

// call makes one call in a run of its own. The run has all tools of its user, every grant, and a person's approval.
func (r *fixture) call(t *testing.T, name, arguments string) tool.Result {
	t.Helper()
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: r.user, Thread: "t", Run: "r", Request: "q", Grants: append(catalog.Scopes(agents.Grants()), "diary"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer uc.Close(context.Background())
	d, err := tool.NewDispatcher(uc, registry, []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return d.Call(t.Context(), tool.Call{ID: "c", Name: name, Arguments: arguments, Approved: true})
}

// Users with colliding names and colliding note numbers call each tool of the catalog. Each user gets and changes only
// their own data.
func TestTools_IsolationCases(t *testing.T) {
	t.Attr("row", "D4: each tool beside another user's data")
	r := newFixture(t, fast())
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.agents.Names() {
		a, err := r.agents.Agent(name, catalog.Scopes(agents.Grants()))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range a.Tools {
			if !strings.HasPrefix(name, "mcp:") && !slices.Contains(registry.Names(), name) {
				t.Errorf("the agent %s names the tool %s, but no run has it", a.Name, name)
			}
		}
	}
	cases := tooltest.Cases(t)
	for _, wrong := range catalogDifferences(registry, cases) {
		t.Error(wrong)
	}
	for name, c := range cases {
		for _, wrong := range newFixture(t, fast()).isolationViolations(t, name, c) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d tools, each called by %d users with colliding names and numbers",
		len(registry.Names()), len(collidingNames())))
}

// A package below shared/tool that no run uses is an unfinished tool.
func TestTools_UnusedPackage(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "tools.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, i := range file.Imports {
		used = append(used, strings.Trim(i.Path.Value, `"`))
	}
	packages, err := filepath.Glob("../../shared/tool/*/*.go")
	if err != nil || len(packages) == 0 {
		t.Fatalf("found no tool packages: %v", err)
	}
	for _, path := range packages {
		name := filepath.Base(filepath.Dir(path))
		if name != "tooltest" && name != "mcp" && !slices.Contains(used, "carrel/shared/tool/"+name) {
			t.Errorf("functions/turn/tools.go does not use the tool package shared/tool/%s. "+
				"docs/tools.md lists the edits that add a tool.", name)
		}
	}
}

// The suite detects a tool outside the catalog, a listed tool that no run has, a missing case, and a tool that keeps
// one user's text for the next user.
func TestTools_UnlistedOrLeakingTool(t *testing.T) {
	t.Attr("row", "D4: a tool that mixes users is detected")
	last := "nothing"
	diary, err := tool.Define("diary", "Keeps a diary.", "diary", func(_ context.Context, in struct {
		Text string `json:"text"`
	}) (string, error) {
		previous := last
		last = in.Text
		return "Written. Before it stands: " + previous, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newFixture(t, fast())
	if r.tools, err = r.tools.With(diary); err != nil {
		t.Fatal(err)
	}
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	cases := tooltest.Cases(t)
	wantDifference(t, registry, cases, "makes the tool diary, but agents.Grants does not list it")
	delete(cases, "clock")
	wantDifference(t, registry, cases, "the tool clock has no isolation case")
	cases["hourglass"] = tooltest.Case{}
	wantDifference(t, registry, cases, "has a case for hourglass")
	alone, err := tool.NewRegistry(diary)
	if err != nil {
		t.Fatal(err)
	}
	wantDifference(t, alone, cases, "lists the tool calculator, but no run has it")
	got := r.isolationViolations(t, "diary", tooltest.Case{Call: `{"text":"of $MINE"}`, Says: "Written.", Leaves: 2})
	if len(got) != len(collidingNames())-1 {
		t.Errorf("of a tool that returns the previous user's text the suite reports %q", got)
	}
	t.Attr("figure", fmt.Sprintf("a planted tool that keeps each user's text: %d mixtures detected", len(got)))
}

func wantDifference(t *testing.T, r *tool.Registry, cases map[string]tooltest.Case, want string) {
	t.Helper()
	got := catalogDifferences(r, cases)
	if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("the differences %q do not report: %s", got, want)
	}
}
