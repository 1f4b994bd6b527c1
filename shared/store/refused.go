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
		return fmt.Errorf("conflicts without end: %w", context.Cause(ctx))
	}
}

// refused tells whether a single conditional write was refused, with the item that was there.
func refused(err error) (attributes, bool) {
	if e := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &e) {
		return e.Item, true
	}
	return nil, false
}

// conflicted tells whether a request failed only because another was at work on an item: it may be sent again.
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

// reasonsOf are why a transaction was cancelled, one for each of its parts; nil for any other error.
func reasonsOf(err error) []types.CancellationReason {
	if e := (*types.TransactionCanceledException)(nil); errors.As(err, &e) {
		return e.CancellationReasons
	}
	return nil
}

// refusedPart tells whether the transaction's nth part was refused by its condition, with the item that was there.
func refusedPart(err error, n int) (attributes, bool) {
	reasons := reasonsOf(err)
	if n >= len(reasons) || aws.ToString(reasons[n].Code) != "ConditionalCheckFailed" {
		return nil, false
	}
	return reasons[n].Item, true
}

// anyRefused tells whether a transaction was refused by a condition or by another at work: what it was made from is
// to be read again.
func anyRefused(err error) bool {
	for n := range reasonsOf(err) {
		if _, ok := refusedPart(err, n); ok {
			return true
		}
	}
	return conflicted(err)
}
