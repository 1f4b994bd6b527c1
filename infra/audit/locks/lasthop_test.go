package locks_test

import (
	"carrel/infra/testkit"

	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/wire"
)

// The mapping from a connection to a user is forged in two ways. Frames of bob's socket arrive as alice's, and a record
// of bob's connection stands under alice's key. The lock: the last hop compares the owner that the record was written
// for.
func TestLockLastHop(t *testing.T) {
	t.Attr("row", "C5: forged frames and a forged connection row")
	s := kit.StartAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := openTwoUsers(t, ctx, s.Endpoints())
	row := connectionRow(t, testkit.Operator(s.Endpoints()), s.Endpoints(), bob)
	alice.RunScript(t, ctx, "/say "+alice.User.Secret)
	forgeFrames(t, s, alice, row)
	bob.RunScript(t, ctx, "/say hello")
	framed, _ := bob.Containing(alice.User.Secret)
	forgeRow(t, s.Endpoints(), alice, row)
	alice.RunScript(t, ctx, "/say once more "+alice.User.Secret)
	bob.RunScript(t, ctx, "/say hello again")
	all, of := bob.Containing(alice.User.Secret)
	leaked := ""
	if all > 0 {
		leaked = fmt.Sprintf("%d of %d messages to bob contain what alice said: %d by forged frames, %d by a forged "+
			"record", all, of, framed, all-framed)
	}
	recorded := testkit.ViolationLines(t, s)
	if leaked == "" && len(recorded) < 3 {
		t.Errorf("%d violations were recorded, want one of the record and one of each frame: %q", len(recorded),
			recorded)
	}
	report(t, leaked, fmt.Sprintf("%d of %d messages to bob contain what alice said; %d isolation violations recorded",
		all, of, len(recorded)))
}

// connectionRow returns the record of a window's connection.
func connectionRow(t *testing.T, db *dynamodb.Client, e stack.Endpoints,
	s *testkit.Device) map[string]types.AttributeValue {
	t.Helper()
	out, err := db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &e.Table, KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": keyOf(t, s), ":sk": &types.AttributeValueMemberS{Value: "CONN#"},
		},
	})
	if err != nil || len(out.Items) != 1 {
		t.Fatalf("%s has %d connections: %v", s.User.Name, len(out.Items), err)
	}
	return out.Items[0]
}

func keyOf(t *testing.T, s *testkit.Device) types.AttributeValue {
	t.Helper()
	return &types.AttributeValueMemberS{Value: "U#" + chattest.User(t, s.User.Name).Key()}
}

// forgeRow puts the record of one user's connection under another user's key, as a window on the other user's thread.
func forgeRow(t *testing.T, e stack.Endpoints, among *testkit.Device, row map[string]types.AttributeValue) {
	t.Helper()
	row["pk"], row["thread"] = keyOf(t, among), &types.AttributeValueMemberS{Value: string(among.Thread)}
	if _, err := testkit.Operator(e).PutItem(t.Context(),
		&dynamodb.PutItemInput{TableName: &e.Table, Item: row}); err != nil {
		t.Fatal(err)
	}
}

// forgeFrames invokes message with frames of one user's socket as if another user had sent them.
func forgeFrames(t *testing.T, s *stack.Stack, by *testkit.Device, row map[string]types.AttributeValue) {
	t.Helper()
	id := chat.ConnectionID(row["id"].(*types.AttributeValueMemberS).Value)
	for i, f := range []wire.ClientFrame{
		&wire.History{Header: wire.Header{RequestID: "h"}, ThreadID: by.Thread},
		&wire.Hello{Header: wire.Header{RequestID: "n"}, ThreadID: by.Thread, N: 99},
	} {
		body, err := wire.EncodeClient(f)
		if err != nil {
			t.Fatal(err)
		}
		event := gatewaytest.Message(t, gateway.Inbound{
			User: chattest.User(t, by.User.Name), Connection: id, TokenExpires: time.Now().Add(time.Hour),
			ConnectedAt: time.Now(),
			Body:        body, RequestID: fmt.Sprint("forged-", i),
		})
		var answer json.RawMessage
		answer, failure, err := s.Host().Invoke(t.Context(), s.Function("MessageFunction"), event)
		if err != nil || failure != "" {
			t.Logf("message answered %s: %s, %v", answer, failure, err)
		}
	}
}
