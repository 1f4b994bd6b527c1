package main

import (
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
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
