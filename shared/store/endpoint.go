package store

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// endpoints resolves the endpoint of a client's requests. The SDK evaluates its rules for each request, which takes as
// much processor time as encoding the request. The rules depend on the client and the table, so endpoints evaluates
// them once for each of these. It is safe for concurrent use.
type endpoints struct {
	rules dynamodb.EndpointResolverV2

	mu    sync.Mutex
	known map[endpointOf]smithyendpoints.Endpoint
}

// endpointOf holds the parameters that an endpoint depends on.
type endpointOf struct {
	region, endpoint, account, mode, resource string
	dualStack, fips, search                   bool
}

// resolved is the most endpoints that are kept. A client of one table has one for each form of its requests: with a
// table, with a list of tables, and with neither.
const resolved = 16

func newEndpoints() *endpoints {
	return &endpoints{
		rules: dynamodb.NewDefaultEndpointResolverV2(), known: map[endpointOf]smithyendpoints.Endpoint{},
	}
}

// ResolveEndpoint implements dynamodb.EndpointResolverV2.
func (e *endpoints) ResolveEndpoint(
	ctx context.Context, p dynamodb.EndpointParameters,
) (smithyendpoints.Endpoint, error) {
	k := endpointOf{
		region: aws.ToString(p.Region), endpoint: aws.ToString(p.Endpoint), account: aws.ToString(p.AccountId),
		mode: aws.ToString(p.AccountIdEndpointMode), resource: aws.ToString(p.ResourceArn),
		dualStack: aws.ToBool(p.UseDualStack), fips: aws.ToBool(p.UseFIPS), search: aws.ToBool(p.IsSearchOperation),
	}
	switch len(p.ResourceArnList) {
	case 0:
	case 1: // a batch or transaction on one table
		k.resource += "," + p.ResourceArnList[0]
	default:
		return e.rules.ResolveEndpoint(ctx, p)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if found, ok := e.known[k]; ok {
		return found, nil
	}
	found, err := e.rules.ResolveEndpoint(ctx, p)
	if err == nil && len(e.known) < resolved {
		e.known[k] = found
	}
	return found, err
}
