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

// OperatorKey is the access key id of those who run the stack: they may do everything with its tables, as somebody with
// rights on a deployed one may. endpoints.json has the secret.
const OperatorKey = endpoints.OperatorKey

// Guard decides who may do what with the tables, by the policies of a template. It is safe for concurrent use.
type Guard struct {
	STS      *sts.Service
	schema   Schema
	dynamodb *sigv4.Verifier
	lambda   *sigv4.Verifier
}

// Where is the Region and the account that ARNs name.
type Where struct{ Region, Account string }

// Start starts STS with the roles that the template makes, and lets its functions in as their own roles; keys are their
// access keys by logical id, and that of OperatorKey. An error says which policy has something that is not known here.
func Start(t *template.Template, where Where, keys map[string]sts.Key) (*Guard, error) {
	var roles []sts.Role
	for _, r := range t.Roles {
		trust, err := iam.Compile(r.Trust)
		own, ownErr := iam.Compile(r.Policies)
		if err = errors.Join(err, ownErr); err != nil {
			return nil, fmt.Errorf("the role %s: %w", r.LogicalID, err)
		}
		roles = append(roles, sts.Role{ARN: r.ARN, Trust: trust, Policy: own, Longest: r.Longest})
	}
	arn := "arn:aws:iam::" + where.Account + ":user/" + OperatorKey
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
			return nil, errors.Join(fmt.Errorf("the role of %s: %w", p.Name, err), service.Close())
		}
		if keys[id].ID == "" || keys[id].Secret == "" {
			return nil, errors.Join(fmt.Errorf("%s has no access key", id), service.Close())
		}
		service.Add(keys[id], p)
	}
	return &Guard{service, schema(t, where), sigv4.New("dynamodb", "", service.Secret),
		sigv4.New("lambda", "", service.Secret)}, nil
}

// schema tells what a template's tables are like.
func schema(t *template.Template, where Where) Schema {
	hashes := map[[2]string]string{}
	for _, table := range t.Tables {
		hashes[[2]string{table.Name, ""}] = table.Hash.Name
		for _, x := range table.Indexes {
			hashes[[2]string{table.Name, x.Name}] = x.Hash.Name
		}
	}
	return Schema{
		ARN: func(table string) string {
			return "arn:aws:dynamodb:" + where.Region + ":" + where.Account + ":table/" + table
		},
		Hash: func(table, index string) string { return hashes[[2]string{table, index}] },
	}
}

// Name names a caller for people: the function whose access key it is, or by whose right it was handed out; else the
// key.
func (g *Guard) Name(accessKeyID string) string {
	if name, known := g.STS.Name(accessKeyID); known {
		return name
	}
	return accessKeyID
}

// Signed is the proxy's: it refuses a request that the holder of its access key has not signed.
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

// Invoke is the Lambda host's: it decides about an invocation of the function with this ARN. The code is "" if who has
// signed the request may invoke it.
func (g *Guard) Invoke(r *http.Request, payload []byte, function string) (code, message string) {
	denied := signed(g.lambda.Verify(r, payload))
	if denied == nil {
		who, err := g.STS.Who(sts.AccessKey(r.Header.Get("Authorization")), r.Header.Get("X-Amz-Security-Token"))
		if denied = unknown(err); denied == nil {
			denied = Decide(who, iam.Request{Action: "lambda:InvokeFunction", Resource: function,
				Context: map[string][]string{}})
		}
	}
	if denied == nil {
		return "", ""
	}
	return denied.Code, denied.Message
}

// unknown is why credentials are refused; nil for a nil error.
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

// Allow is the proxy's: it decides about a request by the policies of who asks, as AWS would.
func (g *Guard) Allow(accessKeyID, token, operation string, body []byte) *proxy.Denial {
	who, err := g.STS.Who(accessKeyID, token)
	if denied := unknown(err); denied != nil {
		return denied
	}
	asked, err := Asked(operation, body, g.schema)
	if err == nil && len(asked) == 0 {
		err = errors.New("the request names no item")
	}
	if err != nil {
		return &proxy.Denial{Code: "ValidationException", Message: err.Error()}
	}
	for _, r := range asked {
		if denied := Decide(who, r); denied != nil {
			return denied
		}
	}
	return nil
}

// Asked are the permissions that a request to the template's tables needs.
func (g *Guard) Asked(operation string, body []byte) ([]iam.Request, error) {
	return Asked(operation, body, g.schema)
}

// Decide is nil if the principal may do what is asked for, else what AWS answers.
func Decide(who sts.Principal, r iam.Request) *proxy.Denial {
	r.Context = maps.Clone(r.Context)
	maps.Copy(r.Context, who.Context())
	why := "no identity-based policy allows the " + r.Action + " action"
	switch who.Policy.Decide(r) {
	case iam.Allow:
		return nil
	case iam.Deny:
		why = "of an explicit deny in an identity-based policy"
	}
	return &proxy.Denial{Code: "AccessDeniedException", Message: fmt.Sprintf(
		"User: %s is not authorized to perform: %s on resource: %s because %s", who.ARN, r.Action, r.Resource, why)}
}
