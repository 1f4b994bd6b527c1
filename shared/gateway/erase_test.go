package gateway_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
)

// The event that erases a user names the user only by the tenant of the invocation. EncodeTurn and ParseTurn agree on
// it.
func TestEraseUser(t *testing.T) {
	alice := chattest.User(t, "alice")
	event, tenant, err := gateway.EncodeTurn(alice, gateway.TurnEvent{Reason: gateway.ReasonEraseUser},
		gateway.PerTenant)
	if err != nil {
		t.Fatal(err)
	}
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: tenant})
	u, e, err := gateway.ParseTurn(ctx, event, gateway.PerTenant)
	if err != nil || u != alice || e != (gateway.TurnEvent{OwnerHash: alice.Hash(), Reason: gateway.ReasonEraseUser}) {
		t.Errorf("user %v, event %+v, error %v", u, e, err)
	}
	if ev, err := gateway.ParseSweep(json.RawMessage(`{"requestPayload":{"reason":"eraseUser"}}`)); err != nil ||
		ev.Failed.Reason != gateway.ReasonEraseUser {
		t.Errorf("failure record %+v, %v", ev, err)
	}
}
