package main

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
)

// keeps notes what the provider gets back with each request.
type keeps struct {
	engine.Model
	got *[]map[string]string
}

func (m keeps) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	*m.got = append(*m.got, r.Keep)
	return m.Model.Stream(ctx, r)
}

// The data that a provider wants back is in the log only. The provider gets it with the next call, also from the worker
// that continues the run. No frame and no transcript has it.
func TestTurn_KeepIsInTheLogOnly(t *testing.T) {
	const word = "carrel/scripted@v1:c2VjcmV0IHRob3VnaHRz" // secret thoughts
	const script = "/think so\n/keep secret thoughts\n/call calculator {\"expression\":\"6*7\"}\n/say end"
	var got []map[string]string
	r := newFixture(t, keeps{fast(), &got})
	r.ask(t, "r1", script)
	r.turn(t, "r1")
	log := r.events(t)
	kept := slices.IndexFunc(log, func(e agui.Event) bool { return e.Type == agui.ReasoningEncryptedValue })
	if kept < 0 || *log[kept].EncryptedValue != word {
		t.Fatalf("the log has %s", types(log))
	}
	first := log[kept].EntityID
	if len(got) != 2 || len(got[0]) != 0 || got[1][first] != word {
		t.Errorf("the provider got %v", got)
	}
	seen, _ := r.seen(t, "window")
	text, err := json.Marshal(seen)
	if err != nil || types(seen) != types(log) || strings.Contains(string(text), word) {
		t.Errorf("the window saw %s, %v", text, err)
	}
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	runs, _, err := r.store.Transcripts(t.Context(), th, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(runs); err != nil || strings.Contains(string(text), word) || len(runs) != 1 {
		t.Errorf("the transcripts are %s, %v", text, err)
	}
	got = nil
	mark := slices.IndexFunc(log, func(e agui.Event) bool { return e.Name == agui.CustomAnswer }) + 1
	r = newFixture(t, keeps{fast(), &got})
	r.ask(t, "r1", script)
	r.dies(t, "r1", log[:mark])
	r.turn(t, "r1")
	if len(got) != 1 || got[0][first] != word {
		t.Errorf("the next worker gave the provider %v", got)
	}
}
