// Package store keeps all of Carrel's data in one DynamoDB table. Table.For(user) is the only way to a user's data. The
// methods of a Store take no user, so a program cannot express access to the data of another user. Only keys.go builds
// keys. The SDK repeats a write whose answer was lost, so every conditional write recognises its own earlier success.
//
// Start with admit.go (a run is requested), claim.go and lease.go (a worker takes it), append.go (its events) and
// end.go.
package store

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"

	"carrel/shared/chat"
)

const (
	// requestTime bounds one request including the SDK's retries. patience bounds a method that retries after
	// conflicts.
	requestTime = 5 * time.Second
	patience    = 10 * time.Second
)

// Config configures a Table.
type Config struct {
	Name   string           // the name of the table
	Limits chat.Limits      // for every user
	Now    func() time.Time // nil: time.Now
	NewID  func() string    // returns nonces and epochs; nil: random values

	// Worker returns the id of the invocation that claims a run. A failure record contains the same id. nil stores no
	// id.
	Worker func(context.Context) string
}

// Table is the table. It holds no data of a user, and all requests share it.
type Table struct {
	db *dynamodb.Client
	c  Config
}

// NewClient returns a client for the table from a function's AWS configuration. Each of its requests has its own
// deadline.
func NewClient(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
		o.EndpointResolverV2 = newEndpoints()
		if cfg.Retryer == nil { // o.Retryer is the SDK's default here
			o.Retryer = retry.NewStandard(retryFast)
		}
		o.APIOptions = append(o.APIOptions, withDeadline)
	})
}

// retryFast retries a throttled or failed request up to five times within about two seconds. The SDK's default pauses
// are longer than requestTime allows, and its three tries are too few while DynamoDB splits a partition.
func retryFast(o *retry.StandardOptions) {
	o.MaxAttempts = 5
	o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
		return mrand.N(50 * time.Millisecond << min(attempt, 5)), nil
	})
}

func withDeadline(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RequestDeadline", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		return next.HandleInitialize(ctx, in)
	}), middleware.Before)
}

// New returns the table. It makes no request.
func New(db *dynamodb.Client, c Config) *Table {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limits.Retention == 0 {
		c.Limits.Retention = chat.DefaultLimits().Retention
	}
	if c.NewID == nil { // 80 bits; longer ids would cost write units in each log record
		c.NewID = func() string { return rand.Text()[:16] }
	}
	return &Table{db: db, c: c}
}

// Store gives access to one user's part of the table. Its methods are safe for concurrent use.
type Store struct {
	t    *Table
	user chat.User
	pk   string // the partition of the user's items
}

// For returns the Store of a user. It fails with chat.ErrNoUser for the zero User.
func (t *Table) For(u chat.User) (*Store, error) {
	if u.IsZero() {
		return nil, fmt.Errorf("open a user's part of the table: %w", chat.ErrNoUser)
	}
	return &Store{t: t, user: u, pk: userPartition(u)}, nil
}

// nowSeconds returns the current time in seconds, as TTL counts it.
func (t *Table) nowSeconds() int64 { return t.c.Now().Unix() }

// expiry returns the TTL value of an item that may be deleted after d.
func (t *Table) expiry(d time.Duration) int64 { return t.c.Now().Add(d).Unix() + 1 }

// expired reports whether an item must be treated as deleted: DynamoDB's TTL deletes up to days late.
func (t *Table) expired(expires int64) bool { return expires != 0 && expires < t.nowSeconds() }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
