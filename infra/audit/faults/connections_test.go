package faults_test

import (
	"carrel/infra/testkit"

	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/gateway"
)

// An event that does not say whose it is is nobody's: it is refused, does nothing, and nobody is told anything.
func TestFault15AMissingMappingIsRefused(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	runAndWait(g, w, "/say kept", "kept")
	connection := w.Ready(t).ConnectionID
	nobody := []string{`null`, `{}`, `{"principalId":"","user":""}`,
		`{"expires":"4102444800","signedIn":"1782907140","signedInBy":"iat","grants":"notes"}`,
		`{"principalId":"` + alice.Name + `","expires":"4102444800","signedIn":"1782907140","signedInBy":"iat"}`}
	for _, who := range nobody {
		event := func(kind, body string) []byte {
			return fmt.Appendf(nil, `{"requestContext":{"eventType":%q,"connectionId":%q,"authorizer":%s},"body":%q}`,
				kind, connection, who, body)
		}
		frames := []string{`{"type":"history","threadId":"` + string(w.Thread) + `"}`, `{"type":"delete","threadId":"` +
			string(w.Thread) + `"}`,
			`{"type":"hello","n":100,"threadId":"` + string(w.Thread) + `"}`, `{"type":"ping"}`}
		for _, body := range frames {
			answer, failed, err := g.Host().Invoke(g.Ctx, g.Function("MessageFunction"), event("MESSAGE", body))
			if err != nil || failed == "" {
				t.Errorf("%s of %s is answered: %s, %v", body, who, answer, err)
			}
		}
		var refusal gateway.Answer
		answer, failed, err := g.Host().Invoke(g.Ctx, g.Function("ConnectFunction"), event("CONNECT", ""))
		if err == nil && failed == "" {
			err = json.Unmarshal(answer, &refusal)
		}
		if err != nil || failed != "" || refusal.StatusCode != http.StatusForbidden {
			t.Errorf("a connect of %s is answered: %s %s, %v", who, answer, failed, err)
		}
	}
	if err := g.Host().InvokeAsync(g.Ctx, g.Function("TurnFunction"), "", []byte(`{"reason":"eraseUser"}`)); err == nil {
		t.Error("a turn of nobody is taken")
	}
	// Whatever was sent to the window before its next answer has reached it by then.
	before := len(w.Messages())
	if page, err := w.History(g.Ctx, 0, 10); err != nil || len(page.Messages) != 2 {
		t.Errorf("alice's thread has %+v, %v", page.Messages, err)
	}
	if now := len(w.Messages()); now != before+1 {
		t.Errorf("alice's window was sent %d messages more than her own answer", now-before-1)
	}
}

// connectionsOf returns the ids of a user's connections as they stand in the table.
func connectionsOf(g *testkit.Env, u *testkit.User) (ids []string) {
	g.Helper()
	for key := range testkit.Items(g.T, g.Ctx, g.Endpoints()) {
		if id, ok := strings.CutPrefix(key, "U#"+u.Name+" CONN#"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// A post that is answered 410 has that connection forgotten, and no other: the other window misses nothing. If it was a
// mistake the window finds out, and is back once its person uses it.
func TestFault16GoneIsForgottenAlone(t *testing.T) {
	t.Attr("row", "C4: a 410 deletes that connection alone")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	lost, w := g.Open(alice, thread), g.Open(alice, thread)
	gone, here := lost.Connection(t), w.Connection(t)
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection == gone {
			f.Status = http.StatusGone
		}
		return f
	}})
	g.Send(w, "/say begun\n/pace 150\n/say one two three four five six seven eight nine ten\n/say end-of-all")
	waitForBegin(g, w)
	g.Eventually("the connection that is gone is forgotten",
		func() bool { return !slices.Contains(connectionsOf(g, alice), gone) })
	if left := connectionsOf(g, alice); !slices.Equal(left, []string{here}) {
		t.Errorf("the connections left are %v, want %s alone", left, here)
	}
	over := func(s client.State) bool { return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "end-of-all") }
	g.WaitFor(w, "the end", over)
	if n := readyFrames(w); n != 1 {
		t.Errorf("the other window had to ask %d times", n)
	}
	g.SetGatewayFaults(apigateway.Faults{})
	if err := lost.Wake(); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(lost, "the window that was forgotten is back", over)
	t.Attr("figure", fmt.Sprintf("of two connections one was forgotten; the other had to ask %d time", readyFrames(w)))
}
