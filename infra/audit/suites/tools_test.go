package suites_test

import (
	"carrel/infra/testkit"

	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/tool"
	"carrel/shared/tool/tooltest"
)

// toolUsers has runs of users whose tokens grant only some tools.
type toolUsers struct {
	*testing.T
	e   stack.Endpoints
	ctx context.Context
}

// run opens a window with a token of these grants, has a run carried out and returns the closed window.
func (a toolUsers) run(u *testkit.User, text string, grants ...string) *testkit.Device {
	a.Helper()
	thread := testkit.NewThread()
	u.Threads = append(u.Threads, thread)
	scope := strings.Join(append([]string{"openid"}, grants...), " ")
	d, err := testkit.Dial(a.ctx, a.e, u, thread, func(ctx context.Context) (string, error) {
		return testkit.SignIn(ctx, a.e, url.Values{"user": {u.Name}, "scope": {scope}})
	})
	if err != nil {
		a.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Send(text); err != nil {
		a.Fatal(err)
	}
	d.Wait(a.T, a.ctx, "shows an answer", func(st client.State) bool {
		return testkit.Idle(st) &&
			len(st.Messages) > 1
	})
	return d
}

// loggedCalls returns the outcomes of tool calls in the stack's log, by call. A call with several records, or with a
// record that names no user, has an outcome that says so.
func loggedCalls(t *testing.T, s *stack.Stack) map[string]tool.Outcome {
	t.Helper()
	all := map[string]tool.Outcome{}
	for line := range strings.Lines(testkit.Log(t, s)) {
		at := strings.IndexByte(line, '{')
		var l struct {
			Msg, User, Run, Call string
			Outcome              tool.Outcome
		}
		if at < 0 || json.Unmarshal([]byte(line[at:]), &l) != nil || l.Msg != "tool call" {
			continue
		}
		if _, twice := all[l.Call]; twice || l.User == "" || l.Run == "" {
			l.Outcome = "several records, or one without a user: " + l.Outcome
		}
		all[l.Call] = l.Outcome
	}
	return all
}

// callsOf returns the tool calls of a thread: their ids, tools and outcomes.
func callsOf(events []agui.Event) (ids, names []string, outcomes []tool.Outcome) {
	for _, e := range events {
		switch at := slices.Index(ids, e.ToolCallID); {
		case e.Type == agui.ToolCallStart:
			ids, names, outcomes = append(ids, e.ToolCallID), append(names, e.ToolCallName),
				append(outcomes, tool.Asked)
		case e.Type == agui.ToolCallResult && at >= 0:
			outcomes[at] = tool.OK
			if _, rest, ok := strings.Cut(string(e.Metadata), `"outcome":"`); ok {
				outcomes[at] = tool.Outcome(rest[:strings.Index(rest, `"`)])
			}
		}
	}
	return ids, names, outcomes
}

// toolCall is a call that a model made, and its outcome.
type toolCall struct {
	id string
	tool.Outcome
}

// inject has a new user's model carry out a conversation that contains an injection, and returns its calls. foreign
// counts the frames in which the user was sent something of the other user.
func (a toolUsers) inject(i tooltest.Injection, name string, other *testkit.User) (calls []toolCall, frames,
	foreign int) {
	a.Helper()
	alice := testkit.NewUser(name, 0)
	if len(i.Notes) > 0 {
		var notes strings.Builder
		for _, text := range i.Notes {
			arguments, err := json.Marshal(map[string]string{"text": text})
			if err != nil {
				a.Fatal(err)
			}
			fmt.Fprintf(&notes, "/call notes_save %s\n/say next\n", arguments)
		}
		a.run(alice, notes.String(), "notes")
	}
	window := a.run(alice, i.Script, i.Grants...)
	// without the threads, which the script may name
	got := window.Received(a.T, []*testkit.User{alice, {Name: other.Name, Secret: other.Secret}})
	events, _, err := got.Stream(chat.Seq(len(got.Events)))
	if err != nil {
		a.Fatal(err)
	}
	ids, names, outcomes := callsOf(events)
	for at, name := range names {
		if slices.Contains([]string{"users_read", "notes_export", "shell"}, name) && outcomes[at] == tool.Unknown {
			outcomes[at] = tool.Denied // a tool that does not exist here
		}
		calls = append(calls, toolCall{ids[at], outcomes[at]})
	}
	if !slices.Equal(outcomes, i.Gets) {
		a.Errorf("%s: the calls of %v got %v, want %v", i.Name, names, outcomes, i.Gets)
	}
	return calls, got.Frames, got.Foreign
}

// Over the whole stack, users whose tokens grant only some tools have a model that obeys everything it reads. A tool
// that the token does not grant is denied, nothing of the other user is sent, and each call is in turn's log. With
// AUDIT set, all conversations are carried out.
func TestTools_Injections(t *testing.T) {
	t.Attr("row", "D4: the tools over the whole stack, with tokens of fewer grants")
	s := kit.Start(t, stack.Config{
		Parameters: map[string]string{"WebFetch": "on"}, TurnEnv: map[string]string{"WEB_FETCH_LOOPBACK": "1"},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := toolUsers{t, s.Endpoints(), ctx}
	all := slices.DeleteFunc(tooltest.Injections(t), func(i tooltest.Injection) bool { return !i.Stack })
	if os.Getenv("AUDIT") == "" {
		few := all[:0]
		for i := range slices.Chunk(all, 4) {
			few = append(few, i[0])
		}
		all = few
	}
	bob := testkit.NewUser("user-of-tools", 0)
	save := `/call notes_save {"text":"the password is ` + bob.Secret + `"}` + "\n"
	window := a.run(bob, save+save+"/say "+bob.Secret, "notes")
	other := tooltest.Other{User: bob.Name, Key: bob.Name, Thread: string(window.Thread), Run: "r"}
	var calls []toolCall
	frames, foreign := 0, 0
	for n, i := range all {
		c, f, words := a.inject(i.Served(t).Against(other), fmt.Sprintf("%s-%d", bob.Name, n), bob)
		calls, frames, foreign = append(calls, c...), frames+f, foreign+words
	}
	after := a.run(bob, "/call notes_list {}", "notes").State()
	if !testkit.Says(after, agui.RoleTool, "1 (") || !testkit.Says(after, agui.RoleTool, "2 (") ||
		testkit.Says(after, agui.RoleTool, "3 (") {
		t.Errorf("the other user's notes were changed: %+v", after.Messages)
	}
	records, denied, recorded := loggedCalls(t, s), 0, 0
	for _, c := range calls {
		if c.Outcome == tool.Denied {
			denied++
		}
		if got := records[c.id]; got == c.Outcome || c.Outcome == tool.Denied && got == tool.Unknown {
			recorded++
		} else {
			t.Errorf("the log says %q of a call whose outcome is %s", got, c.Outcome)
		}
	}
	if denied == 0 || len(calls) < 8 {
		t.Errorf("%d calls, %d of them denied, prove little", len(calls), denied)
	}
	t.Attr("figure", fmt.Sprintf("%d conversations over the whole stack: %d calls, %d denied, %d decisions recorded",
		len(all), len(calls), denied, recorded))
	t.Attr("figure", fmt.Sprintf("%d frames with another user's words, of %d", foreign, frames))
}
