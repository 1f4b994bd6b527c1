package gatewaytest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/dynamodb"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// Table opens an empty table, made as template.yaml makes it, on an engine of the test's own.
func Table(tb testing.TB, c store.Config) *store.Table {
	tb.Helper()
	t, _ := open(tb, &c)
	return t
}

// TableAndSlot is Table, with a function that writes a slot into a user's run queue directly, without the store.
func TableAndSlot(tb testing.TB, c store.Config) (*store.Table, func(chat.User, chat.RunID, chat.ThreadID)) {
	tb.Helper()
	table, client := open(tb, &c)
	return table, func(u chat.User, run chat.RunID, thread chat.ThreadID) {
		tb.Helper()
		_, err := client.UpdateItem(tb.Context(), &awsdynamodb.UpdateItemInput{
			TableName: &c.Name, Key: map[string]types.AttributeValue{"pk": text("U#" + u.Key()), "sk": text("QUEUE")},
			UpdateExpression:          aws.String("SET slots.#run = :thread"),
			ExpressionAttributeNames:  map[string]string{"#run": string(run)},
			ExpressionAttributeValues: map[string]types.AttributeValue{":thread": text(string(thread))},
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// TableAndSpoiler is Table, with a function that makes a text unreadable behind the store's back: an attribute of those
// items of a user whose sort keys begin with a prefix. It fails if there are none.
func TableAndSpoiler(tb testing.TB, c store.Config) (*store.Table, func(u chat.User, prefix, attribute string)) {
	tb.Helper()
	table, client := open(tb, &c)
	return table, func(u chat.User, prefix, attribute string) {
		tb.Helper()
		out, err := client.Scan(tb.Context(), &awsdynamodb.ScanInput{
			TableName: &c.Name, FilterExpression: aws.String("begins_with(pk, :pk) AND begins_with(sk, :sk)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text("U#" + u.Key()),
				":sk": text(prefix)},
		})
		if err != nil || len(out.Items) == 0 {
			tb.Fatalf("%d items to spoil, %v", len(out.Items), err)
		}
		for _, item := range out.Items {
			_, err := client.UpdateItem(tb.Context(), &awsdynamodb.UpdateItemInput{
				TableName: &c.Name, Key: map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]},
				UpdateExpression:          aws.String("SET #a = :a"),
				ExpressionAttributeNames:  map[string]string{"#a": attribute},
				ExpressionAttributeValues: map[string]types.AttributeValue{":a": text("{")},
			})
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// open makes the table and names it in c.
func open(tb testing.TB, c *store.Config) (*store.Table, *awsdynamodb.Client) {
	tb.Helper()
	engine, err := dynamodb.Start(tb.Context(), dynamodb.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := engine.Close(); err != nil {
			tb.Error(err)
		}
	})
	client := store.NewClient(aws.Config{
		Region: "local", BaseEndpoint: aws.String(engine.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	c.Name = "carrel"
	if err := storetest.CreateTable(tb.Context(), client, c.Name); err != nil {
		tb.Fatal(err)
	}
	return store.New(client, *c), client
}
