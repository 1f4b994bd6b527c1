package iam_test

import (
	"fmt"
	"os"
	"testing"

	"carrel/infra/local/iam"
	"carrel/infra/local/template"
	"carrel/infra/testkit"
)

// The MCP servers of the parameter UserMayInvoke, and others beside them.
const (
	ownServer      = "arn:aws:lambda:eu-west-1:123456789012:function:mcp"
	ownGateway     = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:gateway/g-1"
	otherServer    = "arn:aws:lambda:eu-west-1:123456789012:function:mcp2"
	otherAccount   = "arn:aws:lambda:eu-west-1:210987654321:function:mcp"
	otherRegion    = "arn:aws:lambda:eu-west-2:123456789012:function:mcp"
	versionOfIt    = ownServer + ":1"
	otherGateway   = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:gateway/g-2"
	viaURL         = "lambda:invokedviafunctionurl"
	byURL          = "lambda:InvokeFunctionUrl"
	plainly        = "lambda:InvokeFunction"
	throughTheGate = "bedrock-agentcore:InvokeGateway"
)

// rolesWith returns the policies of the user's role and of each function, with these servers.
func rolesWith(t *testing.T, servers string) map[string]*iam.Policy {
	t.Helper()
	source, err := os.ReadFile(testkit.Path(t, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := template.Resolve(source, template.Options{Parameters: map[string]string{
		"Issuer": "http://127.0.0.1:1", "Audience": "a", "TokenKind": "typ", "Origins": "http://127.0.0.1:1",
		"UserMayInvoke": servers}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*iam.Policy{}
	compile := func(name string, statements []iam.Statement) {
		if all[name], err = iam.Compile(statements); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, r := range resolved.Roles {
		compile(r.LogicalID, r.Policies)
	}
	for _, f := range resolved.Functions {
		compile(f.LogicalID, f.Policies)
	}
	return all
}

// A run reaches the servers of UserMayInvoke as its user, a function through its URL only, and no other server. No
// function has these rights with its own role. Without the parameter no role has them.
func TestUserMayInvoke(t *testing.T) {
	t.Attr("row", "B3: a run invokes the servers that the deployment names, and no others")
	type request struct {
		action, resource string
		via              []string // whether the function's URL was called
	}
	allowed := []request{{byURL, ownServer, nil}, {throughTheGate, ownGateway, nil},
		{plainly, ownServer, []string{"true"}}}
	denied := []request{{plainly, ownServer, nil}, {plainly, ownServer, []string{"false"}},
		{"lambda:UpdateFunctionCode", ownServer, nil}, {"bedrock-agentcore:GetGateway", ownGateway, nil}}
	for _, other := range []string{otherServer, otherAccount, otherRegion, versionOfIt, otherGateway, "*",
		"arn:aws:lambda:us-east-1:000000000000:function:carrel-TurnFunction"} {
		for _, action := range []string{byURL, plainly, throughTheGate} {
			denied = append(denied, request{action, other, []string{"true"}})
		}
	}
	decisions := 0
	check := func(role string, p *iam.Policy, r request, want bool) {
		decisions++
		got := p.Decide(iam.Request{Action: r.action, Resource: r.resource,
			Context: map[string][]string{viaURL: r.via}})
		if (got == iam.Allow) != want {
			t.Errorf("%s, %s on %s, through its URL %v: %s", role, r.action, r.resource, r.via, got)
		}
	}
	for role, p := range rolesWith(t, ownServer+","+ownGateway) {
		for _, r := range allowed {
			check(role, p, r, role == "UserRole")
		}
		for _, r := range denied {
			if role == "UserRole" {
				check(role, p, r, false)
			}
		}
	}
	for role, p := range rolesWith(t, "") {
		for _, r := range allowed {
			check("without servers, "+role, p, r, false)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d decisions", decisions))
}
