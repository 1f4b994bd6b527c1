package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Each fault gives the caller its error, and the write has an effect only for lost responses.
func TestFaults(t *testing.T) {
	b := start(t, proxy.Faults{})
	c, ctx := b.client(b.URL(), "A", 1), t.Context()
	transact := func(id string) error {
		_, err := c.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: aws.String(table), Item: item(id, 1)}}}})
		return err
	}
	single := func(id string) error { return put(ctx, c, id, 1) }
	for _, f := range []struct {
		name    string
		faults  proxy.Faults
		do      func(id string) error
		is      func(error) bool
		written bool
	}{
		{"conflict of a put", proxy.Faults{Conflict: 1}, single, is[*types.TransactionConflictException], false},
		{"conflict of a transaction", proxy.Faults{Conflict: 1}, transact, cancelledFor("TransactionConflict"), false},
		{"throttle of a put", proxy.Faults{Throttle: 1}, single, throttled, false},
		{"throttle of a transaction", proxy.Faults{Throttle: 1}, transact,
			either(throttled, cancelledFor("ThrottlingError")), false},
		{"error", proxy.Faults{Error: 1}, single, is[*types.InternalServerError], false},
		{"lost response of a put", proxy.Faults{Lose: 1}, single, func(err error) bool { return err != nil }, true},
		{"lost response of a transaction", proxy.Faults{Lose: 1}, transact, func(err error) bool { return err != nil },
			true},
	} {
		t.Run(f.name, func(t *testing.T) {
			for n := range 8 { // enough to get both forms of the faults that have two
				if err := b.SetFaults(f.faults); err != nil {
					t.Fatal(err)
				}
				id := fmt.Sprintf("%s %d", f.name, n)
				if err := f.do(id); !f.is(err) {
					t.Errorf("the caller got %v", err)
				}
				if b.written(id) != f.written {
					t.Errorf("written: %v", !f.written)
				}
			}
		})
	}
	if err := b.SetFaults(proxy.Faults{}); err != nil {
		t.Fatal(err)
	}
	if err := single("after"); err != nil {
		t.Errorf("without faults: %v", err)
	}
	if !strings.Contains(b.log.text.String(), "with seed ") {
		t.Error("the log does not contain the seed")
	}
	for _, wrong := range []proxy.Faults{{Conflict: 2}, {Lose: -1}, {Throttle: 0.6, Lose: 0.6}, {IndexLag: -1}} {
		if b.SetFaults(wrong) == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}

// A throttled batch is either rejected or answered in part.
func TestFaults_ThrottledBatch(t *testing.T) {
	b := start(t, proxy.Faults{})
	c, ctx := b.client(b.URL(), "A", 1), t.Context()
	var keys []map[string]types.AttributeValue
	for _, id := range []string{"one", "two", "three"} {
		if err := put(ctx, c, id, 1); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, map[string]types.AttributeValue{"id": text(id)})
	}
	if err := b.SetFaults(proxy.Faults{Seed: 1, Throttle: 1}); err != nil {
		t.Fatal(err)
	}
	refused, parts := 0, 0
	for range 20 {
		out, err := c.BatchGetItem(ctx,
			&sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys,
				ConsistentRead: aws.Bool(true)}}})
		if err != nil {
			if !throttled(err) {
				t.Fatal(err)
			}
			refused++
			continue
		}
		parts++
		left := out.UnprocessedKeys[table]
		if len(out.Responses[table]) != 2 || len(left.Keys) != 1 || !aws.ToBool(left.ConsistentRead) {
			t.Errorf("read %d items, unprocessed %+v", len(out.Responses[table]), out.UnprocessedKeys)
		}
	}
	if refused == 0 || parts == 0 {
		t.Errorf("%d batches rejected, %d answered in part", refused, parts)
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func throttled(err error) bool {
	return is[*types.ProvisionedThroughputExceededException](err) || is[*types.ThrottlingException](err)
}

func cancelledFor(code string) func(error) bool {
	return func(err error) bool {
		var c *types.TransactionCanceledException
		return errors.As(err, &c) && len(c.CancellationReasons) == 1 &&
			aws.ToString(c.CancellationReasons[0].Code) == code
	}
}

func either(a, b func(error) bool) func(error) bool {
	return func(err error) bool { return a(err) || b(err) }
}

// The same seed gives the same faults to the same requests.
func TestFaults_Seed(t *testing.T) {
	b := start(t, proxy.Faults{})
	c := b.client(b.URL(), "A", 1)
	faults := func(seed uint64) (out string) {
		if err := b.SetFaults(proxy.Faults{Seed: seed, Conflict: 0.3, Throttle: 0.2, Lose: 0.2}); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			out += fmt.Sprintf("%T ", errors.Unwrap(errors.Unwrap(put(t.Context(), c, "x", 1))))
		}
		return out
	}
	first, repeat, other := faults(1), faults(1), faults(2)
	if first != repeat || first == other {
		t.Errorf("seed 1: %s\nagain:  %s\nseed 2: %s", first, repeat, other)
	}
}

// An index responds late, with its content at the time of the query. The table itself responds at once.
func TestFaults_IndexLag(t *testing.T) {
	const lag = 400 * time.Millisecond
	b := start(t, proxy.Faults{Seed: 3, IndexLag: lag})
	c, ctx := b.client(b.URL(), "A", 1), t.Context()
	behind := false
	for n := 0; n < 20 && !behind; n++ {
		start, found := time.Now(), make(chan int, 1)
		go func() {
			out, err := c.Query(ctx, &sdk.QueryInput{TableName: aws.String(table), IndexName: aws.String("kinds"),
				KeyConditionExpression:    aws.String("kind = :k"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":k": text("k")}})
			if err != nil {
				t.Error(err)
				found <- 0
				return
			}
			found <- len(out.Items)
		}()
		if err := put(ctx, c, fmt.Sprint(n), 1); err != nil {
			t.Fatal(err)
		}
		got := <-found
		behind = got <= n && time.Since(start) > 20*time.Millisecond
	}
	if !behind {
		t.Error("no query of an index returned stale data")
	}
}
