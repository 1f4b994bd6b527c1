package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"carrel/shared/store/storetest"
)

// TestEngines_Documented compares the behaviour of the engines with the table in docs/engines.md. The page says what
// the tests do not prove, so it must list every difference, and no difference that does not exist any more.
func TestEngines_Documented(t *testing.T) {
	written := table(t)
	probes := engineProbes()
	for name := range written {
		if probes[name] == nil {
			t.Errorf("docs/engines.md lists %q, but no probe checks it", name)
		}
	}
	eachEngine(t, func(t *testing.T, o opener) {
		engine := o.name(t)
		w := storetest.NewWorld(t, o.client(nil))
		for name, probe := range probes {
			t.Run(name, func(t *testing.T) {
				got := probe(t, w)
				if want, known := written[name][engine]; !known && engine != "" || known && got != want {
					t.Errorf("%s: %s; docs/engines.md has %q", engine, got, want)
				}
				t.Log(got)
			})
		}
	})
}

// name returns the engine's column in docs/engines.md, or "" if it has none.
func (o opener) name(t *testing.T) string {
	switch {
	case o.isMoto(t):
		return "moto"
	case string(o) == os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"):
		return ""
	}
	return "dynoxide"
}

// table returns the table of the page, by the name of a probe and the engine.
func table(t *testing.T) map[string]map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/engines.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]map[string]string{}
	rows := regexp.MustCompile(`(?m)^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|`)
	for _, row := range rows.FindAllStringSubmatch(string(page), -1) {
		if row[1] != "what" && !strings.HasPrefix(row[1], "-") {
			written[row[1]] = map[string]string{"dynamodb": row[2], "dynoxide": row[3], "moto": row[4]}
		}
	}
	return written
}

// engineProbes returns requests to which engines respond differently, or might. The store sends them or avoids them.
// Each probe returns a description of the response.
func engineProbes() map[string]func(*testing.T, *storetest.World) string {
	all := transactionProbes()
	maps.Copy(all, writeProbes())
	maps.Copy(all, readProbes())
	maps.Copy(all, indexProbes())
	return all
}

func transactionProbes() map[string]func(*testing.T, *storetest.World) string {
	return map[string]func(*testing.T, *storetest.World) string{
		"a transaction repeated with its token": func(t *testing.T, w *storetest.World) string {
			put := types.TransactWriteItem{Put: &types.Put{TableName: &w.Name, Item: row("token", "1"),
				ConditionExpression: aws.String("attribute_not_exists(pk)")}}
			in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: aws.String(rand.Text()),
				TransactItems: []types.TransactWriteItem{put}}
			return twice(w, in)
		},
		"the old item of a cancelled transaction": func(t *testing.T, w *storetest.World) string {
			put := types.TransactWriteItem{Put: &types.Put{TableName: &w.Name, Item: row("old", "2"),
				ConditionExpression:                 aws.String("attribute_not_exists(pk)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}}
			in := &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put}}
			_, first := w.DB.TransactWriteItems(t.Context(), in)
			in.ClientRequestToken = nil
			_, err := w.DB.TransactWriteItems(t.Context(), in)
			var cancelled *types.TransactionCanceledException
			if first != nil || !errors.As(err, &cancelled) {
				return result(errors.Join(first, err))
			}
			return presence(cancelled.CancellationReasons[0].Item)
		},
		"two parts of a transaction on one item": func(t *testing.T, w *storetest.World) string {
			put := types.TransactWriteItem{Put: &types.Put{TableName: &w.Name, Item: row("twice", "1")}}
			_, err := w.DB.TransactWriteItems(t.Context(),
				&dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put, put}})
			return result(err)
		},
		"a transaction whose second part is refused": func(t *testing.T, w *storetest.World) string {
			check := types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &w.Name,
				Key: row("codes", "2"), ConditionExpression: aws.String("attribute_exists(pk)")}}
			put := types.TransactWriteItem{Put: &types.Put{TableName: &w.Name, Item: row("codes", "1")}}
			_, err := w.DB.TransactWriteItems(t.Context(),
				&dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put, check}})
			var cancelled *types.TransactionCanceledException
			if !errors.As(err, &cancelled) {
				return result(err)
			}
			codes := make([]string, len(cancelled.CancellationReasons))
			for i, r := range cancelled.CancellationReasons {
				codes[i] = aws.ToString(r.Code)
			}
			return strings.Join(codes, ", ")
		},
	}
}

func writeProbes() map[string]func(*testing.T, *storetest.World) string {
	return map[string]func(*testing.T, *storetest.World) string{
		"the old item of a refused write": func(t *testing.T, w *storetest.World) string {
			in := &dynamodb.PutItemInput{TableName: &w.Name, Item: row("old", "1"),
				ConditionExpression:                 aws.String("attribute_not_exists(pk)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
			_, first := w.DB.PutItem(t.Context(), in)
			_, err := w.DB.PutItem(t.Context(), in)
			var refused *types.ConditionalCheckFailedException
			if first != nil || !errors.As(err, &refused) {
				return result(errors.Join(first, err))
			}
			return presence(refused.Item)
		},
		"an item over 400 KB": func(t *testing.T, w *storetest.World) string {
			item := row("large", "1")
			item["e"] = &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{1}, 400<<10)}
			_, err := w.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.Name, Item: item})
			return result(err)
		},
		"a name that the expression does not use": func(t *testing.T, w *storetest.World) string {
			return change(t, w, "SET a = :v", map[string]string{"#b": "b"}, ":v")
		},
		"a value that the expression does not use": func(t *testing.T, w *storetest.World) string {
			return change(t, w, "SET a = :v", nil, ":v", ":w")
		},
		"a reserved word in an expression": func(t *testing.T, w *storetest.World) string {
			return change(t, w, "SET status = :v", nil, ":v")
		},
	}
}

func readProbes() map[string]func(*testing.T, *storetest.World) string {
	return map[string]func(*testing.T, *storetest.World) string{
		"an item that TTL should have deleted": func(t *testing.T, w *storetest.World) string {
			item := row("ttl", "1")
			item["expires"] = &types.AttributeValueMemberN{Value: "1"}
			_, ttl := w.DB.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: &w.Name,
				TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("expires"),
					Enabled: aws.Bool(true)}})
			_, put := w.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.Name, Item: item})
			got, err := w.DB.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &w.Name, Key: row("ttl", "1")})
			if err := errors.Join(ttl, put, err); err != nil {
				return result(err)
			}
			return presence(got.Item)
		},
		"one key twice in a batch": func(t *testing.T, w *storetest.World) string {
			keys := types.KeysAndAttributes{Keys: []map[string]types.AttributeValue{row("batch", "1"),
				row("batch", "1")}}
			_, err := w.DB.BatchGetItem(t.Context(),
				&dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{w.Name: keys}})
			return result(err)
		},
		"a query over 1 MB": func(t *testing.T, w *storetest.World) string {
			for n := range 4 {
				item := row("page", fmt.Sprint(n))
				item["e"] = &types.AttributeValueMemberB{Value: bytes.Repeat([]byte{1}, 350<<10)}
				if _, err := w.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.Name,
					Item: item}); err != nil {
					return result(err)
				}
			}
			page, err := w.DB.Query(t.Context(), partition(w, "page"))
			if err != nil {
				return result(err)
			}
			return fmt.Sprintf("%d of 4 items, more: %v", len(page.Items), page.LastEvaluatedKey != nil)
		},
		"a query of an index after a write": func(t *testing.T, w *storetest.World) string {
			item := row("index", "1")
			item["live"], item["due"] = &types.AttributeValueMemberS{Value: "shard"},
				&types.AttributeValueMemberN{Value: "1"}
			if _, err := w.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &w.Name, Item: item}); err != nil {
				return result(err)
			}
			page, err := w.DB.Query(t.Context(), live(w))
			if err != nil || len(page.Items) == 0 {
				return result(err)
			}
			return presence(page.Items[0])
		},
		"a wrong signature": func(t *testing.T, w *storetest.World) string {
			_, err := w.DB.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &w.Name, Key: row("signed", "1")},
				func(o *dynamodb.Options) {
					o.Credentials = credentials.NewStaticCredentialsProvider("other", "wrong", "")
				})
			return result(err)
		},
	}
}

func indexProbes() map[string]func(*testing.T, *storetest.World) string {
	return map[string]func(*testing.T, *storetest.World) string{
		"a consistent query of a global index": func(t *testing.T, w *storetest.World) string {
			in := live(w)
			in.ConsistentRead = aws.Bool(true)
			_, err := w.DB.Query(t.Context(), in)
			return result(err)
		},
		"a consistent query of a local index after a write": func(t *testing.T, w *storetest.World) string {
			alice := w.As("alice")
			if _, err := alice.Admit(t.Context(), storetest.Asked("r1", "t1")); err != nil {
				return result(err)
			}
			page, _, err := alice.Threads(t.Context(), "", 9)
			switch {
			case err != nil:
				return result(err)
			case len(page) != 1 || page[0].ID != "t1":
				return "not there"
			}
			return "there"
		},
	}
}

func partition(w *storetest.World, pk string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{TableName: &w.Name, KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: pk}}}
}

func live(w *storetest.World) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{TableName: &w.Name, IndexName: aws.String("live"),
		KeyConditionExpression:    aws.String("live = :s"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberS{Value: "shard"}}}
}

func row(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk},
		"sk": &types.AttributeValueMemberS{Value: sk}}
}

func change(t *testing.T, w *storetest.World, expression string, names map[string]string, values ...string) string {
	in := &dynamodb.UpdateItemInput{TableName: &w.Name, Key: row("change", rand.Text()), UpdateExpression: &expression,
		ExpressionAttributeNames: names, ExpressionAttributeValues: map[string]types.AttributeValue{}}
	for _, v := range values {
		in.ExpressionAttributeValues[v] = &types.AttributeValueMemberS{Value: "x"}
	}
	_, err := w.DB.UpdateItem(t.Context(), in)
	return result(err)
}

func twice(w *storetest.World, in *dynamodb.TransactWriteItemsInput) string {
	_, first := w.DB.TransactWriteItems(context.Background(), in)
	_, second := w.DB.TransactWriteItems(context.Background(), in)
	return result(errors.Join(first, second))
}

// presence says whether an item was returned, in the words of docs/engines.md.
func presence(item map[string]types.AttributeValue) string {
	if len(item) == 0 {
		return "not there"
	}
	return "there"
}

// result returns "done" or the name of the error.
func result(err error) string {
	var named smithy.APIError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &named):
		return strings.TrimSuffix(named.ErrorCode(), "Exception")
	}
	return err.Error()
}
