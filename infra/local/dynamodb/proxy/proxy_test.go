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

// fixture is an engine with one table, and a proxy in front of it.
type fixture struct {
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

func start(t testing.TB, f proxy.Faults) *fixture {
	t.Helper()
	engine, err := dynamodb.Start(t.Context(), dynamodb.Config{})
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip("no DynamoDB engine is installed: ", err)
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
	b := &fixture{t, p, engine.URL(), log}
	_, err = b.client(engine.URL(), "maker", 1).CreateTable(t.Context(),
		&sdk.CreateTableInput{TableName: aws.String(table),
			BillingMode: types.BillingModePayPerRequest,
			KeySchema:   []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"},
				{AttributeName: aws.String("kind"), AttributeType: "S"}},
			GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("kinds"),
				Projection: &types.Projection{ProjectionType: "KEYS_ONLY"},
				KeySchema:  []types.KeySchemaElement{{AttributeName: aws.String("kind"), KeyType: types.KeyTypeHash}}}},
		})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client returns a client with an access key and a number of attempts per request.
func (b *fixture) client(url, key string, tries int) *sdk.Client {
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

// written reports whether an item is in the engine's table. It bypasses the proxy.
func (b *fixture) written(id string) bool {
	b.Helper()
	out, err := b.client(b.engine, "looker", 1).GetItem(b.Context(), &sdk.GetItemInput{TableName: aws.String(table),
		Key: map[string]types.AttributeValue{"id": text(id)}})
	if err != nil {
		b.Fatal(err)
	}
	return out.Item != nil
}

// usageOf returns the usage of one caller.
func (b *fixture) usageOf(caller string) proxy.Usage {
	for _, u := range b.Usage() {
		if u.Caller == caller {
			return u
		}
	}
	return proxy.Usage{}
}

// Requests and units are counted per caller as AWS bills them: a write unit per 1 KB, a read unit per 4 KB, half of it
// for an eventually consistent read, double in a transaction, and further write units for an index entry.
func TestUsage(t *testing.T) {
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
		{"eventually consistent get", func() error { return get(false) }, 0.5, 0},
		{"transaction of two puts", func() error {
			p := func(id string) types.TransactWriteItem {
				return types.TransactWriteItem{Put: &types.Put{TableName: aws.String(table),
					Item: map[string]types.AttributeValue{"id": text(id)}}}
			}
			_, err := a.TransactWriteItems(ctx,
				&sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{p("two"), p("three")}})
			return err
		}, 0, 4},
		{"put with a failing condition", func() error {
			_, err := a.PutItem(ctx, &sdk.PutItemInput{TableName: aws.String(table), Item: item("one", 1),
				ConditionExpression: aws.String("attribute_not_exists(id)")})
			if errors.As(err, &refused) {
				return nil
			}
			return fmt.Errorf("the condition did not fail: %w", err)
		}, 0, 1},
	} {
		before := b.usageOf("function A")
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		after := b.usageOf("function A")
		if r, w := after.ReadUnits-before.ReadUnits, after.WriteUnits-before.WriteUnits; r != step.reads ||
			w != step.writes || after.Requests != before.Requests+1 {
			t.Errorf("%s: %d requests, %g read and %g write units, want 1, %g and %g", step.name,
				after.Requests-before.Requests, r, w, step.reads, step.writes)
		}
	}
	if err := put(ctx, other, "of-b", 1); err != nil {
		t.Fatal(err)
	}
	if got := b.usageOf("function B"); got.Requests != 1 || got.Operations["PutItem"] != 1 || len(got.Faults) != 0 {
		t.Errorf("usage of the other caller: %+v", got)
	}
}

// BenchmarkPut compares a put through the proxy with one that goes directly to the engine.
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
