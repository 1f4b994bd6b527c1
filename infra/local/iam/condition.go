package iam

import (
	"fmt"
	"slices"
	"strings"
)

// condition is one comparison of a Condition block, for one key.
type condition struct {
	quantifier quantifier
	ifExists   bool
	operator   string
	key        string // in lower case
	values     []string
}

// quantifier states how many of a request's values must match.
type quantifier string

const (
	single quantifier = "" // the key has one value
	forAll quantifier = "ForAllValues"
	forAny quantifier = "ForAnyValue"
)

// compare returns the comparison of a condition operator: matches compares a value of the policy with one of the
// request. For a negated operator none of the policy's values may match.
func compare(operator string) (matches func(want, got string) bool, negated, known bool) {
	equal := func(want, got string) bool { return want == got }
	switch operator {
	case "StringEquals":
		return equal, false, true
	case "StringNotEquals":
		return equal, true, true
	case "StringLike":
		return like, false, true
	case "StringNotLike":
		return like, true, true
	case "ArnEquals", "ArnLike": // identical: both accept wildcards
		return arnLike, false, true
	case "Bool":
		return strings.EqualFold, false, true
	case "Null": // compares no values: see holds
		return nil, false, true
	}
	return nil, false, false
}

// arnLike compares ARNs part by part: a * matches no colon, except in the last part.
func arnLike(want, got string) bool {
	w, g := strings.SplitN(want, ":", 6), strings.SplitN(got, ":", 6)
	return slices.EqualFunc(w, g, like)
}

// knownKey reports whether a request's context can have this key. An unknown key would wrongly look like an absent one.
func knownKey(key string) bool {
	switch key {
	case "dynamodb:leadingkeys", "aws:tagkeys", "aws:principalarn", "sts:rolesessionname",
		"lambda:invokedviafunctionurl":
		return true
	}
	return strings.HasPrefix(key, "aws:principaltag/") || strings.HasPrefix(key, "aws:requesttag/")
}

func compile(operator, key string, values []string) (condition, error) {
	c := condition{key: strings.ToLower(key), values: values}
	quantity, rest, quantified := strings.Cut(operator, ":")
	if !quantified {
		quantity, rest = "", operator
	}
	c.quantifier = quantifier(quantity)
	c.operator, c.ifExists = strings.CutSuffix(rest, "IfExists")
	_, _, known := compare(c.operator)
	switch {
	case !known || c.quantifier != single && c.quantifier != forAll && c.quantifier != forAny || quantified &&
		quantity == "":
		return c, fmt.Errorf("iam: the condition operator %q is not supported: implement it in infra/local/iam",
			operator)
	case c.operator == "Null" && (c.quantifier != single || c.ifExists):
		return c, fmt.Errorf("iam: the condition operator %q is invalid: Null has neither ForAllValues nor IfExists",
			operator)
	case !knownKey(c.key):
		return c, fmt.Errorf("iam: the condition key %q is not supported: implement it in infra/local/iam",
			key)
	case c.quantifier == single && c.operator != "Null" && (c.key == "dynamodb:leadingkeys" || c.key == "aws:tagkeys"):
		return c, fmt.Errorf("iam: %s has many values: the condition operator %q needs ForAllValues or ForAnyValue "+
			"before it", key, operator)
	case len(values) == 0:
		return c, fmt.Errorf("iam: the condition %s of %s has no value", operator, key)
	}
	for _, v := range values {
		if err := checkVariables(v); err != nil {
			return c, err
		}
		if c.operator == "Null" && v != "true" && v != "false" {
			return c, fmt.Errorf("iam: Null of %s must be true or false", key)
		}
	}
	return c, nil
}

// holds reports whether the condition is true for a request's context. ForAllValues is true for a key without values. A
// policy that must not allow such a request uses Null.
func (c condition) holds(context map[string][]string) bool {
	got := context[c.key]
	if c.operator == "Null" {
		return slices.Contains(c.values, fmt.Sprint(len(got) == 0))
	}
	if len(got) == 0 {
		_, negated, _ := compare(c.operator)
		return c.ifExists || c.quantifier == forAll || negated && c.quantifier == single
	}
	fits := func(v string) bool { return c.fits(v, context) }
	switch c.quantifier {
	case forAll:
		return !slices.ContainsFunc(got, func(v string) bool { return !fits(v) })
	case forAny:
		return slices.ContainsFunc(got, fits)
	}
	return len(got) == 1 && fits(got[0])
}

// fits reports whether one value of a request satisfies the condition. A policy's value with a variable that the
// request does not have matches nothing.
func (c condition) fits(got string, context map[string][]string) bool {
	matches, negated, _ := compare(c.operator)
	for _, pattern := range c.values {
		if want, ok := substitute(pattern, context); ok && matches(want, got) {
			return !negated
		}
	}
	return negated
}

// substitute replaces the variables in a policy's text by the request's values. It returns false if a variable has no
// single value. A wildcard in a substituted value acts as a wildcard. AWS treats it as a character, so this allows more
// than AWS, which is stricter for the tests that must show that no foreign key matches.
func substitute(text string, context map[string][]string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, rest, _ := strings.Cut(after, "}")
		values := context[strings.ToLower(name)]
		if len(values) != 1 {
			return "", false
		}
		b.WriteString(values[0])
		text = rest
	}
}

// checkVariables returns an error for a variable that substitute does not support.
func checkVariables(text string) error {
	for {
		_, after, found := strings.Cut(text, "${")
		if !found {
			return nil
		}
		name, rest, closed := strings.Cut(after, "}")
		// A comma separates a default value, which is not supported.
		if !closed || !strings.HasPrefix(strings.ToLower(name), "aws:principaltag/") || strings.Contains(name, ",") {
			return fmt.Errorf("iam: the policy variable ${%s} is not supported: implement it in infra/local/iam", name)
		}
		text = rest
	}
}
