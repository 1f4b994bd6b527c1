// Command talk answers each message over @connections. It also passes an order on to the function later.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const greeting = "you said"

func main() { lambda.Start(handle) }

func handle(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	ok := events.APIGatewayProxyResponse{StatusCode: 200}
	if e.RequestContext.EventType != "MESSAGE" {
		return ok, nil
	}
	keys := credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"),
		"")
	if e.RequestContext.RouteKey == "order" {
		api := sdk.New(sdk.Options{Region: os.Getenv("AWS_REGION"), Credentials: keys,
			BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_LAMBDA"))})
		payload, err := json.Marshal(map[string]string{"source": e.Body})
		if err != nil {
			return ok, err
		}
		if _, err := api.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String(os.Getenv("LATER")),
			InvocationType: types.InvocationTypeEvent, Payload: payload}); err != nil {
			return ok, err
		}
	}
	api := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{Region: os.Getenv("AWS_REGION"),
		Credentials:  keys,
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"))})
	_, err := api.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: aws.String(e.RequestContext.ConnectionID),
		Data:         []byte(greeting + " " + e.RequestContext.RouteKey + " " + e.Body)})
	return ok, err
}
