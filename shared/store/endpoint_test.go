package store_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/store"
)

// TestEndpoints compares the endpoint of each client with the SDK's own, twice, because the second is a kept one.
func TestEndpoints(t *testing.T) {
	e, rules := store.NewEndpoints(), dynamodb.NewDefaultEndpointResolverV2()
	text, yes, no := aws.String, aws.Bool(true), aws.Bool(false)
	for range 2 {
		for _, p := range []dynamodb.EndpointParameters{
			{Region: text("eu-west-1"), UseFIPS: no, UseDualStack: no},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no},
			{Region: text("us-east-1"), UseFIPS: yes, UseDualStack: no},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: yes},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, Endpoint: text("http://127.0.0.1:8000")},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, Endpoint: text("http://127.0.0.1:8001")},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, AccountId: text("123456789012"),
				AccountIdEndpointMode: text("preferred")},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, AccountIdEndpointMode: text("preferred"),
				ResourceArn: text("arn:aws:dynamodb:us-east-1:123456789012:table/t")},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, AccountIdEndpointMode: text("preferred"),
				ResourceArnList: []string{"arn:aws:dynamodb:us-east-1:222222222222:table/t"}},
			{Region: text("us-east-1"), UseFIPS: no, UseDualStack: no, AccountIdEndpointMode: text("preferred"),
				ResourceArnList: []string{"t", "u"}},
		} {
			got, err := e.ResolveEndpoint(t.Context(), p)
			want, wantErr := rules.ResolveEndpoint(t.Context(), p)
			if err != nil || wantErr != nil || got.URI != want.URI {
				t.Errorf("%+v: %v, %v, want %v, %v", p, got.URI, err, want.URI, wantErr)
			}
		}
	}
}

// BenchmarkEndpoints measures the endpoint of a request, as the store resolves it and as the SDK does.
func BenchmarkEndpoints(b *testing.B) {
	p := dynamodb.EndpointParameters{Region: aws.String("us-east-1"), UseFIPS: aws.Bool(false),
		UseDualStack: aws.Bool(false), AccountIdEndpointMode: aws.String("disabled"), ResourceArn: aws.String("table"),
		Endpoint: aws.String("http://127.0.0.1:8000")}
	for name, e := range map[string]dynamodb.EndpointResolverV2{
		"kept": store.NewEndpoints(), "SDK": dynamodb.NewDefaultEndpointResolverV2(),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := e.ResolveEndpoint(b.Context(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
