// Package iam evaluates policies as AWS's IAM does: an explicit Deny decides, else an Allow, else the request is
// denied. The package is pure. It is also strict: an unsupported condition operator, condition key or policy variable
// is an error, because a statement that is evaluated in part could give another decision than AWS.
package iam

import (
	"fmt"
	"strings"
)

// Statement is one statement of a policy, unchanged.
type Statement struct {
	Effect    string   // Allow or Deny
	Principal []string // in a trust policy: ARNs, account ids or services; else nil
	Action    []string
	Resource  []string                       // nil in a trust policy, which concerns its own role
	Condition map[string]map[string][]string // operator → key → values
}

// Request is an action on a resource that a caller wants to perform.
type Request struct {
	Action   string // such as dynamodb:GetItem
	Resource string // its ARN
	// Context holds the values of condition keys. The keys are in lower case. A key without values counts as absent.
	Context map[string][]string
}

// Decision is the result of an evaluation.
type Decision string

// The three decisions. Only Allow permits a request.
const (
	Allow    Decision = "allow"
	Deny     Decision = "explicit deny"
	Implicit Decision = "implicit deny" // no statement applies
)

// Policy is a compiled list of statements. It is immutable.
type Policy struct{ statements []statement }

type statement struct {
	Statement
	conditions []condition
}

// Compile checks statements and compiles them. Its error names the unsupported feature.
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

// Decide evaluates the policy for a request of a principal that has it as an identity-based policy.
func (p *Policy) Decide(r Request) Decision {
	return p.decide(func(s statement) bool { return s.applies(r) && s.holds(r) })
}

// Trusts evaluates the policy, as a role's trust policy, for a request of the principal with this ARN.
func (p *Policy) Trusts(principal string, r Request) Decision {
	return p.decide(func(s statement) bool {
		named := false
		for _, one := range s.Principal {
			named = named || one == principal || one == "*"
		}
		return named && s.matchesAction(r) && s.holds(r)
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

// matchesAction reports whether the statement names the request's action. Case is ignored, and * and ? are wildcards.
func (s statement) matchesAction(r Request) bool {
	for _, pattern := range s.Action {
		if like(strings.ToLower(pattern), strings.ToLower(r.Action)) {
			return true
		}
	}
	return false
}

// applies reports whether the statement names the request's action and resource.
func (s statement) applies(r Request) bool {
	if !s.matchesAction(r) {
		return false
	}
	for _, pattern := range s.Resource {
		if text, ok := substitute(pattern, r.Context); ok && like(text, r.Resource) {
			return true
		}
	}
	return false
}

// holds reports whether all conditions of the statement are true.
func (s statement) holds(r Request) bool {
	for _, c := range s.conditions {
		if !c.holds(r.Context) {
			return false
		}
	}
	return true
}

// like reports whether a text matches a pattern with the wildcards * (any text) and ? (one character).
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
