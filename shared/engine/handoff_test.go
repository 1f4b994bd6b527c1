package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// handsOver returns the deltas that hand the conversation over.
func handsOver(names ...string) (deltas []engine.Delta) {
	for _, name := range names {
		deltas = append(deltas, start("to_"+name), args("{}"))
	}
	return append(deltas, stop(engine.StopTools))
}

// newRelay makes a team whose first agent acts and hands over in one answer. Its successor repeats its messages.
func newRelay(t *testing.T) *team {
	t.Helper()
	g := newTeam(t)
	g.hands = map[string][]engine.Colleague{"": {{Name: "talker"}, {Name: "actor"}}}
	g.minds[""] = func(engine.Request) []engine.Delta {
		return slices.Concat([]engine.Delta{start("act"), args(`{"say":"x"}`)}, handsOver("talker", "actor"))
	}
	g.minds["talker"] = func(r engine.Request) []engine.Delta {
		return []engine.Delta{text("I read: " + strings.Join(resultsIn(r), " / ")), stop(engine.StopEnd)}
	}
	return g
}

// A successor answers with the whole conversation, and the calls of the answer that handed over are made. Of two
// hand-overs in one answer the first counts. Whichever record the worker dies after, the conversation ends the same.
func TestHandoff(t *testing.T) {
	for dies := -1; ; dies++ {
		g := newRelay(t)
		end, err := g.attempt(dies)
		lived := err == nil
		if !lived {
			end, err = g.attempt(-1)
		}
		if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess || g.effects > 1 {
			t.Fatalf("died after %d records: %+v, %v, %d effects\n%s", dies, end, err, g.effects, list(g.log))
		}
		all := g.messages()
		last := all[len(all)-1].Content
		for _, want := range []string{`The agent "talker" has taken over.`, "This one had no effect."} {
			if !strings.HasPrefix(last, "I read: ") || !strings.Contains(last, want) {
				t.Errorf("died after %d records: the run ends with %q, want %q in it\n%s", dies, last, want,
					list(g.log))
			}
		}
		if len(g.seen["actor"]) > 0 {
			t.Errorf("died after %d records: the second hand-over had an effect", dies)
		}
		if lived && dies >= 0 {
			return
		}
	}
}

// An agent without its grant is neither offered nor becomes a successor.
func TestHandoff_Grant(t *testing.T) {
	g := newRelay(t)
	g.hands[""][0].Grant = "talkers"
	g.hands[""] = g.hands[""][:1]
	g.minds[""] = func(r engine.Request) []engine.Delta {
		if got := resultsIn(r); len(got) > 0 {
			return []engine.Delta{text(got[0]), stop(engine.StopEnd)}
		}
		return handsOver("talker")
	}
	end, err := g.attempt(-1)
	if err != nil || end.Type != agui.RunFinished || len(g.seen["talker"]) > 0 {
		t.Fatalf("%+v, %v\n%s", end, err, list(g.log))
	}
	if slices.ContainsFunc(g.seen[""][0].Tools, func(s tool.Spec) bool { return s.Name == "to_talker" }) {
		t.Error("the agent is offered to a user without its grant")
	}
}

// A run is handed over four times at most, counted over its attempts.
func TestHandoff_Limit(t *testing.T) {
	for _, dies := range []int{-1, 3, 6, 9} {
		g := newRelay(t)
		to := []engine.Colleague{{Name: "talker"}}
		g.hands = map[string][]engine.Colleague{"": to, "talker": to}
		g.minds["talker"] = func(r engine.Request) []engine.Delta {
			if got := resultsIn(r); strings.Contains(got[len(got)-1], "was handed over") {
				return []engine.Delta{text("I stay"), stop(engine.StopEnd)}
			}
			return append([]engine.Delta{text(fmt.Sprint("number ", len(resultsIn(r))))}, handsOver("talker")...)
		}
		g.minds[""] = func(engine.Request) []engine.Delta { return handsOver("talker") }
		end, err := g.attempt(dies)
		if err != nil {
			end, err = g.attempt(-1)
		}
		taken := 0
		for _, e := range g.log {
			if e.Type == agui.ToolCallResult && strings.Contains(*e.Content, "has taken over") {
				taken++
			}
		}
		if err != nil || end.Type != agui.RunFinished || taken != 4 {
			t.Errorf("died after %d records: %+v, %v: %d hand-overs\n%s", dies, end, err, taken, list(g.log))
		}
	}
}

// An interrupt after a hand-over names the successor, so that it continues the thread.
func TestHandoff_Interrupt(t *testing.T) {
	g := newRelay(t)
	g.minds["talker"] = func(engine.Request) []engine.Delta {
		return []engine.Delta{start("careful"), args(`{"say":"x"}`), stop(engine.StopTools)}
	}
	end, err := g.attempt(-1)
	if err != nil || end.Outcome == nil || len(end.Outcome.Interrupts) != 1 ||
		!strings.Contains(string(end.Outcome.Interrupts[0].Metadata), `"agent":"talker"`) {
		t.Errorf("%+v, %v", end.Outcome, err)
	}
}
