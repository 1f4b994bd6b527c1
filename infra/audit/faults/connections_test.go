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

// An event without a user is refused, has no effect, and no window is sent anything.
func TestFault15_AMissingMappingIsRefused(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	runAndWait(g, w, "/say kept", "kept")
	connection := w.Ready(t).ConnectionID
	nobody := []string{`null`, `{}`, `{"principalId":"","user":""}`,
		`{"expires":"4102444800","signedIn":"1782907140","signedInBy":"iat","grants":"notes"}`,
		`{"principalId":"` + alice.Name + `","expires":"4102444800","signedIn":"1782907140","signedInBy":"iat"}`}
	for _, context := range nobody {
		event := func(kind, body string) []byte {
			return fmt.Appendf(nil, `{"requestContext":{"eventType":%q,"connectionId":%q,"authorizer":%s},"body":%q}`,
				kind, connection, context, body)
		}
		frames := []string{`{"type":"history","threadId":"` + string(w.Thread) + `"}`, `{"type":"delete","threadId":"` +
			string(w.Thread) + `"}`,
			`{"type":"hello","n":100,"threadId":"` + string(w.Thread) + `"}`, `{"type":"ping"}`}
		for _, body := range frames {
			answer, failed, err := g.Host().Invoke(g.Ctx, g.Function("MessageFunction"), event("MESSAGE", body))
			if err != nil || failed == "" {
				t.Errorf("%s of %s is answered: %s, %v", body, context, answer, err)
			}
		}
		var refusal gateway.Answer
		answer, failed, err := g.Host().Invoke(g.Ctx, g.Function("ConnectFunction"), event("CONNECT", ""))
		if err == nil && failed == "" {
			err = json.Unmarshal(answer, &refusal)
		}
		if err != nil || failed != "" || refusal.StatusCode != http.StatusForbidden {
			t.Errorf("a connect of %s is answered: %s %s, %v", context, answer, failed, err)
		}
	}
	if err := g.Host().InvokeAsync(g.Ctx, g.Function("TurnFunction"), "",
		[]byte(`{"reason":"eraseUser"}`)); err == nil {
		t.Error("an event of turn without a user is accepted")
	}
	// All that was sent to the window before its next answer has reached it by then.
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

// A post that is answered with 410 deletes that connection and no other: the other window misses nothing. If the 410
// was a mistake, the window notices it and is back once its user uses it.
func TestFault16_GoneIsForgottenAlone(t *testing.T) {
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
	g.Eventually("the connection with the 410 is deleted",
		func() bool { return !slices.Contains(connectionsOf(g, alice), gone) })
	if left := connectionsOf(g, alice); !slices.Equal(left, []string{here}) {
		t.Errorf("the remaining connections are %v, want only %s", left, here)
	}
	ended := func(s client.State) bool { return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "end-of-all") }
	g.WaitFor(w, "shows the end", ended)
	if n := readyFrames(w); n != 1 {
		t.Errorf("the other window sent hello %d times", n)
	}
	g.SetGatewayFaults(apigateway.Faults{})
	if err := lost.Wake(); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(lost, "shows the end", ended)
	t.Attr("figure", fmt.Sprintf("of two connections one was deleted; the other window sent hello %d time",
		readyFrames(w)))
}
