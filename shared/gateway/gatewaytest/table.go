package gatewaytest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/dynamodb"
	"carrel/shared/store"
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
	attribute := func(name string, t types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: t}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
		}
	}
	_, err = client.CreateTable(tb.Context(), &awsdynamodb.CreateTableInput{
		TableName: aws.String(c.Name), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS),
			attribute("live", types.ScalarAttributeTypeS), attribute("deadline", types.ScalarAttributeTypeN),
		},
		KeySchema: keys("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("live"), KeySchema: keys("live", "deadline"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return store.New(client, c)
}
