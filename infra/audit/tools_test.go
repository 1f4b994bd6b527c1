package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
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

// scoped gets a token of a user that grants this and no more.
func scoped(ctx context.Context, token, user string, grants []string) (string, error) {
	return signInWith(ctx, token, url.Values{"user": {user}, "scope": {strings.Join(append([]string{"openid"}, grants...), " ")}})
}

// talker is one who asks for runs on a socket whose token grants so much.
type talker struct {
	*testing.T
	e   stack.Endpoints
	ctx context.Context
}

// asks opens a socket with a token of these grants, has a run carried out and returns what the socket was sent.
func (a talker) asks(who *person, text string, grants ...string) *socket {
	a.Helper()
	s := &socket{who: who, thread: chat.ThreadID(chat.NewID(time.Now()))}
	who.threads = append(who.threads, s.thread)
	var err error
	s.Client, err = client.Dial(a.ctx, client.Config{
		URL: a.e.WebSocket, Thread: s.thread,
		Token: func(ctx context.Context) (string, error) { return scoped(ctx, a.e.Token, who.name, grants) },
		OnFrame: func(m []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.messages = append(s.messages, slices.Clone(m))
		},
	})
	if err != nil {
		a.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Send(text); err != nil {
		a.Fatal(err)
	}
	st, err := s.WaitFor(a.ctx, func(st client.State) bool { return idle(st) && len(st.Messages) > 1 })
	if err != nil {
		a.Fatalf("%s: %v; the socket shows %+v", who.name, err, st)
	}
	return s
}

// audited are the records of tool calls in the stack's log, by call: their outcome, or why there is not just one.
func audited(t *testing.T, log string) map[string]tool.Outcome {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]tool.Outcome{}
	for line := range bytes.Lines(b) {
		at := bytes.IndexByte(line, '{')
		var l struct {
			Msg, User, Run, Call string
			Outcome              tool.Outcome
		}
		if at < 0 || json.Unmarshal(line[at:], &l) != nil || l.Msg != "tool call" {
			continue
		}
		if _, twice := all[l.Call]; twice || l.User == "" || l.Run == "" {
			l.Outcome = "more than one record, or of nobody: " + l.Outcome
		}
		all[l.Call] = l.Outcome
	}
	return all
}

// called are the calls of a log: their ids, tools and outcomes.
func called(events []agui.Event) (ids, names []string, outcomes []tool.Outcome) {
	for _, e := range events {
		switch at := slices.Index(ids, e.ToolCallID); {
		case e.Type == agui.ToolCallStart:
			ids, names, outcomes = append(ids, e.ToolCallID), append(names, e.ToolCallName), append(outcomes, tool.Asked)
		case e.Type == agui.ToolCallResult && at >= 0:
			outcomes[at] = tool.OK
			if _, said, ok := strings.Cut(string(e.Metadata), `"outcome":"`); ok {
				outcomes[at] = tool.Outcome(said[:strings.Index(said, `"`)])
			}
		}
	}
	return ids, names, outcomes
}

// tried is a call that a model made, and what came of it.
type tried struct {
	id string
	tool.Outcome
}

// obeys has a new user's model obey a conversation, and returns its calls. foreign counts the frames in which that user
// was sent something of the other.
func (a talker) obeys(i tooltest.Injection, name string, other *person) (calls []tried, frames, foreign int) {
	a.Helper()
	alice := &person{name: name, secret: "secret-" + rand.Text()}
	if len(i.Notes) > 0 {
		var notes strings.Builder
		for _, text := range i.Notes {
			arguments, err := json.Marshal(map[string]string{"text": text})
			if err != nil {
				a.Fatal(err)
			}
			fmt.Fprintf(&notes, "/call notes_save %s\n/say next\n", arguments)
		}
		a.asks(alice, notes.String(), "notes")
	}
	window := a.asks(alice, i.Script, i.Grants...)
	got := window.read(a.T, []*person{alice, {name: other.name, secret: other.secret}}) // whose thread the script may name
	events, _, err := got.stream(chat.Seq(len(got.events)))
	if err != nil {
		a.Fatal(err)
	}
	ids, names, outcomes := called(events)
	for at, name := range names {
		if slices.Contains([]string{"users_read", "notes_export", "shell"}, name) && outcomes[at] == tool.Unknown {
			outcomes[at] = tool.Denied // there is no such tool here
		}
		calls = append(calls, tried{ids[at], outcomes[at]})
	}
	if !slices.Equal(outcomes, i.Gets) {
		a.Errorf("%s: the calls of %v got %v, want %v", i.Name, names, outcomes, i.Gets)
	}
	return calls, got.frames, got.foreign
}

// Over the whole stack, users whose tokens grant less than others' have a model that obeys all that it reads: what the
// token does not grant is denied, nothing of the other comes, and each call is in turn's log. AUDIT has it do all of the
// conversations.
func TestToolsOverTheWholeStack(t *testing.T) {
	t.Attr("row", "D4: the tools over the whole stack, with tokens of fewer grants")
	s := startWith(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := talker{t, s.Endpoints(), ctx}
	all := slices.DeleteFunc(tooltest.Injections(t), func(i tooltest.Injection) bool { return !i.Stack })
	if os.Getenv("AUDIT") == "" {
		few := all[:0]
		for i := range slices.Chunk(all, 4) {
			few = append(few, i[0])
		}
		all = few
	}
	bob := &person{name: "user-of-tools", secret: "secret-" + rand.Text()}
	save := `/call notes_save {"text":"the password is ` + bob.secret + `"}` + "\n"
	theirs := a.asks(bob, save+save+"/say "+bob.secret, "notes")
	other := tooltest.Other{User: bob.name, Key: bob.name, Thread: string(theirs.thread), Run: "r"}
	var calls []tried
	frames, foreign := 0, 0
	for n, i := range all {
		c, f, words := a.obeys(i.Against(other), fmt.Sprintf("%s-%d", bob.name, n), bob)
		calls, frames, foreign = append(calls, c...), frames+f, foreign+words
	}
	after := a.asks(bob, "/call notes_list {}", "notes").State()
	if !says(after, agui.RoleTool, "1 (") || !says(after, agui.RoleTool, "2 (") || says(after, agui.RoleTool, "3 (") {
		t.Errorf("the other's notes were changed: %+v", after.Messages)
	}
	records, denied, recorded := audited(t, s.Log()), 0, 0
	for _, c := range calls {
		if c.Outcome == tool.Denied {
			denied++
		}
		if got := records[c.id]; got == c.Outcome || c.Outcome == tool.Denied && got == tool.Unknown {
			recorded++
		} else {
			t.Errorf("the log says %q of a call that got %s", got, c.Outcome)
		}
	}
	if denied == 0 || len(calls) < 8 {
		t.Errorf("%d calls, %d of them denied, prove little", len(calls), denied)
	}
	t.Attr("figure", fmt.Sprintf("%d conversations over the whole stack: %d calls, %d denied, %d decisions recorded", len(all), len(calls), denied, recorded))
	t.Attr("figure", fmt.Sprintf("%d frames with another's words, of %d", foreign, frames))
}
