package agent_test

import (
	"errors"
	"slices"
	"testing"

	"carrel/shared/agent"
	"carrel/shared/catalog"
	"carrel/shared/chat"
	"carrel/shared/model/scripted"
)

func TestRegistry(t *testing.T) {
	model := scripted.New(scripted.Config{})
	tools := []string{"calculator"}
	r, err := agent.NewRegistry(agent.Agent{Name: "first", Model: model, Tools: tools},
		agent.Agent{Name: "second", Model: model})
	if err != nil {
		t.Fatal(err)
	}
	tools[0] = "changed"
	for asked, want := range map[string]string{"": "first", "first": "first", "second": "second"} {
		a, err := r.Agent(asked)
		if err != nil || a.Name != want {
			t.Errorf("asked for %q: %+v, %v", asked, a, err)
		}
		if want == "first" {
			if a.Tools[0] != "calculator" {
				t.Errorf("the frozen tools are %v", a.Tools)
			}
			a.Tools[0] = "changed again"
		}
	}
	if _, err := r.Agent("third"); !errors.Is(err, chat.ErrUnknownAgent) {
		t.Errorf("an agent that is not there: %v", err)
	}
	if want := []string{"first", "second"}; !slices.Equal(r.Names(), want) {
		t.Errorf("named %v", r.Names())
	}
}

func TestNewRegistry_Invalid(t *testing.T) {
	model := scripted.New(scripted.Config{})
	fine := agent.Agent{Name: "a", Model: model}
	for name, agents := range map[string][]agent.Agent{
		"none": nil, "no name": {{Model: model}}, "bad name": {{Name: "a b", Model: model}}, "no model": {{Name: "a"}},
		"twice": {fine, fine},
	} {
		if _, err := agent.NewRegistry(agents...); err == nil {
			t.Errorf("%s: registered", name)
		}
	}
}

func TestSamples(t *testing.T) {
	r, err := agent.Samples(scripted.New(scripted.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := r.Agent(""); err != nil || a.Name != "assistant" || a.System == "" ||
		!slices.Equal(a.Tools, catalog.Names()) {
		t.Errorf("the default is %+v, %v", a, err)
	}
	if _, err := agent.Samples(nil); err == nil {
		t.Error("agents without a model")
	}
}
