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

// Deadlines of one call, its retries included.
const (
	postTimeout   = 5 * time.Second
	invokeTimeout = 5 * time.Second
)

// Poster posts to connections through the management API. It holds no identity and is shared by all requests.
type Poster struct {
	api *apigatewaymanagementapi.Client
}

// NewPoster makes a poster for the API's stage, https://…/<stage>. The standard endpoint variable of the service, if it
// is set, goes before.
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

// soon has the SDK repeat what failed on the way, soon, and nothing that was throttled: whoever posts knows better
// whether to wait for a slow client. No connection's failures use up the repetitions of another's.
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

// Post posts one message within five seconds, and refuses the zero Message. It fails with chat.ErrGone if the
// connection no longer exists, and with chat.ErrSlow if its buffer is full or the account is throttled.
func (p *Poster) Post(ctx context.Context, m lasthop.Message) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	_, err := p.api.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: aws.String(string(m.Connection())), Data: m.Body(),
	})
	if err != nil {
		return fmt.Errorf("gateway: posting: %w", kind(err))
	}
	return nil
}

// Close closes a connection. One that is gone already is fine.
func (p *Poster) Close(ctx context.Context, id chat.ConnectionID) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	_, err := p.api.DeleteConnection(ctx,
		&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: aws.String(string(id))})
	if err = kind(err); err != nil && !errors.Is(err, chat.ErrGone) {
		return fmt.Errorf("gateway: closing a connection: %w", err)
	}
	return nil
}

// kind adds the vocabulary's error to the service's. The status counts as well as the type: an answer without its
// X-Amzn-ErrorType decodes as an unknown error.
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

// Invoker invokes turn. It holds no identity and is shared by all requests.
type Invoker struct {
	api      *lambda.Client
	function string
	tenancy  Tenancy
}

// NewInvoker makes an invoker of turn, whose name or ARN is given.
func NewInvoker(c aws.Config, function string, tenancy Tenancy) *Invoker {
	return &Invoker{lambda.NewFromConfig(c), function, tenancy}
}

// Turn has a run of this user done. With PerTenant the user's key is the invocation's tenant id, so that it runs in an
// execution environment of the user's own. Once it returns nil Lambda has queued the event.
func (i *Invoker) Turn(ctx context.Context, u chat.User, run chat.RunID) error {
	return i.invoke(ctx, u, TurnEvent{Run: run, Reason: ReasonRun})
}

// EraseThread has what is left of a deleted thread of this user erased, as Turn has a run done.
func (i *Invoker) EraseThread(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error {
	return i.invoke(ctx, u, TurnEvent{Thread: thread, Epoch: epoch, Reason: ReasonEraseThread})
}

// EraseUser has everything of this user erased who asked for it, as Turn has a run done.
func (i *Invoker) EraseUser(ctx context.Context, u chat.User) error {
	return i.invoke(ctx, u, TurnEvent{Reason: ReasonEraseUser})
}

func (i *Invoker) invoke(ctx context.Context, u chat.User, e TurnEvent) error {
	if u.IsZero() {
		return fmt.Errorf("gateway: invoking turn: %w", chat.ErrNoUser)
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
		return fmt.Errorf("gateway: encoding turn's event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
	defer cancel()
	_, err = i.api.Invoke(ctx, in)
	if err != nil {
		return fmt.Errorf("gateway: invoking turn: %w", err)
	}
	return nil
}
