package access

import (
	"errors"
	"fmt"
	"maps"
	"net/http"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/endpoints"
	"carrel/infra/local/iam"
	"carrel/infra/local/sigv4"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
)

// OperatorKey is the access key id of the person who runs the stack. It grants all DynamoDB actions, like the
// credentials of a person with full access to a deployed stack. Its secret is in endpoints.json.
const OperatorKey = endpoints.OperatorKey

// Guard authorizes requests to DynamoDB and Lambda by the policies of a template. It is safe for concurrent use.
type Guard struct {
	STS      *sts.Service
	schema   Schema
	dynamodb *sigv4.Verifier
	lambda   *sigv4.Verifier
}

// Location holds the Region and account for ARNs.
type Location struct{ Region, Account string }

// Start starts STS with the template's roles and registers the access keys. keys holds the key of each function by its
// logical id and the operator's key under OperatorKey. A function acts with its own role. Start fails if a policy uses
// a feature that package iam does not implement.
func Start(t *template.Template, location Location, keys map[string]sts.Key) (*Guard, error) {
	var roles []sts.Role
	for _, r := range t.Roles {
		trust, err := iam.Compile(r.Trust)
		own, ownErr := iam.Compile(r.Policies)
		if err = errors.Join(err, ownErr); err != nil {
			return nil, fmt.Errorf("compile the policies of role %s: %w", r.LogicalID, err)
		}
		roles = append(roles, sts.Role{ARN: r.ARN, Trust: trust, Policy: own, MaxSession: r.MaxSession})
	}
	arn := "arn:aws:iam::" + location.Account + ":user/" + OperatorKey
	everything := []iam.Statement{{Effect: "Allow", Action: []string{"dynamodb:*"}, Resource: []string{"*"}}}
	principals, policies := map[string]sts.Principal{OperatorKey: {Name: OperatorKey, ARN: arn, Role: arn}},
		map[string][]iam.Statement{OperatorKey: everything}
	for _, f := range t.Functions {
		principals[f.LogicalID] = sts.Principal{Name: f.LogicalID, ARN: sts.SessionARN(f.Role, f.Name), Role: f.Role}
		policies[f.LogicalID] = f.Policies
	}
	service, err := sts.Start(roles, nil)
	if err != nil {
		return nil, err
	}
	for id, p := range principals {
		if p.Policy, err = iam.Compile(policies[id]); err != nil {
			return nil, errors.Join(fmt.Errorf("compile the policies of %s: %w", p.Name, err), service.Close())
		}
		if keys[id].ID == "" || keys[id].Secret == "" {
			return nil, errors.Join(fmt.Errorf("%s has no access key", id), service.Close())
		}
		service.Add(keys[id], p)
	}
	return &Guard{service, schema(t, location), sigv4.New("dynamodb", "", service.Secret),
		sigv4.New("lambda", "", service.Secret)}, nil
}

// schema returns the schema of a template's tables.
func schema(t *template.Template, location Location) Schema {
	hashes := map[[2]string]string{}
	for _, table := range t.Tables {
		hashes[[2]string{table.Name, ""}] = table.Hash.Name
		for _, x := range table.Indexes {
			hashes[[2]string{table.Name, x.Name}] = x.Hash.Name
		}
	}
	return Schema{
		ARN: func(table string) string {
			return "arn:aws:dynamodb:" + location.Region + ":" + location.Account + ":table/" + table
		},
		Hash: func(table, index string) string { return hashes[[2]string{table, index}] },
	}
}

// Name returns a readable name for an access key: that of the function that owns it, or that obtained it from STS. For
// an unknown key it returns the key.
func (g *Guard) Name(accessKeyID string) string {
	if name, known := g.STS.Name(accessKeyID); known {
		return name
	}
	return accessKeyID
}

// Signed implements proxy.Config.Signed: it denies a request without a valid signature by the owner of its access key.
func (g *Guard) Signed(r *http.Request, body []byte) *proxy.Denial {
	return signed(g.dynamodb.Verify(r, body))
}

func signed(err error) *proxy.Denial {
	switch {
	case errors.Is(err, sigv4.ErrMissing):
		return &proxy.Denial{Code: "MissingAuthenticationTokenException",
			Message: "Request is missing Authentication Token"}
	case errors.Is(err, sigv4.ErrUnknown):
		return &proxy.Denial{Code: "UnrecognizedClientException",
			Message: "The security token included in the request is invalid."}
	case err != nil:
		return &proxy.Denial{Code: "InvalidSignatureException", Message: err.Error()}
	}
	return nil
}

// Invoke authorizes a signed Invoke request for the function with this ARN, for the Lambda host. It returns an error
// code and message, or "" if the caller's policies allow the invocation.
func (g *Guard) Invoke(r *http.Request, payload []byte, function string) (code, message string) {
	denied := signed(g.lambda.Verify(r, payload))
	if denied == nil {
		caller, err := g.STS.Authenticate(sts.AccessKey(r.Header.Get("Authorization")),
			r.Header.Get("X-Amz-Security-Token"))
		if denied = unknown(err); denied == nil {
			denied = Decide(caller, iam.Request{Action: "lambda:InvokeFunction", Resource: function,
				Context: map[string][]string{}})
		}
	}
	if denied == nil {
		return "", ""
	}
	return denied.Code, denied.Message
}

// unknown returns the denial for an error of STS.Authenticate, or nil for a nil error.
func unknown(err error) *proxy.Denial {
	switch {
	case errors.Is(err, sts.ErrExpired):
		return &proxy.Denial{Code: "ExpiredTokenException",
			Message: "The security token included in the request is expired"}
	case err != nil:
		return &proxy.Denial{Code: "UnrecognizedClientException",
			Message: "The security token included in the request is invalid."}
	}
	return nil
}

// Allow implements proxy.Config.Allow: it authorizes a request by its caller's policies, as AWS does.
func (g *Guard) Allow(accessKeyID, token, operation string, body []byte) *proxy.Denial {
	caller, err := g.STS.Authenticate(accessKeyID, token)
	if denied := unknown(err); denied != nil {
		return denied
	}
	permissions, err := Permissions(operation, body, g.schema)
	if err == nil && len(permissions) == 0 {
		err = errors.New("the request names no item")
	}
	if err != nil {
		return &proxy.Denial{Code: "ValidationException", Message: err.Error()}
	}
	for _, r := range permissions {
		if denied := Decide(caller, r); denied != nil {
			return denied
		}
	}
	return nil
}

// Permissions returns the permissions that a request to the template's tables needs.
func (g *Guard) Permissions(operation string, body []byte) ([]iam.Request, error) {
	return Permissions(operation, body, g.schema)
}

// Decide returns nil if the caller's policies allow the request, or else AWS's denial.
func Decide(caller sts.Principal, r iam.Request) *proxy.Denial {
	r.Context = maps.Clone(r.Context)
	maps.Copy(r.Context, caller.Context())
	why := "no identity-based policy allows the " + r.Action + " action"
	switch caller.Policy.Decide(r) {
	case iam.Allow:
		return nil
	case iam.Deny:
		why = "of an explicit deny in an identity-based policy"
	}
	return &proxy.Denial{Code: "AccessDeniedException", Message: fmt.Sprintf(
		"User: %s is not authorized to perform: %s on resource: %s because %s", caller.ARN, r.Action, r.Resource, why)}
}
