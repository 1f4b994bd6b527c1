// Package invoke invokes turn through Lambda's API. Functions that invoke nothing do not link the API's client.
package invoke

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"carrel/shared/chat"
	"carrel/shared/gateway"
)

// timeout limits one call, including its retries.
const timeout = 5 * time.Second

// Invoker invokes turn. It holds no identity, and all requests share it.
type Invoker struct {
	api      *lambda.Client
	function string
	tenancy  gateway.Tenancy
}

// New makes an invoker of turn, from its name or ARN.
func New(c aws.Config, function string, tenancy gateway.Tenancy) *Invoker {
	return &Invoker{lambda.NewFromConfig(c), function, tenancy}
}

// Turn requests a run of this user. With PerTenant the user's key is the tenant id of the invocation, so the run gets
// an execution environment of this user. If Turn returns nil, Lambda has queued the event.
func (i *Invoker) Turn(ctx context.Context, u chat.User, run chat.RunID) error {
	return i.invoke(ctx, u, gateway.TurnEvent{Run: run, Reason: gateway.ReasonRun})
}

// EraseThread requests the erasure of the rest of a deleted thread of this user, as Turn requests a run.
func (i *Invoker) EraseThread(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error {
	return i.invoke(ctx, u, gateway.TurnEvent{Thread: thread, Epoch: epoch, Reason: gateway.ReasonEraseThread})
}

// EraseUser requests the erasure of all data of this user, as Turn requests a run.
func (i *Invoker) EraseUser(ctx context.Context, u chat.User) error {
	return i.invoke(ctx, u, gateway.TurnEvent{Reason: gateway.ReasonEraseUser})
}

func (i *Invoker) invoke(ctx context.Context, u chat.User, e gateway.TurnEvent) error {
	event, tenant, err := gateway.EncodeTurn(u, e, i.tenancy)
	if err != nil {
		return fmt.Errorf("invoke turn: %w", err)
	}
	in := &lambda.InvokeInput{FunctionName: aws.String(i.function), Payload: event,
		InvocationType: types.InvocationTypeEvent}
	if tenant != "" {
		in.TenantId = aws.String(tenant)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := i.api.Invoke(ctx, in); err != nil {
		return fmt.Errorf("invoke turn: %w", err)
	}
	return nil
}
