package gateway_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
)

// The event that erases a user names the user only by the tenant of the invocation. Invoker and ParseTurn agree on it.
func TestEraseUser(t *testing.T) {
	alice := chattest.User(t, "alice")
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: alice.Key()})
	u, e, err := gateway.ParseTurn(ctx, json.RawMessage(`{"reason":"eraseUser"}`), gateway.PerTenant)
	if err != nil || u != alice || e != (gateway.TurnEvent{Reason: gateway.ReasonEraseUser}) {
		t.Errorf("user %v, event %+v, error %v", u, e, err)
	}
	if ev, err := gateway.ParseSweep(json.RawMessage(`{"requestPayload":{"reason":"eraseUser"}}`)); err != nil ||
		ev.Failed.Reason != gateway.ReasonEraseUser {
		t.Errorf("failure record %+v, %v", ev, err)
	}
	if err := new(gateway.Invoker).EraseUser(t.Context(), chat.User{}); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("nobody: %v", err)
	}
}
