package gatewaytest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/infra/local/dynamodb"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// Table opens an empty table, made as template.yaml makes it, on an engine of the test's own.
func Table(tb testing.TB, c store.Config) *store.Table {
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
	return store.New(client, c)
}
