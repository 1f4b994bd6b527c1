package audit_test

import (
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

// TestLockLastHop: a forged mapping. Frames come in as alice's that are of bob's socket; and his socket stands among alice's
// connections, as a row that was written for him and got under her key.
func TestLockLastHop(t *testing.T) {
	t.Attr("row", "C5: forged frames and a forged connection row")
	s := startAttacked(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := neighbours(t, ctx, s.Endpoints())
	row := connectionRow(t, operator(s.Endpoints()), s.Endpoints(), bob)
	alice.does(t, ctx, "/say "+alice.who.secret)
	forgeFrames(t, s, alice, row)
	bob.does(t, ctx, "/say hello")
	framed, _ := bob.holding(alice.who.secret)
	forgeRow(t, s.Endpoints(), alice, row)
	alice.does(t, ctx, "/say once more "+alice.who.secret)
	bob.does(t, ctx, "/say hello again")
	all, of := bob.holding(alice.who.secret)
	came := ""
	if all > 0 {
		came = fmt.Sprintf("%d of %d messages to bob hold what alice said: %d by forged frames, %d by a forged row", all, of, framed, all-framed)
	}
	seen := recorded(t, s)
	if came == "" && len(seen) < 3 {
		t.Errorf("%d violations were recorded, want one of the row and one of each frame: %q", len(seen), seen)
	}
	verdict(t, came, fmt.Sprintf("%d of %d messages to bob hold what alice said; %d isolation violations recorded", all, of, len(seen)))
}

// connectionRow is the row of a socket.
func connectionRow(t *testing.T, db *dynamodb.Client, e stack.Endpoints, s *socket) map[string]types.AttributeValue {
	t.Helper()
	out, err := db.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &e.Table, KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": keyOf(t, s), ":sk": &types.AttributeValueMemberS{Value: "CONN#"},
		},
	})
	if err != nil || len(out.Items) != 1 {
		t.Fatalf("%s has %d connections: %v", s.who.name, len(out.Items), err)
	}
	return out.Items[0]
}

func keyOf(t *testing.T, s *socket) types.AttributeValue {
	t.Helper()
	return &types.AttributeValueMemberS{Value: "U#" + chattest.User(t, s.who.name).Key()}
}

func operator(e stack.Endpoints) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &e.DynamoDB,
		Credentials: e.Operator()})
}

// forgeRow puts the row of one user's socket among those of another, as a window on the other's thread.
func forgeRow(t *testing.T, e stack.Endpoints, among *socket, row map[string]types.AttributeValue) {
	t.Helper()
	row["pk"], row["thread"] = keyOf(t, among), &types.AttributeValueMemberS{Value: string(among.thread)}
	if _, err := operator(e).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &e.Table, Item: row}); err != nil {
		t.Fatal(err)
	}
}

// forgeFrames has the function message get frames of one user's socket as if they were another user's.
func forgeFrames(t *testing.T, s *stack.Stack, by *socket, row map[string]types.AttributeValue) {
	t.Helper()
	id := chat.ConnectionID(row["id"].(*types.AttributeValueMemberS).Value)
	for i, f := range []wire.ClientFrame{
		&wire.History{Header: wire.Header{RequestID: "h"}, ThreadID: by.thread},
		&wire.Hello{Header: wire.Header{RequestID: "n"}, ThreadID: by.thread, N: 99},
	} {
		body, err := wire.EncodeClient(f)
		if err != nil {
			t.Fatal(err)
		}
		event := gatewaytest.Message(t, gateway.Inbound{
			User: chattest.User(t, by.who.name), Connection: id, TokenExpires: time.Now().Add(time.Hour), ConnectedAt: time.Now(),
			Body: body, RequestID: fmt.Sprint("forged-", i),
		})
		var answer json.RawMessage
		answer, failure, err := s.Host().Invoke(t.Context(), s.Function("MessageFunction"), event)
		if err != nil || failure != "" {
			t.Logf("message answered %s: %s, %v", answer, failure, err)
		}
	}
}
