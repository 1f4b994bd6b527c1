package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	apitypes "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
)

// The time limits of one call, including its retries.
const (
	postTimeout   = 5 * time.Second
	invokeTimeout = 5 * time.Second
)

// Poster posts to connections through the management API of API Gateway. It holds no identity, and all requests share
// it.
type Poster struct {
	api *apigatewaymanagementapi.Client
}

// NewPoster makes a poster for the stage of the API, https://…/<stage>. The SDK's endpoint variable of the service
// takes precedence.
func NewPoster(c aws.Config, stage string) *Poster {
	return &Poster{apigatewaymanagementapi.NewFromConfig(c, func(o *apigatewaymanagementapi.Options) {
		if o.BaseEndpoint == nil {
			o.BaseEndpoint = aws.String(stage)
		}
		if c.Retryer == nil {
			o.Retryer = retry.NewStandard(soon)
		}
	})}
}

// soon has the SDK retry transport failures after short pauses. It does not retry throttled posts, because the caller
// knows better whether to wait for a slow client. The failures of one connection do not reduce the retries of another.
func soon(o *retry.StandardOptions) {
	o.MaxAttempts, o.RateLimiter = 3, ratelimit.None
	o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
		return rand.N(100 * time.Millisecond << min(attempt, 4)), nil
	})
	throttled := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
		if errors.Is(kind(err), chat.ErrSlow) {
			return aws.FalseTernary
		}
		return aws.UnknownTernary
	})
	o.Retryables = append([]retry.IsErrorRetryable{throttled}, o.Retryables...)
}

// Post posts one message within five seconds. It fails with chat.ErrGone if the connection no longer exists, and with
// chat.ErrSlow if its buffer is full or the account is throttled. The zero Message is an error.
func (p *Poster) Post(ctx context.Context, m lasthop.Message) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	_, err := p.api.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: aws.String(string(m.Connection())), Data: m.Body(),
	})
	if err != nil {
		return fmt.Errorf("gateway: post: %w", kind(err))
	}
	return nil
}

// Close closes a connection. It is no error if the connection no longer exists.
func (p *Poster) Close(ctx context.Context, id chat.ConnectionID) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	_, err := p.api.DeleteConnection(ctx,
		&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: aws.String(string(id))})
	if err = kind(err); err != nil && !errors.Is(err, chat.ErrGone) {
		return fmt.Errorf("gateway: close a connection: %w", err)
	}
	return nil
}

// kind wraps an error of the service in the matching error of package chat. It looks at the status too, because an
// answer without X-Amzn-ErrorType is decoded as an unknown error.
func kind(err error) error {
	var (
		gone   *apitypes.GoneException
		limit  *apitypes.LimitExceededException
		status *awshttp.ResponseError
	)
	code := 0
	if errors.As(err, &status) {
		code = status.HTTPStatusCode()
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &gone), code == http.StatusGone:
		return fmt.Errorf("%w: %w", chat.ErrGone, err)
	case errors.As(err, &limit), code == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w", chat.ErrSlow, err)
	}
	return err
}

// Invoker invokes turn. It holds no identity, and all requests share it.
type Invoker struct {
	api      *lambda.Client
	function string
	tenancy  Tenancy
}

// NewInvoker makes an invoker of turn, from its name or ARN.
func NewInvoker(c aws.Config, function string, tenancy Tenancy) *Invoker {
	return &Invoker{lambda.NewFromConfig(c), function, tenancy}
}

// Turn requests a run of this user. With PerTenant the user's key is the tenant id of the invocation, so the run gets
// an execution environment of this user. If Turn returns nil, Lambda has queued the event.
func (i *Invoker) Turn(ctx context.Context, u chat.User, run chat.RunID) error {
	return i.invoke(ctx, u, TurnEvent{Run: run, Reason: ReasonRun})
}

// EraseThread requests the erasure of the rest of a deleted thread of this user, as Turn requests a run.
func (i *Invoker) EraseThread(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error {
	return i.invoke(ctx, u, TurnEvent{Thread: thread, Epoch: epoch, Reason: ReasonEraseThread})
}

// EraseUser requests the erasure of all data of this user, as Turn requests a run.
func (i *Invoker) EraseUser(ctx context.Context, u chat.User) error {
	return i.invoke(ctx, u, TurnEvent{Reason: ReasonEraseUser})
}

func (i *Invoker) invoke(ctx context.Context, u chat.User, e TurnEvent) error {
	if u.IsZero() {
		return fmt.Errorf("gateway: invoke turn: %w", chat.ErrNoUser)
	}
	in := &lambda.InvokeInput{FunctionName: aws.String(i.function), InvocationType: lambdatypes.InvocationTypeEvent}
	e.OwnerHash = u.Hash()
	event := turnPayload{TurnEvent: e}
	if i.tenancy == Shared {
		event.User = u.Key()
	} else {
		in.TenantId = aws.String(u.Key())
	}
	var err error
	in.Payload, err = json.Marshal(event)
	if err != nil {
		return fmt.Errorf("gateway: encode turn's event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
	defer cancel()
	_, err = i.api.Invoke(ctx, in)
	if err != nil {
		return fmt.Errorf("gateway: invoke turn: %w", err)
	}
	return nil
}
