package iam_test

import (
	"strings"
	"testing"

	"carrel/infra/local/iam"
)

const (
	table = "arn:aws:dynamodb:us-east-1:1:table/carrel"
	leads = "dynamodb:LeadingKeys"
	tag   = "aws:PrincipalTag/user"
)

type conditions = map[string]map[string][]string

// allow returns a statement that allows actions on the table, under conditions.
func allow(action string, c conditions) iam.Statement {
	return iam.Statement{Effect: "Allow", Action: strings.Fields(action), Resource: []string{table}, Condition: c}
}

func deny(action string, c conditions) iam.Statement {
	s := allow(action, c)
	s.Effect = "Deny"
	return s
}

func withResources(resource string, s iam.Statement) iam.Statement {
	s.Resource = strings.Fields(resource)
	return s
}

// when returns a Condition block with one condition.
func when(operator, key string, values ...string) conditions {
	return conditions{operator: {key: values}}
}

// userConditions returns the conditions of the template's user role.
func userConditions() conditions {
	return conditions{
		"ForAllValues:StringLike": {leads: {"U#${aws:PrincipalTag/user}", "U#${aws:PrincipalTag/user}#*"}},
		"Null":                    {leads: {"false"}, tag: {"false"}},
	}
}

// request returns a request for the table. Each context argument is key=value; a key alone has an empty value.
func request(action string, context ...string) iam.Request {
	r := iam.Request{Action: action, Resource: table, Context: map[string][]string{}}
	for _, c := range context {
		key, value, _ := strings.Cut(c, "=")
		key = map[string]string{"key": leads, "user": tag}[key]
		r.Context[strings.ToLower(key)] = append(r.Context[strings.ToLower(key)], value)
	}
	return r
}

func withResource(resource string, r iam.Request) iam.Request {
	r.Resource = resource
	return r
}

// decisionCase is a request and the expected decision, which was derived by hand from AWS's evaluation logic.
type decisionCase struct {
	name    string
	policy  []iam.Statement
	request iam.Request
	want    iam.Decision
}

func statements(s ...iam.Statement) []iam.Statement { return s }

const (
	get  = "dynamodb:GetItem"
	put  = "dynamodb:PutItem"
	scan = "dynamodb:Scan"
)

func logicCases() []decisionCase {
	return []decisionCase{
		{"no policy", nil, request(get), iam.Implicit},
		{"allowed action", statements(allow(get, nil)), request(get), iam.Allow},
		{"another action allowed", statements(allow(put, nil)), request(get), iam.Implicit},
		{"one of several actions", statements(allow(put+" "+get, nil)), request(get), iam.Allow},
		{"an action in another case", statements(allow("DynamoDB:getitem", nil)), request(get), iam.Allow},
		{"deny alone", statements(deny(get, nil)), request(get), iam.Deny},
		{"deny after allow", statements(allow(get, nil), deny(get, nil)), request(get), iam.Deny},
		{"deny before allow", statements(deny(get, nil), allow(get, nil)), request(get), iam.Deny},
		{"deny of another action", statements(allow(get, nil), deny(put, nil)), request(get), iam.Allow},
		{"deny whose condition fails", statements(allow(get, nil), deny(get, when("StringEquals", tag, "bob"))),
			request(get, "user=alice"), iam.Allow},
		{"deny whose condition holds", statements(allow(get, nil), deny(get, when("StringEquals", tag, "bob"))),
			request(get, "user=bob"), iam.Deny},
		{"second allow's condition holds", statements(allow(get, when("StringEquals", tag, "a")), allow(get, nil)),
			request(get, "user=b"), iam.Allow},
		{"* matches all actions", statements(allow("*", nil)), request(get), iam.Allow},
		{"* of a service", statements(allow("dynamodb:*", nil)), request(scan), iam.Allow},
		{"* of another service", statements(allow("s3:*", nil)), request(get), iam.Implicit},
		{"prefix of the action", statements(allow("dynamodb:Get*", nil)), request(get), iam.Allow},
		{"prefix of another action", statements(allow("dynamodb:Batch*", nil)), request(get), iam.Implicit},
		{"suffix of the action", statements(allow("dynamodb:*Item", nil)), request(get), iam.Allow},
		{"? matches one character", statements(allow("dynamodb:?etItem", nil)), request(get), iam.Allow},
		{"? does not match nothing", statements(allow("dynamodb:GetItem?", nil)), request(get), iam.Implicit},
		{"no wildcard, no prefix match", statements(allow("dynamodb:Get", nil)), request(get), iam.Implicit},
		{"the table's index is not the table", statements(allow("dynamodb:Query", nil)),
			withResource(table+"/index/live", request("dynamodb:Query")), iam.Implicit},
		{"the table is not its index", statements(withResources(table+"/index/live", allow("dynamodb:Query", nil))),
			request("dynamodb:Query"), iam.Implicit},
		{"index allowed", statements(withResources(table+"/index/live", allow("dynamodb:Query", nil))),
			withResource(table+"/index/live", request("dynamodb:Query")), iam.Allow},
		{"another table", statements(allow(get, nil)), withResource(table+"2", request(get)), iam.Implicit},
		{"* in a resource matches slashes", statements(withResources(table+"*", allow(get, nil))),
			withResource(table+"/index/live", request(get)), iam.Allow},
		{"resources are case-sensitive", statements(allow(get, nil)),
			withResource(strings.ToUpper(table), request(get)),
			iam.Implicit},
		{"a variable in a resource", statements(withResources(table+"/${aws:PrincipalTag/user}", allow(get, nil))),
			withResource(table+"/bob", request(get, "user=bob")), iam.Allow},
		{"a variable without a value in a resource", statements(withResources(table+"/${aws:PrincipalTag/user}*",
			allow(get, nil))), withResource(table+"/bob", request(get)), iam.Implicit},
	}
}

func operatorCases() []decisionCase {
	is := func(name string, c conditions, r iam.Request, holds bool) decisionCase {
		want := iam.Implicit
		if holds {
			want = iam.Allow
		}
		return decisionCase{name, statements(allow(get, c)), r, want}
	}
	both := conditions{"StringEquals": {tag: {"a"}}, "Null": {leads: {"false"}}}
	return []decisionCase{
		is("StringEquals", when("StringEquals", tag, "a"), request(get, "user=a"), true),
		is("StringEquals, another value", when("StringEquals", tag, "a"), request(get, "user=b"), false),
		is("StringEquals, another case", when("StringEquals", tag, "a"), request(get, "user=A"), false),
		is("StringEquals, no value", when("StringEquals", tag, "a"), request(get), false),
		is("StringEquals ignores wildcards", when("StringEquals", tag, "a*"), request(get, "user=ab"), false),
		is("one of several values", when("StringEquals", tag, "a", "b"), request(get, "user=b"), true),
		is("keys are not case-sensitive", when("StringEquals", "AWS:principaltag/USER", "a"), request(get, "user=a"),
			true),
		is("StringNotEquals", when("StringNotEquals", tag, "a"), request(get, "user=b"), true),
		is("StringNotEquals, same value", when("StringNotEquals", tag, "a", "b"), request(get, "user=b"), false),
		is("StringNotEquals, no value", when("StringNotEquals", tag, "a"), request(get), true),
		is("StringLike", when("StringLike", tag, "a?c*"), request(get, "user=abc"), true),
		is("StringLike matches the whole value", when("StringLike", tag, "b"), request(get, "user=abc"), false),
		is("StringLike, no value", when("StringLike", tag, "*"), request(get), false),
		is("?* does not match empty", when("StringLike", tag, "?*"), request(get, "user="), false),
		is("StringNotLike", when("StringNotLike", tag, "a*"), request(get, "user=ab"), false),
		is("IfExists, no value", when("StringEqualsIfExists", tag, "a"), request(get), true),
		is("IfExists, another value", when("StringEqualsIfExists", tag, "a"), request(get, "user=b"), false),
		is("Bool", when("Bool", tag, "true"), request(get, "user=True"), true),
		is("Null true, key absent", when("Null", tag, "true"), request(get), true),
		is("Null true, key present", when("Null", tag, "true"), request(get, "user=a"), false),
		is("Null false, key present", when("Null", tag, "false"), request(get, "user=a"), true),
		is("Null false, key absent", when("Null", tag, "false"), request(get), false),
		is("ArnLike", when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::1:role/*"),
			principal("arn:aws:iam::1:role/turn"), true),
		is("ArnEquals accepts wildcards", when("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/turn"),
			principal("arn:aws:iam::1:role/turn"), true),
		is("* in an ARN does not match a colon", when("ArnLike", "aws:PrincipalArn", "arn:*:role/turn"),
			principal("arn:aws:iam::1:role/turn"), false),
		is("two conditions", both, request(get, "user=a", "key=k"), true),
		is("two conditions, one fails", both, request(get, "user=a"), false),
		is("ForAllValues", when("ForAllValues:StringEquals", leads, "a", "b"), request(get, "key=a", "key=b"), true),
		is("ForAllValues, one differs", when("ForAllValues:StringEquals", leads, "a"), request(get, "key=a", "key=b"),
			false),
		is("ForAllValues, no value", when("ForAllValues:StringEquals", leads, "a"), request(get), true),
		is("ForAnyValue", when("ForAnyValue:StringEquals", leads, "a"), request(get, "key=b", "key=a"), true),
		is("ForAnyValue, none matches", when("ForAnyValue:StringEquals", leads, "a"), request(get, "key=b"), false),
		is("ForAnyValue, no value", when("ForAnyValue:StringEquals", leads, "a"), request(get), false),
		is("ForAllValues with a negation", when("ForAllValues:StringNotEquals", leads, "a"),
			request(get, "key=b", "key=a"),
			false),
	}
}

// principal returns a request of the role with this ARN.
func principal(arn string) iam.Request {
	r := request(get)
	r.Context["aws:principalarn"] = []string{arn}
	return r
}

// userCases are requests under the conditions of the user role.
func userCases() []decisionCase {
	is := func(name string, r iam.Request, want iam.Decision) decisionCase {
		return decisionCase{"user role: " + name, statements(allow(get+" dynamodb:BatchGetItem", userConditions())), r,
			want}
	}
	return []decisionCase{
		is("own partition", request(get, "user=bob", "key=U#bob"), iam.Allow),
		is("own log", request(get, "user=bob", "key=U#bob#T#t1#e"), iam.Allow),
		is("partition of another user", request(get, "user=bob", "key=U#alice"), iam.Implicit),
		is("user whose name extends this one", request(get, "user=bob", "key=U#bobby"), iam.Implicit),
		is("log of a user whose name extends this one", request(get, "user=bob", "key=U#bobby#T#t#e"), iam.Implicit),
		is("user whose name is a prefix of this one", request(get, "user=bobby", "key=U#bob"), iam.Implicit),
		is("user with an escaped # in the name", request(get, "user=a", "key=U#a=23b"), iam.Implicit),
		is("user without the escaped #", request(get, "user=a=23b", "key=U#a#b"), iam.Implicit),
		is("record of a connection's owner", request(get, "user=bob", "key=C#x"), iam.Implicit),
		is("shard of the index", request(get, "user=bob", "key=L#03"), iam.Implicit),
		is("key without the prefix", request(get, "user=bob", "key=bob"), iam.Implicit),
		is("key in another case", request(get, "user=bob", "key=U#Bob"), iam.Implicit),
		is("empty key", request(get, "user=bob", "key="), iam.Implicit),
		is("two own keys", request("dynamodb:BatchGetItem", "user=bob", "key=U#bob", "key=U#bob#D"), iam.Allow),
		is("own key and a foreign one", request("dynamodb:BatchGetItem", "user=bob", "key=U#bob", "key=U#alice"),
			iam.Implicit),
		is("no key", request(get, "user=bob"), iam.Implicit),
		is("no tag", request(get, "key=U#bob"), iam.Implicit),
		is("no tag, prefix as key", request(get, "key=U#"), iam.Implicit),
		is("empty tag", request(get, "user=", "key=U#bob"), iam.Implicit),
		is("scan", request(scan, "user=bob"), iam.Implicit),
		is("PartiQL", request("dynamodb:PartiQLSelect", "user=bob", "key=U#bob"), iam.Implicit),
		is("index", withResource(table+"/index/live", request("dynamodb:Query", "user=bob", "key=L#03")), iam.Implicit),
		// The reason for the two Null conditions: without them a granted scan reaches all users.
		{"ForAllValues alone lets a scan through", statements(allow(scan,
			when("ForAllValues:StringLike", leads, "U#${aws:PrincipalTag/user}"))),
			request(scan, "user=bob"), iam.Allow},
		// User keys contain no wildcards. A wildcard in a tag acts as one here, unlike on AWS: see substitute.
		{"a wildcard in a tag", statements(allow(get, userConditions())), request(get, "user=b*", "key=U#bob"),
			iam.Allow},
	}
}

func TestDecide(t *testing.T) {
	all := append(append(logicCases(), operatorCases()...), userCases()...)
	if len(all) < 60 {
		t.Errorf("%d cases, want at least 60", len(all))
	}
	for _, c := range all {
		p, err := iam.Compile(c.policy)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := p.Decide(c.request); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	t.Logf("%d cases", len(all))
}

func TestTrust(t *testing.T) {
	trusts := func(s ...iam.Statement) *iam.Policy {
		p, err := iam.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := allow("sts:AssumeRole", when("StringLike", "aws:RequestTag/user", "?*"))
	s.Principal, s.Resource = []string{"turn"}, nil
	with := iam.Request{Action: "sts:AssumeRole", Context: map[string][]string{"aws:requesttag/user": {"bob"}}}
	denial := s
	denial.Effect, denial.Condition = "Deny", nil
	for _, c := range []struct {
		name, principal string
		policy          *iam.Policy
		request         iam.Request
		want            iam.Decision
	}{
		{"trusted principal", "turn", trusts(s), with, iam.Allow},
		{"untrusted principal", "message", trusts(s), with, iam.Implicit},
		{"without the tag", "turn", trusts(s), iam.Request{Action: "sts:AssumeRole"}, iam.Implicit},
		{"another action", "turn", trusts(s), iam.Request{Action: "sts:TagSession", Context: with.Context},
			iam.Implicit},
		{"denied principal", "turn", trusts(s, denial), with, iam.Deny},
	} {
		if got := c.policy.Trusts(c.principal, c.request); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// An unsupported feature is an error. It must not be ignored, because that would change the statement's meaning.
func TestCompile_Errors(t *testing.T) {
	for want, s := range map[string]iam.Statement{
		`operator "NumericEquals"`:                allow(get, when("NumericEquals", tag, "1")),
		`operator "ForSomeValues:StringEquals"`:   allow(get, when("ForSomeValues:StringEquals", tag, "1")),
		`operator ":StringEquals"`:                allow(get, when(":StringEquals", tag, "1")),
		`operator "ForAllValues:Null" is invalid`: allow(get, when("ForAllValues:Null", tag, "true")),
		`operator "stringequals"`:                 allow(get, when("stringequals", tag, "1")),
		`key "aws:SourceIp"`:                      allow(get, when("StringEquals", "aws:SourceIp", "1")),
		`variable ${aws:username}`:                allow(get, when("StringEquals", tag, "${aws:username}")),
		`variable ${aws:PrincipalTag/user, '`:     allow(get, when("StringLike", tag, "${aws:PrincipalTag/user, '*'}")),
		`variable ${aws:userid}`:                  withResources(table+"/${aws:userid}", allow(get, nil)),
		`has many values`:                         allow(get, when("StringLike", leads, "U#*")),
		`has no value`:                            allow(get, when("StringEquals", tag)),
		`must be true or false`:                   allow(get, when("Null", tag, "yes")),
		`the effect "allow" is neither`:           {Effect: "allow", Action: []string{get}, Resource: []string{"*"}},
	} {
		if _, err := iam.Compile([]iam.Statement{s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
