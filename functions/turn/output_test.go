package main

import (
	"testing"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
)

// bookkeeper is an agent whose answers have a JSON Schema.
func bookkeeper(t *testing.T) *agent.Registry {
	t.Helper()
	set, err := agent.NewSet(nil, agent.Definition{Name: "bookkeeper", Grant: agent.Open, Default: true,
		Output: agent.Output(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := agent.NewRegistry(set, func(agent.Definition) ([]engine.Candidate, error) {
		return []engine.Candidate{{Model: scripted.New(scripted.Config{Pace: -1}), Name: "carrel:scripted"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An agent with an output schema answers with JSON. An answer that does not fit is closed as incomplete and requested
// again, and the transcript says so; the run ends with bad_output after three such answers.
func TestTurn_Output(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		status chat.RunStatus
		marked int // messages that are marked as repeated
		code   string
	}{
		"a plain question": {"how many?", chat.RunFinished, 0, ""},
		"fits":             {`/say {"n":4}`, chat.RunFinished, 0, ""},
		"refused once":     {"/fail output 1\n/say {\"n\":4}", chat.RunFinished, 1, ""},
		"refused twice":    {"/fail output 2\n/say {\"n\":4}", chat.RunFinished, 2, ""},
		"never fits":       {"/fail output", chat.RunFailed, 3, engine.CodeBadOutput},
	} {
		t.Run(name, func(t *testing.T) {
			r := newFixture(t, scripted.New(scripted.Config{Pace: -1}))
			r.agents = bookkeeper(t)
			r.admit(t, "r1", c.script)
			r.turn(t, "r1")
			events := r.events(t)
			if last := events[len(events)-1]; last.Code != c.code {
				t.Errorf("the run ended with %+v", last)
			}
			run, err := r.store.Run(t.Context(), "r1")
			if err != nil || run.Status != c.status {
				t.Errorf("the run is %+v, %v", run, err)
			}
			var f agui.Folder
			for _, e := range events {
				f.Add(e)
			}
			marked, answers := 0, 0
			for _, m := range f.Messages() {
				if m.Role != agui.RoleAssistant {
					continue
				}
				if marks := agui.MarksOf(m.Metadata); marks.Again && marks.Incomplete {
					marked++
					continue
				}
				if answers++; m.Content != `{"n":4}` && m.Content != `{"n":0}` {
					t.Errorf("the answer is %q", m.Content)
				}
			}
			if marked != c.marked || c.code == "" && answers != 1 {
				t.Errorf("%d messages are marked as repeated and %d answer", marked, answers)
			}
		})
	}
}
