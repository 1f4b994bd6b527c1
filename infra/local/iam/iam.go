// Package iam decides what policies allow, as AWS's IAM does: an explicit Deny, else an Allow, else no. It is pure and
// strict: a condition operator, condition key or policy variable that it does not know is an error of the policy,
// because a statement that is understood in part would be decided otherwise than on AWS.
package iam

import (
	"fmt"
	"strings"
)

// Statement is one statement of a policy, as it stands there.
type Statement struct {
	Effect    string   // Allow or Deny
	Principal []string // of a trust policy: the ARNs, account ids or services that it speaks of; else nil
	Action    []string
	Resource  []string                       // nil in a trust policy: the role itself
	Condition map[string]map[string][]string // operator → key → values
}

// Request is what a caller asks for.
type Request struct {
	Action   string // such as dynamodb:GetItem
	Resource string // its ARN
	// Context is what conditions look at, by key in lower case. A key that is absent or has no value is null.
	Context map[string][]string
}

// Decision is what comes of a request.
type Decision string

// The three decisions. Only Allow lets a request through.
const (
	Allow    Decision = "allow"
	Deny     Decision = "explicit deny"
	Implicit Decision = "implicit deny" // nothing speaks of it
)

// Policy is what a principal's statements say together. It is immutable.
type Policy struct{ statements []statement }

type statement struct {
	Statement
	conditions []condition
}

// Compile checks statements and makes a policy of them. Its error names what is not known.
func Compile(statements []Statement) (*Policy, error) {
	p := &Policy{}
	for _, s := range statements {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("iam: the effect %q is neither Allow nor Deny", s.Effect)
		}
		c := statement{Statement: s}
		for _, text := range append(append([]string{}, s.Action...), s.Resource...) {
			if err := checkVariables(text); err != nil {
				return nil, err
			}
		}
		for operator, keys := range s.Condition {
			for key, values := range keys {
				one, err := compile(operator, key, values)
				if err != nil {
					return nil, err
				}
				c.conditions = append(c.conditions, one)
			}
		}
		p.statements = append(p.statements, c)
	}
	return p, nil
}

// Decide decides about a request of a principal that has the policy as its own (identity-based) policy.
func (p *Policy) Decide(r Request) Decision {
	return p.decide(func(s statement) bool { return s.speaksOf(r) && s.holds(r) })
}

// Trusts decides about a request by a role's trust policy: of the principal with this ARN.
func (p *Policy) Trusts(principal string, r Request) Decision {
	return p.decide(func(s statement) bool {
		named := false
		for _, one := range s.Principal {
			named = named || one == principal || one == "*"
		}
		return named && s.acts(r) && s.holds(r)
	})
}

func (p *Policy) decide(applies func(statement) bool) Decision {
	decision := Implicit
	for _, s := range p.statements {
		if !applies(s) {
			continue
		}
		if s.Effect == "Deny" {
			return Deny
		}
		decision = Allow
	}
	return decision
}

// acts tells whether an action of the statement is the request's: case does not count, * and ? are wildcards.
func (s statement) acts(r Request) bool {
	for _, pattern := range s.Action {
		if like(strings.ToLower(pattern), strings.ToLower(r.Action)) {
			return true
		}
	}
	return false
}

// speaksOf tells whether an action and a resource of the statement are the request's.
func (s statement) speaksOf(r Request) bool {
	if !s.acts(r) {
		return false
	}
	for _, pattern := range s.Resource {
		if text, ok := fill(pattern, r.Context); ok && like(text, r.Resource) {
			return true
		}
	}
	return false
}

// holds tells whether all conditions do.
func (s statement) holds(r Request) bool {
	for _, c := range s.conditions {
		if !c.holds(r.Context) {
			return false
		}
	}
	return true
}

// like matches with the wildcards * (any text) and ? (one character).
func like(pattern, text string) bool {
	for i, c := range pattern {
		switch {
		case c == '*':
			rest := pattern[i+1:]
			for j := range len(text) + 1 {
				if like(rest, text[j:]) {
					return true
				}
			}
			return false
		case text == "":
			return false
		}
		first, width := firstRune(text)
		if c != '?' && c != first {
			return false
		}
		text = text[width:]
	}
	return text == ""
}

func firstRune(text string) (first rune, width int) {
	for i, r := range text {
		if i > 0 {
			return first, i
		}
		first = r
	}
	return first, len(text)
}
