package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/tool/tooltest"
)

// as returns the fixture with another user, whose window watches their thread t.
func (r *fixture) as(t *testing.T, user string) *fixture {
	t.Helper()
	other := *r
	other.user = chattest.User(t, user)
	var err error
	if other.store, err = r.table.For(other.user); err != nil {
		t.Fatal(err)
	}
	other.watch(t, other.window(), "t")
	return &other
}

// window returns the connection of the user of as.
func (r *fixture) window() chat.ConnectionID { return chat.ConnectionID("w" + r.user.Hash()) }

// asks admits a run with these grants, executes it, and returns its events.
func (r *fixture) asks(t *testing.T, run chat.RunID, text string, grants ...string) []agui.Event {
	t.Helper()
	_, err := r.store.Admit(t.Context(), store.Admission{
		Run: run, Thread: "t", Grants: grants, Messages: []agui.Message{{ID: "u-" + string(run), Role: agui.RoleUser,
			Content: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.turn(t, run)
	return r.events(t)
}

// forbid adds three working tools to the deployment that no user is granted. executed counts their calls. It also adds
// the tool remember.
func (r *fixture) forbid(t *testing.T, says string) (executed *atomic.Int64) {
	t.Helper()
	executed = new(atomic.Int64)
	gives := func() (string, error) { executed.Add(1); return says, nil }
	read, err1 := tool.Define("users_read", "Reads a user.", "admin", func(_ context.Context, _ struct {
		User string `json:"user"`
	}) (string, error) {
		return gives()
	})
	export, err2 := tool.Define("notes_export", "Exports all notes.", "notes:all",
		func(context.Context, struct{}) (string, error) { return gives() })
	shell, err3 := tool.Define("shell", "Runs a command.", "operator", func(_ context.Context, _ struct {
		Command string `json:"command"`
	}) (string, error) {
		return gives()
	})
	remember, err6 := tool.Define("remember", "Remembers.", "memory", func(context.Context, struct {
		Text string `json:"text"`
	}) (string, error) {
		return "Remembered.", nil
	})
	remember = remember.AskOutside(func(json.RawMessage, tool.Conversation) string { return "May it be remembered?" })
	registry, err4 := r.tools.With(read, export, shell, remember)
	assistant, err5 := r.agents.Agent("", nil)
	assistant.Tools = append(assistant.Tools, "users_read", "notes_export", "shell", "remember")
	for _, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.tools, r.agents = registry, agentsOf(t, assistant)
	return executed
}

// line is the audit record of a tool call.
type line struct {
	Msg, User, Run, Call, Tool, Grant string
	Outcome                           tool.Outcome
	ArgumentBytes                     int
	Cut                               bool
}

// decisions returns the audit records in the function's log.
func (r *fixture) decisions(t *testing.T) (lines []line) {
	t.Helper()
	for text := range strings.Lines(r.log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err == nil && l.Msg == "tool call" {
			lines = append(lines, l)
		}
	}
	return lines
}

// outcomes returns the outcomes of the calls in a log, in the order of the calls, and the calls' ids.
func outcomes(log []agui.Event) (all []tool.Outcome, ids []string) {
	for _, e := range log {
		switch at := slices.Index(ids, e.ToolCallID); {
		case e.Type == agui.ToolCallStart:
			ids, all = append(ids, e.ToolCallID), append(all, tool.Asked)
		case e.Type == agui.ToolCallResult && at >= 0:
			all[at] = tool.OK
			if _, said, ok := strings.Cut(string(e.Metadata), `"outcome":"`); ok {
				all[at] = tool.Outcome(said[:strings.Index(said, `"`)])
			}
		}
	}
	return all, ids
}

// book returns a user's notes and the thread t as text.
func (r *fixture) book(t *testing.T) string {
	t.Helper()
	notes, err := r.store.Notes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(notes, th.Head, th.Epoch)
}

// tally counts the results of all conversations.
type tally struct{ calls, denied, recorded int }

// A model obeys every text it reads. It calls tools that are not granted and requests another user's data. None of it
// has an effect, no result has data of the other user, and the audit log has each call.
func TestInjection(t *testing.T) {
	t.Attr("row", "D2: no text makes a run call a tool that was not granted")
	t.Attr("row", "D4: texts that request other users' data and tools that were not granted")
	r := newFixture(t, fast())
	const secret = "cerulean-7-heron"
	executed := r.forbid(t, secret)
	var sum tally
	all := tooltest.Injections(t)
	for n, i := range all {
		t.Run(i.Name, func(t *testing.T) { r.obey(t, i, n, secret, &sum) })
	}
	if len(all) < 30 || sum.denied < 30 {
		t.Errorf("%d conversations with %d denied calls prove little", len(all), sum.denied)
	}
	if executed.Load() != 0 {
		t.Errorf("%d denied tools were executed", executed.Load())
	}
	t.Attr("figure", fmt.Sprintf("denied tools executed: %d of %d denied calls, in %d conversations", executed.Load(),
		sum.denied, len(all)))
	t.Attr("figure", fmt.Sprintf("decisions recorded: %d of %d calls", sum.recorded, sum.calls))
}

func (r *fixture) obey(t *testing.T, i tooltest.Injection, n int, secret string, sum *tally) {
	bob, alice := r.as(t, fmt.Sprintf("auth0|u%d#", n)), r.as(t, fmt.Sprintf("auth0|u%d", n))
	for range 2 {
		if _, err := bob.store.SaveNote(t.Context(), "the password is "+secret); err != nil {
			t.Fatal(err)
		}
	}
	bob.asks(t, "bobs", "/say "+secret)
	before := bob.book(t)
	bob.edge.Frames(bob.window()) // takes them
	i = i.Served(t)
	i = i.Against(tooltest.Other{User: fmt.Sprintf("auth0|u%d#", n), Key: bob.user.Key(), Thread: "t", Run: "bobs"})
	for _, text := range i.Notes {
		if _, err := alice.store.SaveNote(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	r.log.Reset()
	log := alice.asks(t, "r1", i.Script, i.Grants...)
	got, ids := outcomes(log)
	if !slices.Equal(got, i.Gets) {
		t.Errorf("the calls got %v, want %v", got, i.Gets)
	}
	if after, received := bob.book(t), bob.edge.Frames(bob.window()); after != before || len(received) > 0 {
		t.Errorf("of the other there was %s and is %s, and the other received %v", before, after, received)
	}
	lines := alice.decisions(t)
	for at, id := range ids {
		one := slices.IndexFunc(lines, func(l line) bool { return l.Call == id })
		if one < 0 || lines[one].Outcome != got[at] || lines[one].User != alice.user.Hash() || lines[one].Run != "r1" {
			t.Errorf("call %d has no record that says %s of %s: %+v", at, got[at], alice.user.Hash(), lines)
			continue
		}
		sum.recorded++
		if got[at] == tool.Denied {
			sum.denied++
		}
	}
	if len(lines) != len(ids) {
		t.Errorf("%d records of %d calls", len(lines), len(ids))
	}
	sum.calls += len(ids)
	alice.silent(t, secret, i)
}

// silent checks that the frames of alice's window have no data of the other user and no schema of a denied tool, and
// that the log has no content.
func (r *fixture) silent(t *testing.T, secret string, i tooltest.Injection) {
	t.Helper()
	shown, err := json.Marshal(r.edge.Frames(r.window()))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{secret, `"command":{`, `\"command\":{`} {
		if strings.Contains(string(shown), text) {
			t.Errorf("the window was shown %q: %s", text, shown)
		}
	}
	said := append(slices.Clone(i.Notes), strings.Split(strings.TrimSpace(i.Script), "\n")...)
	for _, text := range said {
		_, arguments, _ := strings.Cut(strings.TrimPrefix(text, "/call "), " ")
		for _, content := range []string{text, arguments} {
			if len(content) > 4 && strings.Contains(r.log.String(), content) {
				t.Errorf("the function's log contains %q", content)
			}
		}
	}
	if strings.Contains(r.log.String(), secret) {
		t.Errorf("the function's log contains the secret")
	}
}
