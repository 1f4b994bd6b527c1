package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// isolationCase shows that a tool gives each of several users what is theirs alone. Before the call each has two notes,
// which differ in the user's secret only.
type isolationCase struct {
	arguments string // of the call; $MINE is the caller's secret
	says      string // a part of the result
	leaves    int    // notes of the caller
	effects   tool.Effects
}

// isolationCases are of every tool that a run may have: one without a case fails TestEveryToolHasAnIsolationCase.
func isolationCases() map[string]isolationCase {
	reads, deletes := tool.Effects{ReadOnly: true}, tool.Effects{Destructive: true}
	return map[string]isolationCase{
		"ask":          {`{"question":"Is it $MINE?"}`, "Is it $MINE?", 2, reads},
		"calculator":   {`{"expression":"2+2"}`, "4", 2, reads},
		"clock":        {`{"zone":"Europe/Berlin"}`, "20", 2, reads},
		"notes_save":   {`{"text":"again $MINE"}`, "Saved as note 3.", 3, tool.Effects{}},
		"notes_list":   {`{}`, "a note of $MINE", 2, reads},
		"notes_search": {`{"words":"a note of"}`, "a note of $MINE", 2, reads},
		"notes_delete": {`{"number":1}`, "Deleted note 1.", 1, deletes},
		"notes_clear":  {`{}`, "Deleted all 2 notes.", 0, deletes},
	}
}

// uncovered are the tools without a case, and the cases without a tool.
func uncovered(tools []string, cases map[string]isolationCase) (wrong []string) {
	for _, name := range tools {
		if _, ok := cases[name]; !ok {
			wrong = append(wrong, "the tool "+name+" has no isolation case")
		}
	}
	for name := range cases {
		if !slices.Contains(tools, name) {
			wrong = append(wrong, "the case "+name+" is of no tool")
		}
	}
	return wrong
}

// neighbours are users whose names begin with each other's or look like more than a name.
func neighbours() []string {
	return []string{"auth0|bob", "auth0|bob#", "auth0|bobby", "auth0|bob#N#1"}
}

// mixes has each user call a tool, in one process as a warm one would, and tells where one got or changed another's.
func (r *rig) mixes(t *testing.T, name string, c isolationCase) (wrong []string) {
	t.Helper()
	secret := func(i int) string { return fmt.Sprintf("secret-%d-", i) }
	mine := func(i int, text string) string { return strings.ReplaceAll(text, "$MINE", secret(i)) }
	var users []*rig
	var before []string
	for i, user := range neighbours() {
		one := r.as(t, user)
		for range 2 {
			if _, err := one.store.SaveNote(t.Context(), mine(i, "a note of $MINE")); err != nil {
				t.Fatal(err)
			}
		}
		users, before = append(users, one), append(before, one.written(t))
	}
	for i, u := range users {
		got := u.call(t, name, mine(i, c.arguments))
		if q := got.Question; q != nil { // it says nothing to the model yet
			got = tool.Result{Outcome: tool.OK, Content: q.Message + string(q.Schema)}
		}
		if got.Outcome != tool.OK || !strings.Contains(got.Content, mine(i, c.says)) {
			wrong = append(wrong, fmt.Sprintf("%s got %+v, want %q", neighbours()[i], got, mine(i, c.says)))
		}
		for j, other := range users {
			now := other.written(t)
			if j != i && (strings.Contains(got.Content, secret(j)) || strings.Contains(now, secret(i))) {
				wrong = append(wrong, fmt.Sprintf("%s and %s were mixed: %s; %s", neighbours()[i], neighbours()[j], got.Content, now))
			}
			if j > i && now != before[j] {
				wrong = append(wrong, fmt.Sprintf("%s changed what %s has to %s", neighbours()[i], neighbours()[j], now))
			}
		}
	}
	for i, u := range users {
		if n := u.notes(t); n != c.leaves || strings.Count(u.written(t), secret(i)) != n {
			wrong = append(wrong, fmt.Sprintf("%s has %s in the end, want %d notes", neighbours()[i], u.written(t), c.leaves))
		}
	}
	return wrong
}

func (r *rig) written(t *testing.T) string {
	t.Helper()
	all, err := r.store.Notes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all)
}

// call makes one call in a run of its own, with the tools that a run of this user has, all granted and agreed to.
func (r *rig) call(t *testing.T, name, arguments string) tool.Result {
	t.Helper()
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: r.user, Thread: "t", Run: "r", Request: "q", Grants: []string{"ask", "calculator", "clock", "notes", "diary"},
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

// Every tool that a run may have gives each of users with colliding names and numbers what is theirs alone. A tool that is
// registered without a case fails.
func TestEveryToolHasAnIsolationCase(t *testing.T) {
	t.Attr("row", "D4: each tool beside another user's data")
	r := newRig(t, fast())
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.agents.Names() {
		a, err := r.agents.Agent(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range a.Tools {
			if !slices.Contains(registry.Names(), name) {
				t.Errorf("the agent %s has a tool %s that no run has", a.Name, name)
			}
		}
	}
	for _, wrong := range uncovered(registry.Names(), isolationCases()) {
		t.Error(wrong)
	}
	for name, c := range isolationCases() {
		if effects, _ := registry.Effects(name); effects != c.effects {
			t.Errorf("%s is declared as %+v, and its case says %+v", name, effects, c.effects)
		}
		for _, wrong := range newRig(t, fast()).mixes(t, name, c) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d tools, each called by %d users with colliding names and numbers", len(registry.Names()), len(neighbours())))
}

// What the suite must notice: a tool without a case, a case without a tool, and a tool that keeps what it was told.
func TestAToolThatMixesUsersIsNoticed(t *testing.T) {
	t.Attr("row", "D4: a tool that mixes users is detected")
	last := "nothing"
	diary, err := tool.Define("diary", "Keeps a diary.", "diary", func(_ context.Context, in struct {
		Text string `json:"text"`
	}) (string, error) {
		had := last
		last = in.Text
		return "Written. Before it stands: " + had, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fast())
	if r.tools, err = r.tools.With(diary); err != nil {
		t.Fatal(err)
	}
	registry, err := r.registry(r.store)
	if err != nil {
		t.Fatal(err)
	}
	if got := uncovered(registry.Names(), isolationCases()); len(got) != 1 || got[0] != "the tool diary has no isolation case" {
		t.Errorf("of a tool without a case the suite says %q", got)
	}
	if got := uncovered(registry.Names()[1:], isolationCases()); len(got) != 2 {
		t.Errorf("of a case without a tool the suite says %q", got)
	}
	got := r.mixes(t, "diary", isolationCase{arguments: `{"text":"of $MINE"}`, says: "Written.", leaves: 2})
	if len(got) != len(neighbours())-1 {
		t.Errorf("of a tool that tells each the last one's words the suite says %q", got)
	}
	t.Attr("figure", fmt.Sprintf("a planted tool that keeps what it was told: %d mixtures noticed", len(got)))
}

// A call has one line in the function's log, allowed or not, with who, which, what was asked and what came of it; and a
// denied one is counted.
func TestEveryCallIsAudited(t *testing.T) {
	t.Attr("row", "D2: the function's log holds the record of each call")
	r := newRig(t, fast()).as(t, "auth0|alice")
	log := r.asks(t, "r1", "/call calculator {\"expression\":\"6*7\"}\n/call notes_save {\"text\":\"hunter2\"}\n/call calculator {\"hunter2\":1}\n"+
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
		t.Errorf("the log tells content, or the user: %s", r.log)
	}
	if n := strings.Count(r.log.String(), `"`+monitor.ToolCallsDenied+`":1`); n != 2 {
		t.Errorf("%d denied calls were counted, want 2", n)
	}
	t.Attr("figure", fmt.Sprintf("%d calls, %d decisions recorded, without content", len(ids), len(got)))
}

// Whose grants a run has: those of the token of the socket that asked for it, as of its admission. A run that goes on in
// another worker has the same ones; a run that answers a question is a run of its own, with its own socket's.
func TestWhoseGrantsARunHas(t *testing.T) {
	t.Attr("row", "D2: a run has the grants of its admission")
	t.Run("none", func(t *testing.T) {
		r := newRig(t, fast()).as(t, "auth0|nobody")
		if got, _ := outcomes(r.asks(t, "r1", "/call calculator {\"expression\":\"1\"}\n/call clock {}\n/call notes_list {}")); !slices.Equal(got, []tool.Outcome{tool.Denied, tool.Denied, tool.Denied}) {
			t.Errorf("without any grant: %v", got)
		}
	})
	t.Run("another worker", func(t *testing.T) {
		events := whole(t)
		at := slices.IndexFunc(events, func(e agui.Event) bool { return e.Type == agui.ToolCallEnd }) + 1
		r := newRig(t, fast())
		_, err := r.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Grants: []string{"calculator"},
			Messages: []agui.Message{{ID: "u-r1", Role: agui.RoleUser, Content: twoTools}}})
		if err != nil {
			t.Fatal(err)
		}
		r.dies(t, "r1", events[:at])
		r.turn(t, "r1")
		if got, _ := outcomes(r.events(t)); !slices.Equal(got, []tool.Outcome{tool.Denied, tool.OK}) || r.notes(t) != 0 {
			t.Errorf("the second worker's calls got %v, %d notes were saved", got, r.notes(t))
		}
	})
	named := `{"approved":true,"grants":["notes"],"tool":"notes_save"}` // an answer names no grant: it is not understood
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
			r := newRig(t, fast())
			q := r.suspended(t)
			r.log.Reset()
			_, err := r.store.Admit(t.Context(), store.Admission{Run: "r2", Thread: "t", Grants: c.grants,
				Answers: []store.Answer{answer(q, agui.ResumeResolved, c.payload)}})
			if err != nil {
				t.Fatal(err)
			}
			r.turn(t, "r2")
			lines := r.decisions(t)
			if len(lines) != 1 || lines[0].Outcome != c.want || lines[0].Tool != "notes_clear" || lines[0].Run != "r2" || r.notes(t) != c.left {
				t.Errorf("recorded %+v, %d notes are left; want %s, %d left", lines, r.notes(t), c.want, c.left)
			}
		})
	}
}

// What a dead worker's model had begun to call is recorded by the next one, and what the dead one called counts.
func TestAnAttemptsCallsAreRecordedByTheNext(t *testing.T) {
	events := whole(t)
	at := slices.IndexFunc(events, func(e agui.Event) bool { return e.Type == agui.ToolCallArgs }) + 1
	r := newRig(t, fast())
	r.ask(t, "r1", twoTools)
	r.dies(t, "r1", events[:at])
	r.turn(t, "r1")
	_, ids := outcomes(r.events(t))
	lines := r.decisions(t)
	if len(lines) != len(ids) || len(lines) == 0 || lines[0].Call != ids[0] || lines[0].Tool != "notes_save" || lines[0].Outcome != tool.NotCalled {
		t.Errorf("recorded %+v of the calls %v", lines, ids)
	}
}

// How often a run may call a tool is counted over all attempts at it.
func TestACallsLimitIsTheRuns(t *testing.T) {
	t.Attr("row", "D1: calls of a tool are limited over all attempts of a run")
	made, err := tool.Define("diary", "Keeps a diary.", "calculator", func(context.Context, struct{}) (string, error) { return "", nil })
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fast())
	if r.tools, err = r.tools.With(made.CallsPerRun(2)); err != nil {
		t.Fatal(err)
	}
	assistant, err := r.agents.Agent("")
	if err != nil {
		t.Fatal(err)
	}
	assistant.Tools = append(assistant.Tools, "diary")
	if r.agents, err = agent.NewRegistry(assistant); err != nil {
		t.Fatal(err)
	}
	script := strings.Repeat("/call diary {}\n/say next\n", 4)
	events := r.as(t, "auth0|whole").asks(t, "r1", script, "calculator")
	want := []tool.Outcome{tool.OK, tool.OK, tool.Limited, tool.Limited}
	undisturbed, _ := outcomes(events)
	if !slices.Equal(undisturbed, want) {
		t.Errorf("of a run that nobody disturbs, the calls got %v", undisturbed)
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
	t.Attr("figure", fmt.Sprintf("a limit of 2: %v without, and %v with a worker that died behind the first", undisturbed, got))
}
