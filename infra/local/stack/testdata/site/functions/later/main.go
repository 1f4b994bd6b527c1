// Command later writes its event's source to the table.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() { lambda.Start(handle) }

func handle(ctx context.Context, e struct {
	Source string `json:"source"`
}) error {
	keys := credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"),
		"")
	db := dynamodb.New(dynamodb.Options{Region: os.Getenv("AWS_REGION"), Credentials: keys,
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))})
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("BOOK")),
		Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: e.Source}}})
	return err
}
