package stack

import (
	"cmp"
	"errors"
	"fmt"
	"maps"

	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
)

// operatorKey is the access key id of those who run the stack: they may do everything with its tables, as somebody with
// rights on a deployed one may.
const operatorKey = "operator"

// startAccess starts STS with the roles that the template makes, and lets the functions in as their own roles.
func (s *Stack) startAccess() error {
	var roles []sts.Role
	for _, r := range s.template.Roles {
		trust, err := iam.Compile(r.Trust)
		own, ownErr := iam.Compile(r.Policies)
		if err = errors.Join(err, ownErr); err != nil {
			return fmt.Errorf("the role %s: %w", r.LogicalID, err)
		}
		roles = append(roles, sts.Role{ARN: r.ARN, Trust: trust, Policy: own, Longest: r.Longest})
	}
	var err error
	if s.sts, err = sts.Start(roles, nil); err != nil {
		return err
	}
	s.later(s.sts.Close)
	s.endpoints.STS = s.sts.URL()
	for _, f := range s.template.Functions {
		own, err := iam.Compile(f.Policies)
		if err != nil {
			return fmt.Errorf("the role of %s: %w", f.LogicalID, err)
		}
		s.sts.Add(s.keys[f.LogicalID].id, sts.Principal{Name: f.LogicalID, ARN: sts.SessionARN(f.Role, f.Name), Role: f.Role, Policy: own})
	}
	everything, err := iam.Compile([]iam.Statement{{Effect: "Allow", Action: []string{"dynamodb:*"}, Resource: []string{"*"}}})
	if err != nil {
		return err
	}
	arn := "arn:aws:iam::" + account + ":user/operator"
	s.sts.Add(operatorKey, sts.Principal{Name: operatorKey, ARN: arn, Role: arn, Policy: everything})
	return nil
}

// caller names a caller of DynamoDB: the logical id of the function that has the access key, or by whose right it was
// handed out; else the key itself.
func (s *Stack) caller(accessKeyID string) string {
	name, _ := s.sts.Name(accessKeyID)
	return cmp.Or(name, accessKeyID)
}

// allow decides about a request to DynamoDB by the policies of who asks, as AWS would.
func (s *Stack) allow(accessKeyID, token, operation string, body []byte) *proxy.Denial {
	who, err := s.sts.Who(accessKeyID, token)
	switch {
	case errors.Is(err, sts.ErrExpired):
		return &proxy.Denial{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
	case err != nil:
		return &proxy.Denial{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	}
	asked, err := access.Asked(operation, body, s.schema())
	if err != nil {
		return &proxy.Denial{Code: "ValidationException", Message: err.Error()}
	}
	for _, r := range asked {
		maps.Copy(r.Context, who.Context())
		why := "no identity-based policy allows the " + r.Action + " action"
		switch who.Policy.Decide(r) {
		case iam.Allow:
			continue
		case iam.Deny:
			why = "of an explicit deny in an identity-based policy"
		}
		return &proxy.Denial{Code: "AccessDeniedException", Message: fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: %s because %s", who.ARN, r.Action, r.Resource, why)}
	}
	return nil
}

// schema tells what the tables are like.
func (s *Stack) schema() access.Schema {
	return access.Schema{
		ARN: func(table string) string { return "arn:aws:dynamodb:" + region + ":" + account + ":table/" + table },
		Hash: func(table, index string) string {
			for _, t := range s.template.Tables {
				if t.Name == table {
					return hash(t, index)
				}
			}
			return ""
		},
	}
}

func hash(t template.Table, index string) string {
	if index == "" {
		return t.Hash.Name
	}
	for _, x := range t.Indexes {
		if x.Name == index {
			return x.Hash.Name
		}
	}
	return ""
}
