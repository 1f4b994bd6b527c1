package audit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/gateway"
)

// An event that does not say whose it is is nobody's: it is refused, does nothing, and nobody is told anything.
func TestFault15AMissingMappingIsRefused(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	g.done(w, "/say kept", "kept")
	connection := w.ready(t).ConnectionID
	nobody := []string{`null`, `{}`, `{"principalId":"","user":""}`, `{"expires":"4102444800","signedIn":"1782907140","signedInBy":"iat","grants":"notes"}`,
		`{"principalId":"` + alice.name + `","expires":"4102444800","signedIn":"1782907140","signedInBy":"iat"}`}
	for _, who := range nobody {
		event := func(kind, body string) []byte {
			return fmt.Appendf(nil, `{"requestContext":{"eventType":%q,"connectionId":%q,"authorizer":%s},"body":%q}`, kind, connection, who, body)
		}
		frames := []string{`{"type":"history","threadId":"` + string(w.thread) + `"}`, `{"type":"delete","threadId":"` + string(w.thread) + `"}`,
			`{"type":"hello","n":100,"threadId":"` + string(w.thread) + `"}`, `{"type":"ping"}`}
		for _, body := range frames {
			answer, failed, err := g.Host().Invoke(g.ctx, g.Function("MessageFunction"), event("MESSAGE", body))
			if err != nil || failed == "" {
				t.Errorf("%s of %s is answered: %s, %v", body, who, answer, err)
			}
		}
		var refusal gateway.Answer
		answer, failed, err := g.Host().Invoke(g.ctx, g.Function("ConnectFunction"), event("CONNECT", ""))
		if err == nil && failed == "" {
			err = json.Unmarshal(answer, &refusal)
		}
		if err != nil || failed != "" || refusal.StatusCode != http.StatusForbidden {
			t.Errorf("a connect of %s is answered: %s %s, %v", who, answer, failed, err)
		}
	}
	if err := g.Host().InvokeAsync(g.ctx, g.Function("TurnFunction"), "", []byte(`{"reason":"eraseUser"}`)); err == nil {
		t.Error("a turn of nobody is taken")
	}
	// Whatever was sent to the window before its next answer has reached it by then.
	had := heardBy(w)
	if page, err := w.History(g.ctx, 0, 10); err != nil || len(page.Messages) != 2 {
		t.Errorf("alice's thread has %+v, %v", page.Messages, err)
	}
	if now := heardBy(w); now != had+1 {
		t.Errorf("alice's window was sent %d messages more than her own answer", now-had-1)
	}
}

// heardBy counts the messages that reached a window.
func heardBy(w *socket) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.messages)
}

// connectionsOf reads the ids of a person's connections as they stand in the table.
func (g *ground) connectionsOf(p *person) (ids []string) {
	g.t.Helper()
	db := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(g.Endpoints().DynamoDB),
		Credentials: g.Endpoints().Operator()})
	page, err := db.Query(g.ctx, &dynamodb.QueryInput{TableName: aws.String("carrel-Table"), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": &types.AttributeValueMemberS{Value: "U#" + p.name}, ":sk": &types.AttributeValueMemberS{Value: "CONN#"},
		}})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, item := range page.Items {
		if sk, ok := item["sk"].(*types.AttributeValueMemberS); ok {
			ids = append(ids, strings.TrimPrefix(sk.Value, "CONN#"))
		}
	}
	return ids
}

// A post that is answered 410 has that connection forgotten, and no other: the other window misses nothing. If it was a
// mistake the window finds out, and is back once its person uses it.
func TestFault16GoneIsForgottenAlone(t *testing.T) {
	t.Attr("row", "C4: a 410 deletes that connection alone")
	g := onFaults(t)
	alice := g.person("alice")
	thread := g.thread(alice)
	lost, w := g.window(alice, thread), g.window(alice, thread)
	gone, here := string(lost.ready(t).ConnectionID), string(w.ready(t).ConnectionID)
	g.strike(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection == gone {
			f.Status = http.StatusGone
		}
		return f
	}})
	g.send(w, "/say begun\n/pace 150\n/say one two three four five six seven eight nine ten\n/say end-of-all")
	g.begins(w)
	g.until("the connection that is gone is forgotten", func() bool { return !slices.Contains(g.connectionsOf(alice), gone) })
	if left := g.connectionsOf(alice); !slices.Equal(left, []string{here}) {
		t.Errorf("the connections left are %v, want %s alone", left, here)
	}
	over := func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "end-of-all") }
	g.wait(w, "the end", over)
	if n := readies(w); n != 1 {
		t.Errorf("the other window had to ask %d times", n)
	}
	g.strike(apigateway.Faults{})
	if err := lost.Wake(); err != nil {
		t.Fatal(err)
	}
	g.wait(lost, "the window that was forgotten is back", over)
	t.Attr("figure", fmt.Sprintf("of two connections one was forgotten; the other had to ask %d time", readies(w)))
}
