package access

import (
	"errors"
	"fmt"
	"maps"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
)

// OperatorKey is the access key id of those who run the stack: they may do everything with its tables, as somebody with
// rights on a deployed one may.
const OperatorKey = "operator"

// Guard decides who may do what with the tables, by the policies of a template. It is safe for concurrent use.
type Guard struct {
	STS    *sts.Service
	schema Schema
}

// Where is the Region and the account that ARNs name.
type Where struct{ Region, Account string }

// Start starts STS with the roles that the template makes, and lets its functions in as their own roles; keys are their
// access key ids by logical id. An error says which policy has something that is not known here.
func Start(t *template.Template, where Where, keys map[string]string) (*Guard, error) {
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
	principals, policies := map[string]sts.Principal{OperatorKey: {Name: OperatorKey, ARN: arn, Role: arn}}, map[string][]iam.Statement{OperatorKey: everything}
	for _, f := range t.Functions {
		key := keys[f.LogicalID]
		principals[key] = sts.Principal{Name: f.LogicalID, ARN: sts.SessionARN(f.Role, f.Name), Role: f.Role}
		policies[key] = f.Policies
	}
	service, err := sts.Start(roles, nil)
	if err != nil {
		return nil, err
	}
	for key, p := range principals {
		if p.Policy, err = iam.Compile(policies[key]); err != nil {
			return nil, errors.Join(fmt.Errorf("the role of %s: %w", p.Name, err), service.Close())
		}
		service.Add(key, p)
	}
	return &Guard{service, schema(t, where)}, nil
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

// Name names a caller for people: the function whose access key it is, or by whose right it was handed out; else the key.
func (g *Guard) Name(accessKeyID string) string {
	if name, known := g.STS.Name(accessKeyID); known {
		return name
	}
	return accessKeyID
}

// Allow is the proxy's: it decides about a request by the policies of who asks, as AWS would.
func (g *Guard) Allow(accessKeyID, token, operation string, body []byte) *proxy.Denial {
	who, err := g.STS.Who(accessKeyID, token)
	switch {
	case errors.Is(err, sts.ErrExpired):
		return &proxy.Denial{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	case err != nil:
		return &proxy.Denial{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
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
