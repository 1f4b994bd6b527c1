package arch_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// link allows functions to link an outside package and everything below it. A package that is linked starts with the
// process: its package variables alone may take a millisecond, and a person waits for it.
type link struct {
	path      string
	functions string // separated by spaces
	why       string
}

// The groups of functions in links.
const (
	everyFunction = "authorize connect disconnect message turn sweep"
	withTable     = "connect disconnect message turn sweep"
	withInvoker   = "message turn sweep"
)

// links lists all outside packages of the functions.
func links() []link {
	return []link{
		{"github.com/aws/aws-lambda-go", everyFunction, "Lambda's runtime, and the types of its events"},
		{"github.com/clipperhouse/uax29/v2", everyFunction, "package wire, which has the frames, bounds their texts"},
		{"github.com/coreos/go-oidc/v3", "authorize", "verifies the access token"},
		{"github.com/go-jose/go-jose/v4", "authorize", "go-oidc checks signatures with it"},
		{"golang.org/x/oauth2", "authorize turn", "the types of go-oidc and of the MCP SDK name it"},
		{awsSDK + "/aws", withTable, "the part that all AWS clients share"},
		{awsSDK + "/internal", withTable, "the part that all AWS clients share"},
		{awsSDK + "/service/internal", withTable, "the part that all AWS clients share"},
		{awsSDK + "/credentials", withTable, "signs requests with the function's own credentials"},
		{"github.com/aws/smithy-go", withTable, "the part that all AWS clients share"},
		{awsSDK + "/service/dynamodb", withTable, "the table"},
		{awsSDK + "/feature/dynamodb/attributevalue", withTable, "package store encodes items with it"},
		{awsSDK + "/service/dynamodbstreams", withTable, "attributevalue converts its types too"},
		{awsSDK + "/service/apigatewaymanagementapi", "connect message turn sweep", "posts to connections"},
		{awsSDK + "/service/lambda", withInvoker, "invokes turn"},
		{awsSDK + "/service/bedrockruntime", "turn", "calls the models of Bedrock"},
		{awsSDK + "/service/sts", "turn sweep", "credentials that reach one user's data only"},
		{"github.com/google/jsonschema-go", "message turn", "package tool, which the agents of package agent name"},
		{"go.yaml.in/yaml/v3", "message turn", "package agent reads the definitions of the agents"},
		{"github.com/modelcontextprotocol/go-sdk", "turn", "package mcp calls MCP servers"},
		{"github.com/segmentio", "turn", "the MCP SDK encodes JSON with it"},
		{"github.com/yosida95/uritemplate/v3", "turn", "the MCP SDK matches addresses with it"},
		{"golang.org/x/sync", "turn", "the MCP SDK waits for goroutines with it"},
		{"golang.org/x/sys", "turn", "the MCP SDK's JSON decoder asks for the processor's features"},
		{"golang.org/x/time", "turn", "the MCP SDK's types name it"},
		{"golang.org/x/text", "message turn", "package tool compares texts as a person sees them"},
	}
}

// schemas is the end of the packages that describe all operations of an AWS service. They build these tables at each
// start: 0.7 ms for Lambda, 0.6 ms for DynamoDB. The releases of the clients in go.mod are the last ones without them.
const schemas = "/schemas"

// linkRule returns the violations of links, and its stale entries. deps has the packages that each function links.
func linkRule(deps map[string][]string) []string {
	var found []string
	used := map[string]bool{}
	for _, function := range slices.Sorted(maps.Keys(deps)) {
		for _, pkg := range deps[function] {
			l := linkOf(pkg)
			switch {
			case strings.HasPrefix(pkg, awsSDK) && strings.HasSuffix(pkg, schemas) && l.path != pkg:
				found = append(found, fmt.Sprintf("%s links %s, which takes up to 0.7 ms of each start: go back to "+
					"the last release of this client without it (docs/performance.md), or list the package in links "+
					"of shared/arch with the reason why the newer release is worth that", function, pkg))
			case !slices.Contains(strings.Fields(l.functions), function):
				found = append(found, fmt.Sprintf("%s links %s: move the code that imports it into a package that "+
					"%[1]s does not import, or list it in links of shared/arch with the reason", function, pkg))
			}
			used[l.path+" "+function] = true
		}
	}
	for _, l := range links() {
		for _, function := range strings.Fields(l.functions) {
			if !used[l.path+" "+function] {
				found = append(found, fmt.Sprintf("%s no longer links %s: remove it from links of shared/arch",
					function, l.path))
			}
		}
	}
	return found
}

// linkOf returns the entry with the longest path that covers the package, or an empty one.
func linkOf(pkg string) (l link) {
	for _, candidate := range links() {
		if under(pkg, []string{candidate.path}) && len(candidate.path) > len(l.path) {
			l = candidate
		}
	}
	return l
}

// linked returns the outside packages that each function links, as make builds it.
func linked(t *testing.T) map[string][]string {
	t.Helper()
	out, err := toolchain(t, nil, "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./functions/...")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	deps := map[string][]string{}
	for line := range strings.Lines(out) {
		packages := strings.Fields(line)
		function := strings.TrimPrefix(packages[0], module+"/functions/")
		deps[function] = slices.DeleteFunc(packages[1:], func(pkg string) bool {
			first, _, _ := strings.Cut(pkg, "/")
			return !strings.Contains(first, ".") // ours, or the standard library's
		})
	}
	return deps
}

func TestLinks(t *testing.T) {
	deps := linked(t)
	if len(deps) < 6 {
		t.Fatalf("only %d functions were found, so the rule would prove nothing", len(deps))
	}
	for _, v := range linkRule(deps) {
		t.Error(v)
	}
	plant := func(function string, packages ...string) map[string][]string {
		planted := maps.Clone(deps)
		planted[function] = packages
		return planted
	}
	for want, planted := range map[string]map[string][]string{
		"authorize links " + awsSDK + "/service/lambda/types: move": plant("authorize", awsSDK+"/service/lambda/types"),
		"connect links github.com/cockroachdb/apd/v3: move":         plant("connect", "github.com/cockroachdb/apd/v3"),
		"sweep links " + awsSDK + "/service/sts/schemas, which":     plant("sweep", awsSDK+"/service/sts/schemas"),
		"disconnect no longer links github.com/aws/smithy-go":       plant("disconnect"),
	} {
		if found := strings.Join(linkRule(planted), "\n"); !strings.Contains(found, want) {
			t.Errorf("the rule does not notice a planted violation: it found %q, want something about %q", found, want)
		}
	}
}
