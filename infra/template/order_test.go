package template_test

import (
	"maps"
	"slices"
	"testing"
)

// before are pairs of resources of which the first must exist before the second is made, although no property of the
// second needs a value of the first.
func before() [][2]string {
	return [][2]string{
		{"ApiLogAccount", "ApiStage"},       // API Gateway refuses a stage with a log while the account has no log role
		{"TurnInvokes", "TurnInvokeConfig"}, // Lambda checks that turn may invoke its failure destination
		{"Grants", "PageSignIn"},            // Cognito refuses a client whose scopes do not exist
		{"Grants", "ProbeA"},
		{"Grants", "ProbeB"},
	}
}

// implies holds which condition holds whenever another one does.
func implies(condition, other any) bool {
	return condition == other || condition == "HasProbes" && other == "OwnPool"
}

// waits are the resources that CloudFormation makes before one, directly or not.
func waits(resources object, id string, seen map[string]bool) map[string]bool {
	wait := func(to string) {
		if resources[to] != nil && !seen[to] {
			seen[to] = true
			waits(resources, to, seen)
		}
	}
	references(at(resources, id, "Properties"), wait)
	for _, to := range list(at(resources, id, "DependsOn")) {
		wait(to.(string))
	}
	return seen
}

func TestOrderOfPairs(t *testing.T) {
	resources := transformed(t)
	for _, pair := range before() {
		if resources[pair[0]] == nil || resources[pair[1]] == nil {
			t.Errorf("the template has no %s or no %s: remove the pair", pair[0], pair[1])
		} else if !waits(resources, pair[1], map[string]bool{})[pair[0]] {
			t.Errorf("%s does not wait for %s", pair[1], pair[0])
		}
	}
}

// A resource that only exists under a condition is waited for by a reference inside of !If. DependsOn is for a resource
// that exists whenever the waiting resource does.
func TestOrderOfConditionalResources(t *testing.T) {
	resources := transformed(t)
	conditional := 0
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		for _, to := range list(at(resources, id, "DependsOn")) {
			condition := at(resources, to.(string), "Condition")
			if condition != nil && !implies(at(resources, id, "Condition"), condition) {
				t.Errorf("%s depends on %s, which exists only if %v: refer to it with !If", id, to, condition)
			}
		}
		if at(resources, id, "Condition") != nil {
			conditional++
		}
	}
	if conditional == 0 {
		t.Error("no resource has a condition: the test looks at nothing")
	}
	equal(t, resources, "{Fn::If:[MakesLogRole,[{Key:log-role,Value:{Ref:ApiLogAccount}}],{Ref:AWS::NoValue}]}",
		"ApiLogs", "Properties", "Tags")
}
