// Package post posts to connections through the management API of API Gateway. Functions that post nothing do not link
// the API's client.
package post

import (
	"context"
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
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
)

// timeout limits one call, including its retries.
const timeout = 5 * time.Second

// Poster posts to connections through the management API of API Gateway. It holds no identity, and all requests share
// it.
type Poster struct {
	api *apigatewaymanagementapi.Client
}

// New makes a poster for the stage of the API, https://…/<stage>. The SDK's endpoint variable of the service
// takes precedence.
func New(c aws.Config, stage string) *Poster {
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
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := p.api.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: aws.String(string(m.Connection())), Data: m.Body(),
	})
	if err != nil {
		return fmt.Errorf("post to a connection: %w", kind(err))
	}
	return nil
}

// Close closes a connection. It returns nil if the connection no longer exists.
func (p *Poster) Close(ctx context.Context, id chat.ConnectionID) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := p.api.DeleteConnection(ctx,
		&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: aws.String(string(id))})
	if err = kind(err); err != nil && !errors.Is(err, chat.ErrGone) {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

// kind wraps an error of the service in the matching error of package chat. It looks at the status too, because an
// answer without X-Amzn-ErrorType is decoded as an unknown error.
func kind(err error) error {
	var (
		gone   *types.GoneException
		limit  *types.LimitExceededException
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
