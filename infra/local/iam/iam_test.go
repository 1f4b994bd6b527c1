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

// allow is a statement about the table; with what to change of it.
func allow(action string, c conditions) iam.Statement {
	return iam.Statement{Effect: "Allow", Action: strings.Fields(action), Resource: []string{table}, Condition: c}
}

func deny(action string, c conditions) iam.Statement {
	s := allow(action, c)
	s.Effect = "Deny"
	return s
}

func on(resource string, s iam.Statement) iam.Statement {
	s.Resource = strings.Fields(resource)
	return s
}

// when is one condition.
func when(operator, key string, values ...string) conditions {
	return conditions{operator: {key: values}}
}

// own is the condition of the template's user role.
func own() conditions {
	return conditions{
		"ForAllValues:StringLike": {leads: {"U#${aws:PrincipalTag/user}", "U#${aws:PrincipalTag/user}#*"}},
		"Null":                    {leads: {"false"}, tag: {"false"}},
	}
}

// asks is a request for the table: the action, then key=value for its context; a key alone has no value.
func asks(action string, context ...string) iam.Request {
	r := iam.Request{Action: action, Resource: table, Context: map[string][]string{}}
	for _, c := range context {
		key, value, _ := strings.Cut(c, "=")
		key = map[string]string{"key": leads, "user": tag}[key]
		r.Context[strings.ToLower(key)] = append(r.Context[strings.ToLower(key)], value)
	}
	return r
}

func about(resource string, r iam.Request) iam.Request {
	r.Resource = resource
	return r
}

// cases are worked by hand, by AWS's evaluation logic.
type decided struct {
	name   string
	policy []iam.Statement
	asked  iam.Request
	want   iam.Decision
}

func statements(s ...iam.Statement) []iam.Statement { return s }

const (
	get  = "dynamodb:GetItem"
	put  = "dynamodb:PutItem"
	scan = "dynamodb:Scan"
)

func logic() []decided {
	return []decided{
		{"nothing is said", nil, asks(get), iam.Implicit},
		{"it is allowed", statements(allow(get, nil)), asks(get), iam.Allow},
		{"another action is", statements(allow(put, nil)), asks(get), iam.Implicit},
		{"one of several", statements(allow(put+" "+get, nil)), asks(get), iam.Allow},
		{"an action in another case", statements(allow("DynamoDB:getitem", nil)), asks(get), iam.Allow},
		{"deny alone", statements(deny(get, nil)), asks(get), iam.Deny},
		{"deny after allow", statements(allow(get, nil), deny(get, nil)), asks(get), iam.Deny},
		{"deny before allow", statements(deny(get, nil), allow(get, nil)), asks(get), iam.Deny},
		{"deny of another action", statements(allow(get, nil), deny(put, nil)), asks(get), iam.Allow},
		{"deny whose condition fails", statements(allow(get, nil), deny(get, when("StringEquals", tag, "bob"))),
			asks(get, "user=alice"), iam.Allow},
		{"deny whose condition holds", statements(allow(get, nil), deny(get, when("StringEquals", tag, "bob"))),
			asks(get, "user=bob"), iam.Deny},
		{"second allow's condition holds", statements(allow(get, when("StringEquals", tag, "a")), allow(get, nil)),
			asks(get, "user=b"), iam.Allow},
		{"* is all actions", statements(allow("*", nil)), asks(get), iam.Allow},
		{"a service's *", statements(allow("dynamodb:*", nil)), asks(scan), iam.Allow},
		{"another service's *", statements(allow("s3:*", nil)), asks(get), iam.Implicit},
		{"a beginning", statements(allow("dynamodb:Get*", nil)), asks(get), iam.Allow},
		{"a beginning of another", statements(allow("dynamodb:Batch*", nil)), asks(get), iam.Implicit},
		{"an end", statements(allow("dynamodb:*Item", nil)), asks(get), iam.Allow},
		{"? is one character", statements(allow("dynamodb:?etItem", nil)), asks(get), iam.Allow},
		{"? is not none", statements(allow("dynamodb:GetItem?", nil)), asks(get), iam.Implicit},
		{"no wildcard, no more", statements(allow("dynamodb:Get", nil)), asks(get), iam.Implicit},
		{"the table's index is not the table", statements(allow("dynamodb:Query", nil)),
			about(table+"/index/live", asks("dynamodb:Query")), iam.Implicit},
		{"the table is not its index", statements(on(table+"/index/live", allow("dynamodb:Query", nil))),
			asks("dynamodb:Query"), iam.Implicit},
		{"an index", statements(on(table+"/index/live", allow("dynamodb:Query", nil))),
			about(table+"/index/live", asks("dynamodb:Query")), iam.Allow},
		{"another table", statements(allow(get, nil)), about(table+"2", asks(get)), iam.Implicit},
		{"* of a resource reaches over slashes", statements(on(table+"*", allow(get, nil))),
			about(table+"/index/live", asks(get)), iam.Allow},
		{"resources differ in case", statements(allow(get, nil)), about(strings.ToUpper(table), asks(get)),
			iam.Implicit},
		{"a variable in a resource", statements(on(table+"/${aws:PrincipalTag/user}", allow(get, nil))),
			about(table+"/bob", asks(get, "user=bob")), iam.Allow},
		{"a variable in a resource that is not there", statements(on(table+"/${aws:PrincipalTag/user}*",
			allow(get, nil))), about(table+"/bob", asks(get)), iam.Implicit},
	}
}

func operators() []decided {
	is := func(name string, c conditions, r iam.Request, holds bool) decided {
		want := iam.Implicit
		if holds {
			want = iam.Allow
		}
		return decided{name, statements(allow(get, c)), r, want}
	}
	both := conditions{"StringEquals": {tag: {"a"}}, "Null": {leads: {"false"}}}
	return []decided{
		is("StringEquals", when("StringEquals", tag, "a"), asks(get, "user=a"), true),
		is("StringEquals of another", when("StringEquals", tag, "a"), asks(get, "user=b"), false),
		is("StringEquals of another case", when("StringEquals", tag, "a"), asks(get, "user=A"), false),
		is("StringEquals of nothing", when("StringEquals", tag, "a"), asks(get), false),
		is("StringEquals takes no wildcard", when("StringEquals", tag, "a*"), asks(get, "user=ab"), false),
		is("one of several values", when("StringEquals", tag, "a", "b"), asks(get, "user=b"), true),
		is("keys of conditions in any case", when("StringEquals", "AWS:principaltag/USER", "a"), asks(get, "user=a"),
			true),
		is("StringNotEquals", when("StringNotEquals", tag, "a"), asks(get, "user=b"), true),
		is("StringNotEquals of the same", when("StringNotEquals", tag, "a", "b"), asks(get, "user=b"), false),
		is("StringNotEquals of nothing", when("StringNotEquals", tag, "a"), asks(get), true),
		is("StringLike", when("StringLike", tag, "a?c*"), asks(get, "user=abc"), true),
		is("StringLike is whole", when("StringLike", tag, "b"), asks(get, "user=abc"), false),
		is("StringLike of nothing", when("StringLike", tag, "*"), asks(get), false),
		is("?* is anything but empty", when("StringLike", tag, "?*"), asks(get, "user="), false),
		is("StringNotLike", when("StringNotLike", tag, "a*"), asks(get, "user=ab"), false),
		is("IfExists of nothing", when("StringEqualsIfExists", tag, "a"), asks(get), true),
		is("IfExists of another", when("StringEqualsIfExists", tag, "a"), asks(get, "user=b"), false),
		is("Bool", when("Bool", tag, "true"), asks(get, "user=True"), true),
		is("Null true: it is not there", when("Null", tag, "true"), asks(get), true),
		is("Null true, but it is", when("Null", tag, "true"), asks(get, "user=a"), false),
		is("Null false: it is there", when("Null", tag, "false"), asks(get, "user=a"), true),
		is("Null false, but it is not", when("Null", tag, "false"), asks(get), false),
		is("ArnLike", when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::1:role/*"),
			principal("arn:aws:iam::1:role/turn"), true),
		is("ArnEquals takes wildcards too", when("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/turn"),
			principal("arn:aws:iam::1:role/turn"), true),
		is("* does not reach over a colon", when("ArnLike", "aws:PrincipalArn", "arn:*:role/turn"),
			principal("arn:aws:iam::1:role/turn"), false),
		is("two conditions", both, asks(get, "user=a", "key=k"), true),
		is("two conditions, one fails", both, asks(get, "user=a"), false),
		is("ForAllValues", when("ForAllValues:StringEquals", leads, "a", "b"), asks(get, "key=a", "key=b"), true),
		is("ForAllValues, one is not", when("ForAllValues:StringEquals", leads, "a"), asks(get, "key=a", "key=b"),
			false),
		is("ForAllValues of nothing", when("ForAllValues:StringEquals", leads, "a"), asks(get), true),
		is("ForAnyValue", when("ForAnyValue:StringEquals", leads, "a"), asks(get, "key=b", "key=a"), true),
		is("ForAnyValue, none is", when("ForAnyValue:StringEquals", leads, "a"), asks(get, "key=b"), false),
		is("ForAnyValue of nothing", when("ForAnyValue:StringEquals", leads, "a"), asks(get), false),
		is("ForAllValues of a negation", when("ForAllValues:StringNotEquals", leads, "a"), asks(get, "key=b", "key=a"),
			false),
	}
}

// principal is a request of the role with this ARN.
func principal(arn string) iam.Request {
	r := asks(get)
	r.Context["aws:principalarn"] = []string{arn}
	return r
}

// ofUsers are what the user role's condition makes of requests.
func ofUsers() []decided {
	is := func(name string, r iam.Request, want iam.Decision) decided {
		return decided{"a user's: " + name, statements(allow(get+" dynamodb:BatchGetItem", own())), r, want}
	}
	return []decided{
		is("own", asks(get, "user=bob", "key=U#bob"), iam.Allow),
		is("own log", asks(get, "user=bob", "key=U#bob#T#t1#e"), iam.Allow),
		is("another's", asks(get, "user=bob", "key=U#alice"), iam.Implicit),
		is("one whose name begins so", asks(get, "user=bob", "key=U#bobby"), iam.Implicit),
		is("the log of one whose name begins so", asks(get, "user=bob", "key=U#bobby#T#t#e"), iam.Implicit),
		is("one that begins another's name", asks(get, "user=bobby", "key=U#bob"), iam.Implicit),
		is("an escaped neighbour", asks(get, "user=a", "key=U#a=23b"), iam.Implicit),
		is("the other way round", asks(get, "user=a=23b", "key=U#a#b"), iam.Implicit),
		is("a connection's owner", asks(get, "user=bob", "key=C#x"), iam.Implicit),
		is("the index's shard", asks(get, "user=bob", "key=L#03"), iam.Implicit),
		is("without the prefix", asks(get, "user=bob", "key=bob"), iam.Implicit),
		is("in another case", asks(get, "user=bob", "key=U#Bob"), iam.Implicit),
		is("an empty key", asks(get, "user=bob", "key="), iam.Implicit),
		is("two of own", asks("dynamodb:BatchGetItem", "user=bob", "key=U#bob", "key=U#bob#D"), iam.Allow),
		is("own and another's", asks("dynamodb:BatchGetItem", "user=bob", "key=U#bob", "key=U#alice"), iam.Implicit),
		is("no key", asks(get, "user=bob"), iam.Implicit),
		is("no tag", asks(get, "key=U#bob"), iam.Implicit),
		is("no tag, and a key that fits none", asks(get, "key=U#"), iam.Implicit),
		is("an empty tag's root", asks(get, "user=", "key=U#bob"), iam.Implicit),
		is("a scan", asks(scan, "user=bob"), iam.Implicit),
		is("PartiQL", asks("dynamodb:PartiQLSelect", "user=bob", "key=U#bob"), iam.Implicit),
		is("the index", about(table+"/index/live", asks("dynamodb:Query", "user=bob", "key=L#03")), iam.Implicit),
		// What would be without the two Null: a scan that is granted reaches everybody.
		{"ForAllValues alone lets a scan through", statements(allow(scan,
			when("ForAllValues:StringLike", leads, "U#${aws:PrincipalTag/user}"))),
			asks(scan, "user=bob"), iam.Allow},
		// User keys hold no wildcard. One in a tag would be taken for one here, the stricter reading.
		{"a wildcard in a tag", statements(allow(get, own())), asks(get, "user=b*", "key=U#bob"), iam.Allow},
	}
}

func TestDecisions(t *testing.T) {
	all := append(append(logic(), operators()...), ofUsers()...)
	if len(all) < 60 {
		t.Errorf("%d cases", len(all))
	}
	for _, c := range all {
		p, err := iam.Compile(c.policy)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := p.Decide(c.asked); got != c.want {
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
	no := s
	no.Effect, no.Condition = "Deny", nil
	for _, c := range []struct {
		name, principal string
		policy          *iam.Policy
		asked           iam.Request
		want            iam.Decision
	}{
		{"who is trusted", "turn", trusts(s), with, iam.Allow},
		{"who is not", "message", trusts(s), with, iam.Implicit},
		{"without the tag", "turn", trusts(s), iam.Request{Action: "sts:AssumeRole"}, iam.Implicit},
		{"another action", "turn", trusts(s), iam.Request{Action: "sts:TagSession", Context: with.Context},
			iam.Implicit},
		{"who is shut out", "turn", trusts(s, no), with, iam.Deny},
	} {
		if got := c.policy.Trusts(c.principal, c.asked); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// What is not known is an error, not a statement that means something else.
func TestUnknown(t *testing.T) {
	for want, s := range map[string]iam.Statement{
		`operator "NumericEquals"`:              allow(get, when("NumericEquals", tag, "1")),
		`operator "ForSomeValues:StringEquals"`: allow(get, when("ForSomeValues:StringEquals", tag, "1")),
		`operator ":StringEquals"`:              allow(get, when(":StringEquals", tag, "1")),
		`operator "ForAllValues:Null" is none`:  allow(get, when("ForAllValues:Null", tag, "true")),
		`operator "stringequals"`:               allow(get, when("stringequals", tag, "1")),
		`key "aws:SourceIp"`:                    allow(get, when("StringEquals", "aws:SourceIp", "1")),
		`variable ${aws:username}`:              allow(get, when("StringEquals", tag, "${aws:username}")),
		`variable ${aws:PrincipalTag/user, '`:   allow(get, when("StringLike", tag, "${aws:PrincipalTag/user, '*'}")),
		`variable ${aws:userid}`:                on(table+"/${aws:userid}", allow(get, nil)),
		`has many values`:                       allow(get, when("StringLike", leads, "U#*")),
		`has no value`:                          allow(get, when("StringEquals", tag)),
		`must be true or false`:                 allow(get, when("Null", tag, "yes")),
		`the effect "allow" is neither`:         {Effect: "allow", Action: []string{get}, Resource: []string{"*"}},
	} {
		if _, err := iam.Compile([]iam.Statement{s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
