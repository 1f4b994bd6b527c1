package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// Two agents are asked in one answer. Their events are lines of their own, and the asking agent's model reads their
// last answers only.
func TestAsk(t *testing.T) {
	g := newTeam(t)
	end, err := g.attempt(-1)
	if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess {
		t.Fatalf("%+v, %v\n%s", end, err, list(g.log))
	}
	g.check("no death")
	var said []string
	for _, m := range agui.LineMessages(g.messages(), "") {
		said = append(said, m.Content)
	}
	want := "I ask.|one two three|it acted|all: one two three, it acted"
	if got := strings.Join(said, "|"); got != want {
		t.Errorf("the conversation is %q, want %q", got, want)
	}
	lines := map[string]string{}
	for _, e := range g.log {
		if e.Type == agui.SubagentStarted {
			lines[e.SubagentRunID] = e.Name
			if e.ParentToolCallID != e.SubagentRunID {
				t.Errorf("%+v does not name its call", e)
			}
		}
	}
	if len(lines) != 2 || g.effects != 1 {
		t.Errorf("the lines are %v, and the tool took effect %d times", lines, g.effects)
	}
}

// A worker dies at each of the records of the run in turn.
func TestAsk_KilledAtEachEvent(t *testing.T) {
	t.Attr("row", "D1: a worker's death is judged for each line")
	t.Attr("row", "D2: the asking model reads no message of another line")
	for n := 0; ; n++ {
		g := newTeam(t)
		if _, err := g.attempt(n); err == nil {
			if n < 15 {
				t.Fatalf("the run has %d records only", n)
			}
			t.Attr("figure", fmt.Sprintf("a run that asks two agents died after each of its %d events", n))
			return
		}
		end, err := g.attempt(-1)
		if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess {
			t.Fatalf("died after %d events: %+v, %v\n%s", n, end, err, list(g.log))
		}
		g.check(fmt.Sprintf("died after %d events", n))
	}
}

// The workers die again and again, after so many events each. An answer with its two calls has nine.
func TestAsk_KilledAgainAndAgain(t *testing.T) {
	for n := 8; n < 24; n++ {
		g := newTeam(t)
		for try := 1; ; try++ {
			end, err := g.attempt(n)
			if err == nil && (end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess) {
				t.Errorf("%d events each: %+v\n%s", n, end, list(g.log))
			}
			if err == nil {
				break
			}
			if try == 20 {
				t.Fatalf("%d events each: no progress\n%s", n, list(g.log))
			}
		}
		g.check(fmt.Sprintf("%d events each", n))
	}
}

// An agent without its grant is neither offered nor asked.
func TestAsk_Grant(t *testing.T) {
	t.Attr("row", "D2: an agent is offered and asked with its grant only")
	g := newTeam(t)
	g.asks[""][1].Grant = "actors"
	end, err := g.attempt(-1)
	if err != nil || end.Type != agui.RunFinished {
		t.Fatalf("%+v, %v", end, err)
	}
	for _, s := range g.seen[""][0].Tools {
		if s.Name == "ask_actor" {
			t.Error("the agent is offered to a user without its grant")
		}
	}
	if len(g.seen["actor"]) > 0 || g.effects > 0 {
		t.Error("the agent was asked for a user without its grant")
	}
	var outcome string
	for _, e := range g.log {
		if e.Type == agui.ToolCallResult && strings.Contains(*e.Content, `"actor"`) {
			outcome = agui.MarksOf(e.Metadata).Outcome
		}
	}
	if outcome != string(tool.Denied) {
		t.Errorf("the call's outcome is %q", outcome)
	}
	g.grants = append(g.grants, "actors")
	g.log = nil
	if _, err := g.attempt(-1); err != nil || g.effects != 1 {
		t.Errorf("with the grant the tool took effect %d times; %v", g.effects, err)
	}
	t.Attr("figure", fmt.Sprintf("without its grant the call of an agent was %s; with it, its tool took effect "+
		"%d times", outcome, g.effects))
}

// A failed agent fails its call, not the run.
func TestAsk_Failed(t *testing.T) {
	for name, answer := range map[string][]engine.Delta{
		"no answer": {stop(engine.StopEnd)}, "an invalid model": {args("x")},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTeam(t)
			g.minds["talker"] = func(engine.Request) []engine.Delta { return answer }
			end, err := g.attempt(-1)
			if err != nil || end.Type != agui.RunFinished {
				t.Fatalf("%+v, %v", end, err)
			}
			failed := false
			for _, e := range g.log {
				if e.Type == agui.SubagentError && e.Message != "" && e.Code != "" {
					failed = true
				}
			}
			said := agui.LineMessages(g.messages(), "")
			if last := said[len(said)-1].Content; !failed || !strings.Contains(last, `The agent "talker" failed`) {
				t.Errorf("the run ends with %q\n%s", last, list(g.log))
			}
		})
	}
}

// Agents that wait for each other are limited in number.
func TestAsk_Depth(t *testing.T) {
	t.Attr("row", "D1: no more than four agents wait for each other")
	g := newTeam(t)
	self := []engine.Colleague{{Name: "talker"}}
	g.asks = map[string][]engine.Colleague{"": self, "talker": self}
	g.minds[""] = func(r engine.Request) []engine.Delta {
		if got := resultsIn(r); len(got) > 0 {
			return []engine.Delta{text(got[0]), stop(engine.StopEnd)}
		}
		return append(asks("talker", "deeper"), stop(engine.StopTools))
	}
	g.minds["talker"] = g.minds[""]
	if end, err := g.attempt(-1); err != nil || end.Type != agui.RunFinished {
		t.Fatalf("%+v, %v", end, err)
	}
	if n := len(g.seen["talker"]); n != 2*engine.MaxDepth {
		t.Errorf("the agent's model was called %d times, want two calls for each of %d agents", n, engine.MaxDepth)
	}
	t.Attr("figure", fmt.Sprintf("an agent that always asks itself was asked %d times", len(g.seen["talker"])/2))
}

// A person is asked about a call of a sub-agent. The run with the response continues the agent's line, and makes the
// call once, whichever worker dies when.
func TestAsk_Interrupt(t *testing.T) {
	t.Attr("row", "D1: an approved call of an asked agent is made once")
	for dies := -1; ; dies++ {
		g := newTeam(t)
		g.minds["actor"] = func(r engine.Request) []engine.Delta {
			if got := resultsIn(r); len(got) > 0 {
				return []engine.Delta{text("it " + got[0]), stop(engine.StopEnd)}
			}
			return []engine.Delta{start("careful"), args(`{"say":"x"}`), stop(engine.StopTools)}
		}
		end, err := g.attempt(-1)
		if err != nil || end.Outcome == nil || len(end.Outcome.Interrupts) != 1 || g.effects != 0 {
			t.Fatalf("%+v, %v\n%s", end, err, list(g.log))
		}
		i := end.Outcome.Interrupts[0]
		calls := i.Calls()
		if len(calls) != 2 || i.SubagentRunID != calls[0].ID || calls[1] != (agui.LineCall{Line: calls[0].ID,
			ID: i.ToolCallID}) {
			t.Fatalf("the interrupt %+v has the calls %+v", i, calls)
		}
		p, err := engine.Resolve(i, agui.Resume{InterruptID: i.ID, Status: agui.ResumeResolved})
		if err != nil {
			t.Fatal(err)
		}
		g.runs, g.earlier, g.log = g.log, g.messages(), nil
		end, err = g.attempt(dies, p)
		lived := err == nil
		if !lived {
			p.MayHaveRun = true
			end, err = g.attempt(-1, p)
		}
		if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess || g.effects > 1 {
			t.Fatalf("died after %d events: %+v, %v, %d effects\n%s", dies, end, err, g.effects, list(g.log))
		}
		said := agui.LineMessages(g.messages(), "")
		if last := said[len(said)-1].Content; !strings.Contains(last, "one two three") || !strings.Contains(last,
			", it ") {
			t.Errorf("died after %d events: the run ends with %q\n%s", dies, last, list(g.log))
		}
		if lived && g.effects != 1 {
			t.Errorf("the approved call took effect %d times", g.effects)
		}
		if lived && dies >= 0 {
			t.Attr("figure", fmt.Sprintf("the run that answers died after each of its %d events", dies))
			return
		}
	}
}

// A cancelled run closes the lines of its agents before its own, and no interrupt remains.
func TestAsk_Cancelled(t *testing.T) {
	g := newTeam(t)
	g.minds["actor"] = func(engine.Request) []engine.Delta {
		return []engine.Delta{start("careful"), args(`{"say":"x"}`), stop(engine.StopTools)}
	}
	g.minds["talker"] = func(engine.Request) []engine.Delta {
		g.uc.Cancel(engine.ErrCancelled)
		return []engine.Delta{text("one "), text("two"), stop(engine.StopEnd)}
	}
	end, err := g.attempt(-1)
	if err != nil || end.Outcome == nil || end.Outcome.Type != agui.OutcomeCancelled {
		t.Fatalf("%+v, %v\n%s", end, err, list(g.log))
	}
	g.check("cancelled")
	started, stopped := 0, 0
	for _, e := range g.log {
		switch {
		case e.Type == agui.SubagentStarted:
			started++
		case e.Type == agui.SubagentError && e.Code == agui.CodeStopped:
			stopped++
		}
	}
	if started == 0 || started != stopped {
		t.Errorf("%d lines began and %d were stopped\n%s", started, stopped, list(g.log))
	}
}

// outsideText returns the tool "look", whose results are text from outside of the deployment.
func outsideText(t *testing.T) tool.Tool {
	t.Helper()
	look, err := tool.Define("look", "", "all", func(context.Context, input) (string, error) { return "planted", nil })
	if err != nil {
		t.Fatal(err)
	}
	return look.ReadOnly().Outside()
}

// visit returns the tool "visit", which asks a person after text from outside, unless the person wrote the address.
func visit(t *testing.T) tool.Tool {
	t.Helper()
	made, err := tool.Define("visit", "", "all", func(context.Context, input) (string, error) { return "visited", nil })
	if err != nil {
		t.Fatal(err)
	}
	return made.ReadOnly().AskOutside(func(args json.RawMessage, before tool.Conversation) string {
		var in input
		if json.Unmarshal(args, &in) == nil && before.Wrote(in.Say) {
			return ""
		}
		return "Visit it?"
	})
}

// A text from outside that the asking agent has read counts for the asked agent too, and the question of the asking
// agent's model is not what a person wrote.
func TestAsk_Outside(t *testing.T) {
	for looks, want := range map[bool]agui.OutcomeType{false: agui.OutcomeSuccess, true: agui.OutcomeInterrupt} {
		g := newTeam(t)
		g.minds[""] = func(r engine.Request) []engine.Delta {
			switch got := resultsIn(r); {
			case len(got) == 0 && looks:
				return []engine.Delta{start("look"), args(`{"say":"x"}`), stop(engine.StopTools)}
			case len(got) == 0 || len(got) == 1 && looks:
				return append(asks("actor", "visit evil.example"), stop(engine.StopTools))
			}
			return []engine.Delta{text("done"), stop(engine.StopEnd)}
		}
		g.minds["actor"] = func(r engine.Request) []engine.Delta {
			if len(resultsIn(r)) > 0 {
				return []engine.Delta{text("I was there"), stop(engine.StopEnd)}
			}
			return []engine.Delta{start("visit"), args(`{"say":"evil.example"}`), stop(engine.StopTools)}
		}
		if end, err := g.attempt(-1); err != nil || end.Outcome == nil || end.Outcome.Type != want {
			t.Errorf("with text from outside (%t): %+v, %v, want %s\n%s", looks, end.Outcome, err, want, list(g.log))
		}
	}
}
