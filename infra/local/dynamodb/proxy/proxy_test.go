package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/dynamodb/proxy"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const table = "things"

// behind is an engine with a table and the proxy before it.
type behind struct {
	testing.TB
	*proxy.Proxy
	engine string
	log    *lines
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

func start(t testing.TB, f proxy.Faults) *behind {
	t.Helper()
	engine, err := dynamodb.Start(t.Context(), dynamodb.Config{})
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip("there is no engine to put the proxy in front of: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	p, err := proxy.Start(proxy.Config{Engine: engine.URL(), Faults: f, Log: log.add,
		Name: func(id string) string { return "function " + id }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), engine.Close()); err != nil {
			t.Error(err)
		}
	})
	b := &behind{t, p, engine.URL(), log}
	_, err = b.client(engine.URL(), "maker", 1).CreateTable(t.Context(), &sdk.CreateTableInput{TableName: aws.String(table),
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}, {AttributeName: aws.String("kind"), AttributeType: "S"}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("kinds"), Projection: &types.Projection{ProjectionType: "KEYS_ONLY"},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("kind"), KeyType: types.KeyTypeHash}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client is a caller with an access key; it tries each request so often.
func (b *behind) client(url, key string, tries int) *sdk.Client {
	return sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: tries,
		HTTPClient:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 10 * time.Second},
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", "")})
}

func item(id string, size int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": text(id), "kind": text("k"), "filler": text(strings.Repeat("x", size))}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func put(ctx context.Context, c *sdk.Client, id string, size int) error {
	_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: aws.String(table), Item: item(id, size)})
	return err
}

// there tells whether an item was written, past the proxy.
func (b *behind) there(id string) bool {
	b.Helper()
	out, err := b.client(b.engine, "looker", 1).GetItem(b.Context(), &sdk.GetItemInput{TableName: aws.String(table),
		Key: map[string]types.AttributeValue{"id": text(id)}})
	if err != nil {
		b.Fatal(err)
	}
	return out.Item != nil
}

// of is what one caller has used.
func (b *behind) of(caller string) proxy.Usage {
	for _, u := range b.Usage() {
		if u.Caller == caller {
			return u
		}
	}
	return proxy.Usage{}
}

// Each caller's requests and units are counted as AWS bills them: 1 KB a write unit, 4 KB a read unit, half of it when
// the read may be stale, double in a transaction, and a write also for its index entry.
func TestCountsRequestsAndUnitsOfEachCaller(t *testing.T) {
	b := start(t, proxy.Faults{})
	a, other, ctx := b.client(b.URL(), "A", 1), b.client(b.URL(), "B", 1), t.Context()
	get := func(consistent bool) error {
		_, err := a.GetItem(ctx, &sdk.GetItemInput{TableName: aws.String(table), ConsistentRead: &consistent,
			Key: map[string]types.AttributeValue{"id": text("one")}})
		return err
	}
	var refused *types.ConditionalCheckFailedException
	for _, step := range []struct {
		name          string
		do            func() error
		reads, writes float64
	}{
		{"put of 2.5 KB", func() error { return put(ctx, a, "one", 2500) }, 0, 4},
		{"consistent get", func() error { return get(true) }, 1, 0},
		{"get that may be stale", func() error { return get(false) }, 0.5, 0},
		{"transaction of two puts", func() error {
			p := func(id string) types.TransactWriteItem {
				return types.TransactWriteItem{Put: &types.Put{TableName: aws.String(table), Item: map[string]types.AttributeValue{"id": text(id)}}}
			}
			_, err := a.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{p("two"), p("three")}})
			return err
		}, 0, 4},
		{"put that a condition refuses", func() error {
			_, err := a.PutItem(ctx, &sdk.PutItemInput{TableName: aws.String(table), Item: item("one", 1), ConditionExpression: aws.String("attribute_not_exists(id)")})
			if errors.As(err, &refused) {
				return nil
			}
			return fmt.Errorf("not refused but %w", err)
		}, 0, 1},
	} {
		before := b.of("function A")
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		after := b.of("function A")
		if r, w := after.ReadUnits-before.ReadUnits, after.WriteUnits-before.WriteUnits; r != step.reads || w != step.writes || after.Requests != before.Requests+1 {
			t.Errorf("%s: %d requests, %g read and %g write units, want 1, %g and %g", step.name, after.Requests-before.Requests, r, w, step.reads, step.writes)
		}
	}
	if err := put(ctx, other, "of-b", 1); err != nil {
		t.Fatal(err)
	}
	if got := b.of("function B"); got.Requests != 1 || got.Operations["PutItem"] != 1 || len(got.Faults) != 0 {
		t.Errorf("the other caller is said to have asked for %+v", got)
	}
}

// What each fault is to the caller, and whether the write happened.
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
		{"throttle of a transaction", proxy.Faults{Throttle: 1}, transact, either(throttled, cancelledFor("ThrottlingError")), false},
		{"error", proxy.Faults{Error: 1}, single, is[*types.InternalServerError], false},
		{"lost answer of a put", proxy.Faults{Lose: 1}, single, func(err error) bool { return err != nil }, true},
		{"lost answer of a transaction", proxy.Faults{Lose: 1}, transact, func(err error) bool { return err != nil }, true},
	} {
		t.Run(f.name, func(t *testing.T) {
			for n := range 8 { // both forms that some faults have
				if err := b.SetFaults(f.faults); err != nil {
					t.Fatal(err)
				}
				id := fmt.Sprintf("%s %d", f.name, n)
				if err := f.do(id); !f.is(err) {
					t.Errorf("the caller is told %v", err)
				}
				if b.there(id) != f.written {
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
		t.Error("the log does not tell the seed")
	}
	for _, wrong := range []proxy.Faults{{Conflict: 2}, {Lose: -1}, {Throttle: 0.6, Lose: 0.6}, {IndexLag: -1}} {
		if b.SetFaults(wrong) == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// A batch that is throttled is refused, or answered in part.
func TestThrottledBatchIsReadInPart(t *testing.T) {
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
		out, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}}})
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
			t.Errorf("read %d, left %+v", len(out.Responses[table]), out.UnprocessedKeys)
		}
	}
	if refused == 0 || parts == 0 {
		t.Errorf("%d refused, %d in part", refused, parts)
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
		return errors.As(err, &c) && len(c.CancellationReasons) == 1 && aws.ToString(c.CancellationReasons[0].Code) == code
	}
}

func either(a, b func(error) bool) func(error) bool {
	return func(err error) bool { return a(err) || b(err) }
}

// The same seed does the same to the same requests.
func TestSeedRepeatsFaults(t *testing.T) {
	b := start(t, proxy.Faults{})
	c := b.client(b.URL(), "A", 1)
	fates := func(seed uint64) (out string) {
		if err := b.SetFaults(proxy.Faults{Seed: seed, Conflict: 0.3, Throttle: 0.2, Lose: 0.2}); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			out += fmt.Sprintf("%T ", errors.Unwrap(errors.Unwrap(put(t.Context(), c, "x", 1))))
		}
		return out
	}
	one, again, two := fates(1), fates(1), fates(2)
	if one != again || one == two {
		t.Errorf("seed 1: %s\nagain:  %s\nseed 2: %s", one, again, two)
	}
}

// An index answers late what it knew when it was asked; the table itself answers at once.
func TestIndexIsBehind(t *testing.T) {
	const lag = 400 * time.Millisecond
	b := start(t, proxy.Faults{Seed: 3, IndexLag: lag})
	c, ctx := b.client(b.URL(), "A", 1), t.Context()
	behind := false
	for n := 0; n < 20 && !behind; n++ {
		asked, found := time.Now(), make(chan int, 1)
		go func() {
			out, err := c.Query(ctx, &sdk.QueryInput{TableName: aws.String(table), IndexName: aws.String("kinds"),
				KeyConditionExpression: aws.String("kind = :k"), ExpressionAttributeValues: map[string]types.AttributeValue{":k": text("k")}})
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
		behind = got <= n && time.Since(asked) > 20*time.Millisecond
	}
	if !behind {
		t.Error("no query of an index told less than was there when its answer came")
	}
}

// What the proxy costs a put.
func BenchmarkPut(bench *testing.B) {
	b := start(bench, proxy.Faults{})
	for _, way := range []struct{ name, url string }{{"direct", b.engine}, {"proxied", b.URL()}} {
		c := b.client(way.url, "A", 1)
		bench.Run(way.name, func(bench *testing.B) {
			for bench.Loop() {
				if err := put(bench.Context(), c, "one", 300); err != nil {
					bench.Fatal(err)
				}
			}
		})
	}
}
