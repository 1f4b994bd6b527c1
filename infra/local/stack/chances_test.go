package stack_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"
)

// What makes AWS's rarer moments common reaches the parts; callers of DynamoDB are told apart; what is expired goes
// when the stack starts or is told, and not before.
func TestChances(t *testing.T) {
	root, state := site(t), t.TempDir()
	r := start(t, stack.Config{Root: root, State: state, Idle: 300 * time.Millisecond, Reorder: time.Millisecond,
		Seed:            11,
		LoseDisconnects: true, Minute: 50 * time.Millisecond, Faults: proxy.Faults{Lose: 0.5}})
	r.told("SEED=11 does it again")
	conn, _ := r.dial(r.token("alice"))
	if _, _, err := conn.Read(r.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the idle socket ended with %v", err)
	}
	r.await("aws.events") // though every second answer is lost
	if err := r.DynamoDB().SetFaults(proxy.Faults{}); err != nil {
		t.Fatal(err)
	}
	r.put("old", time.Now().Add(-time.Hour))
	r.put("young", time.Now().Add(time.Hour))
	if !r.written("old") {
		t.Error("what is expired went by itself")
	}
	if n, err := r.DeleteExpired(r.ctx); n != 1 || err != nil || r.written("old") || !r.written("young") {
		t.Errorf("told to delete what is expired, it deleted %d: %v", n, err)
	}
	r.put("old", time.Now().Add(-time.Hour))
	lost := 0
	for _, u := range r.DynamoDB().Usage() {
		if u.Caller == "Later" && u.Requests > 0 && u.WriteUnits > 0 {
			lost = u.Faults["lost"]
		}
	}
	if _, page := r.get(r.Endpoints().Ops + ".json"); lost == 0 || !strings.Contains(page, `"caller":"Later"`) {
		t.Errorf("the function's requests are not told: %+v\n%s", r.DynamoDB().Usage(), page)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if again := start(t, stack.Config{Root: root, State: state}); again.written("old") || !again.written("young") {
		t.Error("between two runs, what is expired stayed or more went")
	}
}

// put writes an item that expires.
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
