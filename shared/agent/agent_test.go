package agent_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"carrel/shared/agent"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
)

func folder(files map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range files {
		all["definitions/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

var tools = []string{"calculator", "notes_save", "notes_list", "clock"}

func TestParse(t *testing.T) {
	set, err := agent.Parse(folder(map[string]string{
		"auditor.yaml": "grant: audit\nmodels: [cheap, default]\nlimits: {seconds: 60, toolCalls: 3}\n",
		"helper.yaml":  "default: true\ngrant: none\ninstructions: |\n  Be brief.\ntools: [\"notes_*\", clock]\n",
	}), tools)
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Names(); !slices.Equal(got, []string{"helper", "auditor"}) {
		t.Errorf("the agents are %q, want the default first", got)
	}
	d, err := set.Find("", nil)
	if err != nil || d.Instructions != "Be brief.\n" || !slices.Equal(d.Models, []string{"default"}) ||
		!slices.Equal(d.Tools, []string{"notes_save", "notes_list", "clock"}) {
		t.Errorf("the default is %+v, %v", d, err)
	}
	most, err := agent.NewSet(tools, agent.Definition{Name: "a", Grant: "g", Default: true,
		Tools: []string{"!notes_*", "*", "!clock"}})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := most.Find("", []string{"g"}); err != nil || !slices.Equal(d.Tools, []string{"calculator"}) {
		t.Errorf("without notes and clock it has %q, %v", d.Tools, err)
	}
	all := chat.DefaultLimits()
	a, err := set.Find("auditor", []string{"audit"})
	if err != nil {
		t.Fatal(err)
	}
	got := a.Limits.Within(all)
	if got.RunTime != time.Minute || got.ToolCalls != 3 || got.ModelCalls != all.ModelCalls {
		t.Errorf("its limits are %+v", got)
	}
}

// The schema of the output is read as JSON.
func TestParse_Output(t *testing.T) {
	const text = `default: true
grant: none
output:
  type: object
  required: [total, tools]
  properties:
    total: {type: integer, minimum: 0}
    tools: {type: array, items: {enum: [a, 1, true, null]}}
`
	set, err := agent.Parse(folder(map[string]string{"a.yaml": text}), tools)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"properties":{"tools":{"items":{"enum":["a",1,true,null]},"type":"array"},` +
		`"total":{"minimum":0,"type":"integer"}},"required":["total","tools"],"type":"object"}`
	for range 2 {
		d, err := set.Find("", nil)
		if err != nil || string(d.Output) != want {
			t.Fatalf("the schema is %s, %v", d.Output, err)
		}
		d.Output[0] = 'x'
	}
	_, err = agent.Parse(folder(map[string]string{"a.yaml": text + "tools: [x]\n"}), tools)
	if err == nil || !strings.Contains(err.Error(), "a.yaml:9: tools: ") {
		t.Errorf("a mistake behind a schema with the same name: %v", err)
	}
}

// A mistake names the file, the line and what to do.
func TestParse_Mistakes(t *testing.T) {
	const fine = "default: true\ngrant: none\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty file":     {"", "a.yaml:1: the file is empty"},
		"unknown field":  {fine + "modles: [x]\n", "a.yaml:3: the field modles is unknown; docs/agents.md"},
		"wrong type":     {fine + "limits:\n  seconds: many\n", "a.yaml:4: "},
		"bad YAML":       {fine + "tools: [calculator\n", "a.yaml:"},
		"two documents":  {fine + "---\ngrant: x\n", "more than one YAML document"},
		"no grant":       {"default: true\n", "a.yaml:1: grant: it is missing"},
		"grant of words": {"default: true\n\ngrant: a b\n", "a.yaml:3: grant: \"a b\" has a space"},
		"unknown tool": {fine + "\ntools: [calculatr]\n",
			"a.yaml:4: tools: no tool matches \"calculatr\"; the tools are calculator, notes_save"},
		"unknown tool left out": {fine + "tools: [\"*\", \"!clocks\"]\n",
			"a.yaml:3: tools: no tool matches \"clocks\""},
		"negative limit":  {fine + "limits: {toolCalls: -1}\n", "a.yaml:3: toolCalls: it is -1"},
		"no default":      {"grant: none\n", "write default: true in one"},
		"output of words": {fine + "output: a JSON text\n", "a.yaml:3: "},
		"output that is a list": {fine + "output:\n  type: array\n",
			"a.yaml:3: output: the schema needs type: object"},
		"output with a reference": {fine + "\noutput: {type: object, properties: {a: {$ref: \"#\"}}}\n",
			"a.yaml:4: output: the schema has a reference"},
		"output of an unknown type": {fine + "output: {type: object, properties: {a: {type: text}}}\n",
			"a.yaml:3: output: the type \"text\" is unknown"},
		"empty model name": {fine + "models: [\"\"]\n", "a.yaml:3: models: a name is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := agent.Parse(folder(map[string]string{"a.yaml": c.text}), tools)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
	_, err := agent.Parse(folder(map[string]string{"a.yaml": fine, "b b.yaml": fine + "tools: [x]\n"}), tools)
	for _, want := range []string{"b b.yaml:1: name: ", "b b.yaml:1: default: another agent", "b b.yaml:3: tools: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant also %s", err, want)
		}
	}
	if _, err := agent.Parse(folder(nil), tools); err == nil {
		t.Error("a folder without agents was accepted")
	}
}

func TestSet_Find(t *testing.T) {
	set, err := agent.NewSet(nil, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
		agent.Definition{Name: "auditor", Grant: "audit"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		agent  string
		grants []string
		want   error
	}{
		"the default, without grants":   {"", nil, nil},
		"by name":                       {"first", nil, nil},
		"unknown":                       {"third", []string{"audit"}, chat.ErrUnknownAgent},
		"without its grant":             {"auditor", []string{"audi", "auditor", "none"}, chat.ErrDenied},
		"with its grant":                {"auditor", []string{"x", "audit"}, nil},
		"a pattern as the name":         {"*", []string{"audit"}, chat.ErrUnknownAgent},
		"another case is another agent": {"Auditor", []string{"audit"}, chat.ErrUnknownAgent},
	} {
		if _, err := set.Find(c.agent, c.grants); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSet_For(t *testing.T) {
	set, err := agent.NewSet(nil, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
		agent.Definition{Name: "helper", Grant: agent.Open, Hidden: true},
		agent.Definition{Name: "auditor", Grant: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.For(nil); len(got) != 1 || got[0].Name != "first" {
		t.Errorf("a client offers %+v", got)
	}
	if _, err := set.Find("helper", nil); err != nil {
		t.Errorf("other agents do not find a hidden one: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	names := []string{"calculator"}
	set, err := agent.NewSet(tools, agent.Definition{Name: "first", Grant: agent.Open, Default: true, Tools: names})
	if err != nil {
		t.Fatal(err)
	}
	model := scripted.New(scripted.Config{})
	r, err := agent.NewRegistry(set, func(agent.Definition) ([]engine.Candidate, error) {
		return []engine.Candidate{{Model: model}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names[0] = "changed"
	for range 2 {
		a, err := r.Agent("", nil)
		if err != nil || a.Candidates[0].Model != model || !slices.Equal(a.Tools, []string{"calculator"}) {
			t.Fatalf("the default is %+v, %v", a, err)
		}
		a.Tools[0] = "changed again"
	}
	none := func(agent.Definition) ([]engine.Candidate, error) { return nil, nil }
	if _, err := agent.NewRegistry(set, none); err == nil {
		t.Error("an agent without a model was accepted")
	}
}

// The lists of other agents are checked when all agents are known.
func TestParse_Teams(t *testing.T) {
	const head = "default: true\ngrant: none\n"
	chain := map[string]string{"a.yaml": head + "agents: [b]\n"}
	for i, name := range []string{"b", "c", "d", "e"} {
		chain[name+".yaml"] = "grant: none\nagents: [" + string(rune('c'+i)) + "]\n"
	}
	chain["f.yaml"] = "grant: none\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"unknown agent": {map[string]string{"a.yaml": head + "\nagents: [x]\n"},
			`a.yaml:4: agents: the agent "x" is unknown; the agents are a`},
		"unknown successor": {map[string]string{"a.yaml": head + "handoffs: [x]\n"},
			`a.yaml:3: handoffs: the agent "x"`},
		"itself": {map[string]string{"a.yaml": head + "handoffs: [a]\n"},
			"a.yaml:3: handoffs: an agent cannot"},
		"twice": {map[string]string{"a.yaml": head + "agents: [b, b]\n", "b.yaml": "grant: none\n"},
			`a.yaml:3: agents: it names "b" twice`},
		"a circle": {map[string]string{"a.yaml": head + "agents: [b]\n", "b.yaml": "grant: none\nagents: [a]\n"},
			"b.yaml:2: agents: a circle: b asks a asks b"},
		"a name without a tool": {map[string]string{"a.yaml": head + "agents: [b.c]\n", "b.c.yaml": "grant: none\n"},
			"a.yaml:3: agents: the name of \"b.c\" becomes part of a tool's name"},
		"a chain of six": {chain, "a.yaml:3: agents: a asks b asks c asks d asks e asks f: at most 4 agents"},
		"a tool's name": {map[string]string{"a.yaml": head + "agents: [user]\n", "user.yaml": "grant: none\n"},
			`a.yaml:3: agents: the name of "user" would give`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := agent.Parse(folder(c.files), append(slices.Clone(tools), "ask_user"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
	delete(chain, "f.yaml")
	chain["e.yaml"] = "grant: none\nhandoffs: [a, b]\n"
	set, err := agent.Parse(folder(chain), tools)
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Reach("c"); !slices.Equal(got, []string{"c", "d", "e", "a", "b"}) {
		t.Errorf("a run of c can involve %q", got)
	}
}
