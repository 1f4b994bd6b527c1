package iam

import (
	"fmt"
	"slices"
	"strings"
)

// condition is one line of a Condition block: a comparison of one key's values.
type condition struct {
	of       quantifier
	ifExists bool
	operator string
	key      string // in lower case
	values   []string
}

// quantifier says how many of a request's values must fit.
type quantifier string

const (
	single quantifier = "" // the key has one value
	forAll quantifier = "ForAllValues"
	forAny quantifier = "ForAnyValue"
)

// compare are the operators that are known: whether a request's value is like one of the policy's. not says that the
// operator is the opposite: then none may be.
func compare(operator string) (same func(want, got string) bool, not, known bool) {
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
	case "ArnEquals", "ArnLike": // the same thing: both take wildcards
		return arnLike, false, true
	case "Bool":
		return strings.EqualFold, false, true
	case "Null": // looks at whether there is a value: see holds
		return nil, false, true
	}
	return nil, false, false
}

// arnLike compares ARNs part by part: a * does not reach over a colon, but in the last part.
func arnLike(want, got string) bool {
	w, g := strings.SplitN(want, ":", 6), strings.SplitN(got, ":", 6)
	return slices.EqualFunc(w, g, like)
}

// knownKey tells whether a request's context may have a key. What it never has would look like a key that is absent.
func knownKey(key string) bool {
	switch key {
	case "dynamodb:leadingkeys", "aws:tagkeys", "aws:principalarn", "sts:rolesessionname":
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
	c.of = quantifier(quantity)
	c.operator, c.ifExists = strings.CutSuffix(rest, "IfExists")
	_, _, known := compare(c.operator)
	switch {
	case !known || c.of != single && c.of != forAll && c.of != forAny || quantified && quantity == "":
		return c, fmt.Errorf("iam: the condition operator %q is not known here: teach infra/local/iam what it does",
			operator)
	case c.operator == "Null" && (c.of != single || c.ifExists):
		return c, fmt.Errorf("iam: the condition operator %q is none: Null has neither ForAllValues nor IfExists",
			operator)
	case !knownKey(c.key):
		return c, fmt.Errorf("iam: the condition key %q is not known here: teach infra/local/iam where it comes from",
			key)
	case c.of == single && c.operator != "Null" && (c.key == "dynamodb:leadingkeys" || c.key == "aws:tagkeys"):
		return c,
			fmt.Errorf("iam: %s has many values: the condition operator %q needs ForAllValues or ForAnyValue before it",
				key, operator)
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

// holds tells whether the condition does for a request's context. ForAllValues holds of a key without a value: a policy
// that must not let such a request through says so with Null.
func (c condition) holds(context map[string][]string) bool {
	got := context[c.key]
	if c.operator == "Null" {
		return slices.Contains(c.values, fmt.Sprint(len(got) == 0))
	}
	if len(got) == 0 {
		_, not, _ := compare(c.operator)
		return c.ifExists || c.of == forAll || not && c.of == single
	}
	fits := func(v string) bool { return c.fits(v, context) }
	switch c.of {
	case forAll:
		return !slices.ContainsFunc(got, func(v string) bool { return !fits(v) })
	case forAny:
		return slices.ContainsFunc(got, fits)
	}
	return len(got) == 1 && fits(got[0])
}

// fits compares one value of a request. A policy's value with a variable that the request does not have is like
// nothing.
func (c condition) fits(got string, context map[string][]string) bool {
	same, not, _ := compare(c.operator)
	for _, pattern := range c.values {
		if want, ok := fill(pattern, context); ok && same(want, got) {
			return !not
		}
	}
	return not
}

// fill puts the values of variables in their places; false if the request has none for one of them. A wildcard in a
// value that is put in stays one: the stricter reading for whoever must show that nothing foreign matches.
func fill(text string, context map[string][]string) (string, bool) {
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

// checkVariables refuses variables that fill does not know.
func checkVariables(text string) error {
	for {
		_, after, found := strings.Cut(text, "${")
		if !found {
			return nil
		}
		name, rest, closed := strings.Cut(after, "}")
		// a default
		if !closed || !strings.HasPrefix(strings.ToLower(name), "aws:principaltag/") || strings.Contains(name, ",") {
			return fmt.Errorf("iam: the policy variable ${%s} is not known here: teach infra/local/iam what it "+
				"stands for", name)
		}
		text = rest
	}
}
