package access_test

import (
	"strings"
	"testing"

	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/iam"
	"carrel/infra/local/sts"
	"carrel/infra/local/template"
)

// startGuard starts a guard for the table T and a function F with these policies.
func startGuard(t testing.TB, policies ...iam.Statement) (*access.Guard, error) {
	t.Helper()
	g, err := access.Start(&template.Template{
		Tables:    []template.Table{{Name: "T", Hash: template.Key{Name: "pk", Type: "S"}}},
		Functions: []template.Function{{LogicalID: "F", Name: "f", Role: "arn:aws:iam::1:role/f", Policies: policies}},
	}, access.Location{Region: "r", Account: "1"}, map[string]sts.Key{"F": {ID: "KEY", Secret: "secret"},
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

func statement(effect, action string) iam.Statement {
	return iam.Statement{Effect: effect, Action: []string{action}, Resource: []string{"arn:aws:dynamodb:r:1:table/T"}}
}

const getX = `{"TableName":"T","Key":{"pk":{"S":"x"}}}`

func TestGuard_Allow(t *testing.T) {
	g, err := startGuard(t, statement("Allow", "dynamodb:GetItem"), statement("Allow", "dynamodb:PutItem"),
		statement("Deny", "dynamodb:PutItem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, token, operation, body, code, message string }{
		{"KEY", "", "GetItem", getX, "", ""},
		{"KEY", "of an environment", "GetItem", getX, "", ""},
		{"OTHER", "", "GetItem", getX, "UnrecognizedClientException", ""},
		{"KEY", "", "DeleteItem", getX, "AccessDeniedException",
			"no identity-based policy allows the dynamodb:DeleteItem action"},
		{"KEY", "", "PutItem", strings.Replace(getX, "Key", "Item", 1), "AccessDeniedException", "explicit deny"},
		{"KEY", "", "Scan", `{"TableName":"T"}`, "AccessDeniedException",
			"dynamodb:Scan on resource: arn:aws:dynamodb:r:1:table/T "},
		{"KEY", "", "GetItem", `{"TableName":"T","Key":{}}`, "ValidationException", ""},
		{access.OperatorKey, "", "Scan", `{"TableName":"T"}`, "", ""},
	} {
		d := g.Allow(c.key, c.token, c.operation, []byte(c.body))
		if d == nil && c.code != "" || d != nil && (d.Code != c.code || !strings.Contains(d.Message, c.message)) {
			t.Errorf("%s %s: %+v, want %s", c.key, c.operation, d, c.code)
		}
	}
	if g.Name("KEY") != "F" || g.Name("OTHER") != "OTHER" {
		t.Errorf("names %s, %s", g.Name("KEY"), g.Name("OTHER"))
	}
	bad := statement("Allow", "dynamodb:GetItem")
	bad.Condition = map[string]map[string][]string{"IpAddress": {"aws:SourceIp": {"10.0.0.0/8"}}}
	if _, err := startGuard(t, bad); err == nil || !strings.Contains(err.Error(),
		`compile the policies of F: iam: the condition operator "IpAddress"`) {
		t.Errorf("a policy with an unknown operator: %v", err)
	}
}

// BenchmarkAllow measures one authorization.
func BenchmarkAllow(b *testing.B) {
	g, err := startGuard(b, statement("Allow", "dynamodb:GetItem"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d := g.Allow("KEY", "", "GetItem", []byte(getX)); d != nil {
			b.Fatal(d)
		}
	}
}
