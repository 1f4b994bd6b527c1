package access_test

import (
	"strings"
	"testing"

	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
)

func guarded(t testing.TB, policies ...iam.Statement) (*access.Guard, error) {
	t.Helper()
	g, err := access.Start(&template.Template{
		Tables:    []template.Table{{Name: "T", Hash: template.Key{Name: "pk", Type: "S"}}},
		Functions: []template.Function{{LogicalID: "F", Name: "f", Role: "arn:aws:iam::1:role/f", Policies: policies}},
	}, access.Where{Region: "r", Account: "1"}, map[string]sts.Key{"F": {ID: "KEY", Secret: "secret"},
		access.OperatorKey: {ID: access.OperatorKey, Secret: "secret"}})
	if err == nil {
		t.Cleanup(func() {
			if err := g.STS.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return g, err
}

func on(effect, action string) iam.Statement {
	return iam.Statement{Effect: effect, Action: []string{action}, Resource: []string{"arn:aws:dynamodb:r:1:table/T"}}
}

const one = `{"TableName":"T","Key":{"pk":{"S":"x"}}}`

func TestGuard(t *testing.T) {
	g, err := guarded(t, on("Allow", "dynamodb:GetItem"), on("Allow", "dynamodb:PutItem"),
		on("Deny", "dynamodb:PutItem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, token, operation, body, code, says string }{
		{"KEY", "", "GetItem", one, "", ""},
		{"KEY", "of an environment", "GetItem", one, "", ""},
		{"OTHER", "", "GetItem", one, "UnrecognizedClientException", ""},
		{"KEY", "", "DeleteItem", one, "AccessDeniedException",
			"no identity-based policy allows the dynamodb:DeleteItem action"},
		{"KEY", "", "PutItem", strings.Replace(one, "Key", "Item", 1), "AccessDeniedException", "explicit deny"},
		{"KEY", "", "Scan", `{"TableName":"T"}`, "AccessDeniedException",
			"dynamodb:Scan on resource: arn:aws:dynamodb:r:1:table/T "},
		{"KEY", "", "GetItem", `{"TableName":"T","Key":{}}`, "ValidationException", ""},
		{access.OperatorKey, "", "Scan", `{"TableName":"T"}`, "", ""},
	} {
		d := g.Allow(c.key, c.token, c.operation, []byte(c.body))
		if d == nil && c.code != "" || d != nil && (d.Code != c.code || !strings.Contains(d.Message, c.says)) {
			t.Errorf("%s %s: %+v, want %s", c.key, c.operation, d, c.code)
		}
	}
	if g.Name("KEY") != "F" || g.Name("OTHER") != "OTHER" {
		t.Errorf("names %s, %s", g.Name("KEY"), g.Name("OTHER"))
	}
	bad := on("Allow", "dynamodb:GetItem")
	bad.Condition = map[string]map[string][]string{"IpAddress": {"aws:SourceIp": {"10.0.0.0/8"}}}
	if _, err := guarded(t, bad); err == nil || !strings.Contains(err.Error(),
		`the role of F: iam: the condition operator "IpAddress" is not known here`) {
		t.Errorf("a policy that is not known: %v", err)
	}
}

// What a decision costs.
func BenchmarkAllow(b *testing.B) {
	g, err := guarded(b, on("Allow", "dynamodb:GetItem"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d := g.Allow("KEY", "", "GetItem", []byte(one)); d != nil {
			b.Fatal(d)
		}
	}
}
