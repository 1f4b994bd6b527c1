package apigateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// authorization is an authorizer's response.
type authorization struct {
	PrincipalID    string                     `json:"principalId"`
	PolicyDocument *policy                    `json:"policyDocument"`
	Context        map[string]json.RawMessage `json:"context"`
}

type policy struct {
	Statement statements
}

type statement struct {
	Effect           string
	Action, Resource texts

	// Condition, NotAction and NotResource are not evaluated here. A statement with one of them is rejected, because
	// ignoring it would change its meaning.
	Condition, NotAction, NotResource json.RawMessage
}

// statements and texts are lists. IAM also allows a single element in place of a list.
type (
	statements []statement
	texts      []string
)

func (s *statements) UnmarshalJSON(b []byte) error { return oneOrMore((*[]statement)(s), b) }
func (t *texts) UnmarshalJSON(b []byte) error      { return oneOrMore((*[]string)(t), b) }

func oneOrMore[T any](list *[]T, b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, list)
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*list = []T{one}
	return nil
}

// parseAuthorization decodes an authorizer's response. An error is a fault of the authorizer, not a refusal.
func parseAuthorization(answer []byte) (authorization, error) {
	var a authorization
	if len(answer) > authorizerLimit {
		return a, fmt.Errorf("the response has %d bytes, more than the allowed %d", len(answer), authorizerLimit)
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, errors.New("the response does not have the shape {principalId, policyDocument, context}")
	}
	if a.PrincipalID == "" {
		return a, errors.New("the response has no principalId")
	}
	if a.PolicyDocument == nil {
		return a, errors.New("the response has no policyDocument")
	}
	return a, nil
}

// allows evaluates the policy for one resource. A Deny takes precedence, and the default is to deny.
func (p *policy) allows(resource string) (bool, error) {
	allowed := false
	for _, s := range p.Statement {
		if s.Condition != nil || s.NotAction != nil || s.NotResource != nil {
			return false,
				errors.New("the policy has a Condition, NotAction or NotResource, which are not evaluated here")
		}
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return false, errors.New("the policy has an Effect other than Allow and Deny")
		}
		if !s.Action.match("execute-api:invoke", strings.ToLower) || !s.Resource.match(resource, strings.Clone) {
			continue
		}
		if s.Effect == "Deny" {
			return false, nil
		}
		allowed = true
	}
	return allowed, nil
}

// match reports whether one of the patterns matches s. fold is applied to each pattern first.
func (t texts) match(s string, fold func(string) string) bool {
	for _, pattern := range t {
		if wildcard(fold(pattern), s) {
			return true
		}
	}
	return false
}

// wildcard matches patterns as IAM does: * stands for any text, including slashes, and ? for one byte.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// eventContext returns the value of requestContext.authorizer in later events: the authorizer's context with all values
// as strings, and the principal.
func (a *authorization) eventContext() (json.RawMessage, error) {
	values := make(map[string]string, len(a.Context)+1)
	for name, raw := range a.Context {
		switch raw[0] {
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, fmt.Errorf("context value %q: %w", name, err)
			}
			values[name] = s
		case '{', '[', 'n':
			return nil, fmt.Errorf("the context value %q is not a string, number or bool", name)
		default:
			values[name] = string(raw)
		}
	}
	values["principalId"] = a.PrincipalID
	b, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode the authorizer context: %w", err)
	}
	return b, nil
}
