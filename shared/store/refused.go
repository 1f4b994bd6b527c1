package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// pause waits before the nth repetition: full jitter, from 10 ms doubling to 320 ms.
func pause(ctx context.Context, n int) error {
	timer := time.NewTimer(time.Duration(1 + rand.Int64N(int64(10*time.Millisecond)<<min(n, 5))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("conflicts with other writes until the deadline: %w", context.Cause(ctx))
	}
}

// refused reports whether a single conditional write was refused by its condition, and returns the existing item.
func refused(err error) (attributes, bool) {
	if e := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &e) {
		return e.Item, true
	}
	return nil, false
}

// conflicted reports whether a request failed only because of a concurrent write to an item. Then it may be repeated.
func conflicted(err error) bool {
	var conflict *types.TransactionConflictException
	var progress *types.TransactionInProgressException
	if errors.As(err, &conflict) || errors.As(err, &progress) {
		return true
	}
	reasons := reasonsOf(err)
	for _, r := range reasons {
		switch aws.ToString(r.Code) {
		case "None", "", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
		default:
			return false
		}
	}
	return len(reasons) > 0
}

// reasonsOf returns why a transaction was cancelled, one reason for each part, or nil for any other error.
func reasonsOf(err error) []types.CancellationReason {
	if e := (*types.TransactionCanceledException)(nil); errors.As(err, &e) {
		return e.CancellationReasons
	}
	return nil
}

// refusedPart reports whether the condition of the transaction's nth part refused it, and returns the existing item.
func refusedPart(err error, n int) (attributes, bool) {
	reasons := reasonsOf(err)
	if n >= len(reasons) || aws.ToString(reasons[n].Code) != "ConditionalCheckFailed" {
		return nil, false
	}
	return reasons[n].Item, true
}

// anyRefused reports whether a condition or a concurrent write refused a transaction. Then the caller reads the records
// again and makes another attempt.
func anyRefused(err error) bool {
	for n := range reasonsOf(err) {
		if _, ok := refusedPart(err, n); ok {
			return true
		}
	}
	return conflicted(err)
}
