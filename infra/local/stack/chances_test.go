package stack_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"
)

// The configured faults reach every part of the stack, DynamoDB requests are attributed to their callers, and expired
// items are deleted only when the stack starts or DeleteExpired is called.
func TestStack_RareBehaviour(t *testing.T) {
	c := unchanged(t)
	rare := c
	rare.Idle, rare.Reorder, rare.Seed, rare.LoseDisconnects = 300*time.Millisecond, time.Millisecond, 11, true
	rare.Minute, rare.Faults = 50*time.Millisecond, proxy.Faults{Lose: 0.5}
	r := start(t, rare)
	r.awaitNotice("set SEED=11 to repeat")
	conn, _ := r.dial(r.token("alice"))
	if _, _, err := conn.Read(r.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the idle socket closed with %v", err)
	}
	r.awaitItem("aws.events") // although half of the responses are lost
	if err := r.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		t.Fatal(err)
	}
	r.put("old", time.Now().Add(-time.Hour))
	r.put("young", time.Now().Add(time.Hour))
	if !r.hasItem("old") {
		t.Error("an expired item was deleted without a request to do so")
	}
	if n, err := r.DeleteExpired(r.ctx); n != 1 || err != nil || r.hasItem("old") || !r.hasItem("young") {
		t.Errorf("DeleteExpired deleted %d items: %v", n, err)
	}
	r.put("old", time.Now().Add(-time.Hour))
	lost := 0
	for _, u := range r.DynamoDB().Usage() {
		if u.Caller == "Later" && u.Requests > 0 && u.WriteUnits > 0 {
			lost = u.Faults["lost"]
		}
	}
	if _, page := r.get(r.Endpoints().Ops + ".json"); lost == 0 || !strings.Contains(page, `"caller":"Later"`) {
		t.Errorf("the function's requests are not reported: %+v\n%s", r.DynamoDB().Usage(), page)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if again := start(t, c); again.hasItem("old") || !again.hasItem("young") {
		t.Error("the next start did not delete exactly the expired items")
	}
}

// put writes an item with an expiry time.
func (r *running) put(id string, until time.Time) {
	r.Helper()
	db := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(r.Endpoints().DynamoDB),
		Credentials: r.Endpoints().Operator()})
	_, err := db.PutItem(r.ctx, &sdk.PutItemInput{TableName: aws.String("carrel-Book"),
		Item: map[string]types.AttributeValue{
			"id":    &types.AttributeValueMemberS{Value: id},
			"until": &types.AttributeValueMemberN{Value: strconv.FormatInt(until.Unix(), 10)}}})
	if err != nil {
		r.Fatal(err)
	}
}
