// Package store keeps everything that Carrel remembers in one DynamoDB table. Table.For(user) is the only door to a
// user's data: no method behind it takes a user, so another user's data has no name in the program. keys.go is the
// only place that builds a key. Every conditional write recognises itself, because the SDK repeats a write whose answer
// was lost.
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
	// requestTime bounds one request with the SDK's repetitions, patience a method that begins again after conflicts.
	requestTime = 5 * time.Second
	patience    = 10 * time.Second
)

// Config is what a Table is made from.
type Config struct {
	Name   string           // of the table
	Limits chat.Limits      // of every user
	Now    func() time.Time // nil: time.Now
	NewID  func() string    // nonces and epochs; nil: random ones

	// Worker returns the id of the invocation that claims a run, which a failure record names too; nil: none is stored.
	Worker func(context.Context) string
}

// Table is the table. It holds no user's anything and is shared by all requests.
type Table struct {
	db *dynamodb.Client
	c  Config
}

// NewClient makes the client of the table from a function's AWS configuration. Each of its requests has a deadline of
// its own.
func NewClient(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
		if cfg.Retryer == nil { // the options have the SDK's own by now
			o.Retryer = retry.NewStandard(soon)
		}
		o.APIOptions = append(o.APIOptions, withDeadline)
	})
}

// soon has what was throttled or failed on the way tried five times within about two seconds: the SDK's own pauses are
// longer than a request has time, and its three tries fewer than a partition needs that has to be split.
func soon(o *retry.StandardOptions) {
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

// New opens the table. It makes no request.
func New(db *dynamodb.Client, c Config) *Table {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limits.Retention == 0 {
		c.Limits.Retention = chat.DefaultLimits().Retention
	}
	if c.NewID == nil {
		c.NewID = func() string { return rand.Text()[:16] } // 80 bits; longer ones cost units in every log record
	}
	return &Table{db: db, c: c}
}

// Store is one user's part of the table. All of its methods are safe for concurrent use.
type Store struct {
	t    *Table
	user chat.User
	pk   string // of the user's own items
}

// For opens one user's part. The zero user is refused with chat.ErrNoUser.
func (t *Table) For(u chat.User) (*Store, error) {
	if u.IsZero() {
		return nil, fmt.Errorf("open a user's part of the table: %w", chat.ErrNoUser)
	}
	return &Store{t: t, user: u, pk: userPartition(u)}, nil
}

// nowSeconds is the clock as TTL counts it.
func (t *Table) nowSeconds() int64 { return t.c.Now().Unix() }

// expiry is the TTL of an item that may go after d.
func (t *Table) expiry(d time.Duration) int64 { return t.c.Now().Add(d).Unix() + 1 }

// expired tells whether an item is to be treated as gone: TTL deletes days late.
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
