package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/tool/fetch"
)

// Each call has one audit record in the function's log, allowed or not, with user, run, call, tool and outcome. A
// denied call is counted.
func TestTools_AuditRecords(t *testing.T) {
	t.Attr("row", "D2: the function's log holds the record of each call")
	r := newFixture(t, fast()).as(t, "auth0|alice")
	log := r.asks(t, "r1",
		"/call calculator {\"expression\":\"6*7\"}\n/call notes_save {\"text\":\"hunter2\"}\n/call calculator "+
			"{\"hunter2\":1}\n"+
			"/call hunter2 {}\n/call clock {}", "calculator", "other")
	_, ids := outcomes(log)
	want := []line{
		{Tool: "calculator", Grant: "calculator", Outcome: tool.OK, ArgumentBytes: 20},
		{Tool: "notes_save", Grant: "notes", Outcome: tool.Denied, ArgumentBytes: 18},
		{Tool: "calculator", Grant: "calculator", Outcome: tool.BadArguments, ArgumentBytes: 13},
		{Outcome: tool.Unknown, ArgumentBytes: 2},
		{Tool: "clock", Grant: "clock", Outcome: tool.Denied, ArgumentBytes: 2},
	}
	got := r.decisions(t)
	slices.SortFunc(got, func(a, b line) int { return slices.Index(ids, a.Call) - slices.Index(ids, b.Call) })
	for i := range want {
		want[i].Msg, want[i].User, want[i].Run, want[i].Call = "tool call", r.user.Hash(), "r1", ids[i]
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has\n%+v\nwant\n%+v", got, want)
	}
	if strings.Contains(r.log.String(), "hunter2") || strings.Contains(r.log.String(), "auth0") {
		t.Errorf("the log contains content, or the user: %s", r.log)
	}
	if n := strings.Count(r.log.String(), `"`+monitor.ToolCallsDenied+`":1`); n != 2 {
		t.Errorf("%d denied calls were counted, want 2", n)
	}
	t.Attr("figure", fmt.Sprintf("%d calls, %d decisions recorded, without content", len(ids), len(got)))
}

// A run has the grants of the token of the connection that requested it, as of its admission. It keeps them when
// another worker continues it. A run that a response starts has the grants of the responding connection.
func TestTools_GrantsOfARun(t *testing.T) {
	t.Attr("row", "D2: a run has the grants of its admission")
	t.Run("none", func(t *testing.T) {
		r := newFixture(t, fast()).as(t, "auth0|nobody")
		if got, _ := outcomes(r.asks(t, "r1",
			"/call calculator {\"expression\":\"1\"}\n/call clock {}\n/call notes_list {}")); !slices.Equal(got,
			[]tool.Outcome{tool.Denied, tool.Denied, tool.Denied}) {
			t.Errorf("without any grant: %v", got)
		}
	})
	t.Run("another worker", func(t *testing.T) {
		events := whole(t)
		at := slices.IndexFunc(events, func(e agui.Event) bool { return e.Name == agui.CustomAnswer }) + 1
		r := newFixture(t, fast())
		_, err := r.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Grants: []string{"calculator"},
			Messages: []agui.Message{{ID: "u-r1", Role: agui.RoleUser, Content: twoTools}}})
		if err != nil {
			t.Fatal(err)
		}
		r.dies(t, "r1", events[:at])
		r.turn(t, "r1")
		if got, _ := outcomes(r.events(t)); !slices.Equal(got, []tool.Outcome{tool.Denied, tool.OK}) ||
			r.notes(t) != 0 {
			t.Errorf("the second worker's calls got %v, %d notes were saved", got, r.notes(t))
		}
	})
	// an answer names no grant: it is not understood
	named := `{"approved":true,"grants":["notes"],"tool":"notes_save"}`
	for name, c := range map[string]struct {
		payload string
		grants  []string
		want    tool.Outcome
		left    int
	}{
		"an answer that may":         {"", []string{"notes"}, tool.OK, 0},
		"an answer that may not":     {"", []string{"calculator"}, tool.Denied, 1},
		"an answer without any":      {"", nil, tool.Denied, 1},
		"an answer that names them":  {named, nil, tool.Refused, 1},
		"an edit that needs a grant": {`{"approved":true,"arguments":{}}`, nil, tool.Denied, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newFixture(t, fast())
			q := r.suspended(t)
			r.log.Reset()
			_, err := r.store.Admit(t.Context(), store.Admission{Run: "r2", Thread: "t", Grants: c.grants,
				Responses: []store.Response{answer(q, agui.ResumeResolved, c.payload)}})
			if err != nil {
				t.Fatal(err)
			}
			r.turn(t, "r2")
			lines := r.decisions(t)
			if len(lines) != 1 || lines[0].Outcome != c.want || lines[0].Tool != "notes_clear" ||
				lines[0].Run != "r2" || r.notes(t) != c.left {
				t.Errorf("recorded %+v, %d notes are left; want %s, %d left", lines, r.notes(t), c.want, c.left)
			}
		})
	}
}

// The next worker records the calls that a dead worker's model had begun, and counts the calls that the dead worker
// made.
func TestTools_RecordsOfDeadAttempt(t *testing.T) {
	events := whole(t)
	at := slices.IndexFunc(events, func(e agui.Event) bool { return e.Type == agui.ToolCallArgs }) + 1
	r := newFixture(t, fast())
	r.ask(t, "r1", twoTools)
	r.dies(t, "r1", events[:at])
	r.turn(t, "r1")
	_, ids := outcomes(r.events(t))
	lines := r.decisions(t)
	if len(lines) != len(ids) || len(lines) == 0 || lines[0].Call != ids[0] || lines[0].Tool != "notes_save" ||
		lines[0].Outcome != tool.NotCalled {
		t.Errorf("recorded %+v of the calls %v", lines, ids)
	}
}

// A tool's call limit applies to all attempts at a run together.
func TestTools_CallLimitOverAttempts(t *testing.T) {
	t.Attr("row", "D1: calls of a tool are limited over all attempts of a run")
	made, err := tool.Define("diary", "Keeps a diary.", "calculator",
		func(context.Context, struct{}) (string, error) { return "", nil })
	if err != nil {
		t.Fatal(err)
	}
	r := newFixture(t, fast())
	if r.tools, err = r.tools.With(made.CallsPerRun(2)); err != nil {
		t.Fatal(err)
	}
	assistant, err := r.agents.Agent("", nil)
	if err != nil {
		t.Fatal(err)
	}
	assistant.Tools = append(assistant.Tools, "diary")
	r.agents = agentsOf(t, assistant)
	script := strings.Repeat("/call diary {}\n/say next\n", 4)
	events := r.as(t, "auth0|whole").asks(t, "r1", script, "calculator")
	want := []tool.Outcome{tool.OK, tool.OK, tool.Limited, tool.Limited}
	undisturbed, _ := outcomes(events)
	if !slices.Equal(undisturbed, want) {
		t.Errorf("of an undisturbed run, the calls got %v", undisturbed)
	}
	died := r.as(t, "auth0|died")
	died.ask(t, "r1", script)
	at := slices.IndexFunc(events, func(e agui.Event) bool { return e.Type == agui.ToolCallResult }) + 1
	died.dies(t, "r1", events[:at])
	died.turn(t, "r1")
	got, _ := outcomes(died.events(t))
	if !slices.Equal(got, want) {
		t.Errorf("of a run whose worker died behind the first, the calls got %v", got)
	}
	t.Attr("figure", fmt.Sprintf("a limit of 2: %v without, and %v with a worker that died behind the first",
		undisturbed, got))
}

// A deployment that does not turn the tool fetch on has agents that name it, and none of their runs has it.
func TestTools_WebFetchOff(t *testing.T) {
	r := newFixture(t, fast())
	tools, err := sharedTools(r.now, fetch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.tools = tools
	events := r.asks(t, "r1", `/call fetch {"url":"https://example.com/"}`, "fetch")
	got, _ := outcomes(events)
	if !slices.Equal(got, []tool.Outcome{tool.Unknown}) || events[len(events)-1].Type != agui.RunFinished {
		t.Errorf("the call got %v, and the run ended with %+v", got, events[len(events)-1])
	}
}
