package main

import (
	"strings"
	"testing"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/catalog"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/store"
)

const asksAgent = "/call ask_mathematician {\"question\":\"what is 6*7?\"}\n/say asked"

// The transcript has the messages of an asked agent with their line, and the thread's own messages are those of the
// person and of the agent that answers.
func TestSubagent(t *testing.T) {
	r := newFixture(t, fast())
	r.ask(t, "r1", asksAgent)
	r.turn(t, "r1")
	if r.status(t, "r1") != chat.RunFinished {
		t.Fatalf("the run is %s\n%s", r.status(t, "r1"), r.log)
	}
	thread, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	transcripts, _, err := r.store.Transcripts(t.Context(), thread, 0, 10)
	if err != nil || len(transcripts) != 1 {
		t.Fatalf("%d transcripts, %v", len(transcripts), err)
	}
	var own, line []string
	for _, m := range transcripts[0].Messages {
		if m.SubagentRunID == "" {
			own = append(own, string(m.Role)+" "+m.Content)
		} else {
			line = append(line, string(m.Role)+" "+m.Content)
		}
	}
	want := "user " + asksAgent + "; assistant ; tool 6*7 = 42; assistant asked"
	if got := strings.Join(own, "; "); got != want {
		t.Errorf("the conversation is\n%s\nwant\n%s", got, want)
	}
	want = "assistant Let me calculate 6*7 for you.; tool 42; assistant 6*7 = 42"
	if got := strings.Join(line, "; "); got != want {
		t.Errorf("the agent's line is\n%s\nwant\n%s", got, want)
	}
}

// A user without the agent's grant cannot have it asked, and the denial is counted like a tool's.
func TestSubagent_WithoutGrant(t *testing.T) {
	r := newFixture(t, fast())
	_, err := r.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Grants: []string{"clock"},
		Messages: []agui.Message{{ID: "u1", Role: agui.RoleUser, Content: asksAgent}}})
	if err != nil {
		t.Fatal(err)
	}
	r.turn(t, "r1")
	events := r.events(t)
	for _, e := range events {
		if e.Type == agui.SubagentStarted {
			t.Error("the agent was asked")
		}
	}
	if got := results(events)["ask_mathematician"]; len(got) != 1 || !strings.Contains(got[0], "not permitted") {
		t.Errorf("the results are %q", got)
	}
	if !strings.Contains(r.log.String(), `"ToolCallsDenied":1`) {
		t.Errorf("the denial is not counted\n%s", r.log)
	}
}

// keeper gives the fixture an assistant that may ask the agent keeper, which has the tools for notes.
func (r *fixture) keeper(t *testing.T) {
	t.Helper()
	set, err := agent.NewSet(catalog.Names(catalog.Grants()),
		agent.Definition{Name: "assistant", Grant: agent.Open, Default: true, Agents: []string{"keeper"}},
		agent.Definition{Name: "keeper", Grant: agent.Open, Tools: []string{"notes_*"}})
	if err != nil {
		t.Fatal(err)
	}
	r.agents, err = agent.NewRegistry(set, func(agent.Definition) ([]engine.Candidate, error) {
		return []engine.Candidate{{Model: fast()}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A person approves a call of a sub-agent. The run with the response continues the sub-agent and then the agent that
// asked it, and the call is made once, after whichever event the responding worker dies.
func TestSubagent_Interrupt(t *testing.T) {
	for dies := range 4 { // 0: the worker lives
		r := newFixture(t, fast())
		r.keeper(t)
		r.ask(t, "r1", "/call ask_keeper "+
			`{"question":"/call notes_save {\"text\":\"kept\"}\n/call notes_clear\n/say cleared"}`+"\n/say all done")
		r.turn(t, "r1")
		th, err := r.store.Thread(t.Context(), "t")
		if err != nil || len(th.Interrupts) != 1 || r.status(t, "r1") != chat.RunSuspended {
			t.Fatalf("the thread asks %+v, %v\n%s", th.Interrupts, err, r.log)
		}
		i := th.Interrupts[0]
		if calls := i.Calls(); len(calls) != 2 || calls[0].ID != i.SubagentRunID || r.notes(t) != 1 {
			t.Fatalf("the interrupt is %+v, %d notes are left", i, r.notes(t))
		}
		r.ask(t, "r2", "", answer(i, agui.ResumeResolved, ""))
		if dies > 0 {
			cleared := "Deleted all 1 notes."
			r.dies(t, "r2", []agui.Event{
				{Type: agui.RunStarted, ThreadID: "t", RunID: "r2", Input: &agui.RunInput{ThreadID: "t", RunID: "r2"}},
				{Type: agui.SubagentStarted, SubagentRunID: i.SubagentRunID, Name: "keeper",
					ParentToolCallID: i.SubagentRunID},
				{Type: agui.ToolCallResult, MessageID: "m", ToolCallID: i.ToolCallID, Role: agui.RoleTool,
					Content:       &cleared,
					SubagentRunID: i.SubagentRunID},
			}[:dies])
		}
		r.turn(t, "r2")
		events := r.events(t)
		if r.status(t, "r2") != chat.RunFinished || !strings.Contains(said(events), "all done") {
			t.Errorf("died after %d events: the run is %s\n%s", dies, r.status(t, "r2"), r.log)
		}
		got := results(events)
		if dies > 0 && r.notes(t) != 1 { // the dead worker may have made the call, so it is not made again
			t.Errorf("died after %d events: the call was made again", dies)
		}
		if len(got["notes_clear"]) != 1 || len(got["ask_keeper"]) != 1 || dies == 0 && r.notes(t) != 0 {
			t.Errorf("died after %d events: the results are %q, and %d notes are left", dies, got, r.notes(t))
		}
	}
}
