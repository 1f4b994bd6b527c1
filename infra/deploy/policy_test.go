package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"carrel/infra/template/templatetest"
)

// permissions prints the permissions of CloudFormation's handlers for resource types, as "type permission" lines.
const permissions = `
import sys
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER as schemas
for kind in sys.argv[1:]:
    handlers = schemas.get_resource_schema("us-east-1", kind).schema["handlers"]
    for verb in ("create", "read", "update", "delete"):
        for permission in handlers.get(verb, {}).get("permissions", []):
            print(kind, permission)
`

// matches reports whether a pattern of actions allows an action.
func matches(pattern, action string) bool {
	ok, err := path.Match(pattern, action)
	return err == nil && ok
}

// document is a policy with the rights, one statement for each set of resources.
func document(t *testing.T, all []right) []byte {
	t.Helper()
	by := map[string]map[string]bool{}
	for _, r := range all {
		key := strings.Join(r.on, " ")
		if by[key] == nil {
			by[key] = map[string]bool{}
		}
		for _, action := range r.actions {
			by[key][action] = true
		}
	}
	type statement struct {
		Effect           string
		Action, Resource []string
	}
	var statements []statement
	for _, key := range slices.Sorted(maps.Keys(by)) {
		statements = append(statements, statement{"Allow", slices.Sorted(maps.Keys(by[key])), strings.Fields(key)})
	}
	out, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": statements}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// The policy for the deployer is made of the transformed template's resource types and the calls of make deploy.
func TestPolicy(t *testing.T) {
	types := map[string]bool{}
	for _, r := range templatetest.Transformed(t) {
		types[r.(map[string]any)["Type"].(string)] = true
	}
	var all []right
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		if rightsOf()[kind] == nil {
			t.Errorf("%s has no row in rightsOf: name the rights that CloudFormation needs for it", kind)
		}
		all = append(all, rightsOf()[kind]...)
	}
	for kind := range rightsOf() {
		if !types[kind] {
			t.Errorf("%s has a row in rightsOf, and the template has no such resource: remove the row", kind)
		}
	}
	for _, command := range slices.Sorted(maps.Keys(known())) {
		rights, ok := rightsOfCalls()[command]
		if !ok {
			t.Errorf("%s has no row in rightsOfCalls", command)
		}
		all = append(all, rights...)
	}
	want := document(t, all)
	var short bytes.Buffer
	if err := json.Compact(&short, want); err != nil || short.Len() > 6144 {
		t.Errorf("the policy has %d characters, and IAM allows 6,144 in one managed policy (%v)", short.Len(), err)
	}
	got, err := os.ReadFile("policy.json")
	if err != nil || !bytes.Equal(got, want) {
		if os.Getenv("WRITE") != "" {
			if err := os.WriteFile("policy.json", want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Errorf("policy.json is not the policy of these rights (%v): make it with WRITE=1 go test -run TestPolicy "+
			"./infra/deploy", err)
	}
}

// Each permission that CloudFormation's own handlers name is granted for its type, or is for something that the
// template does not use.
func TestPolicy_Handlers(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(rightsOf()))
	used, lines := map[string]bool{}, 0
	for line := range strings.Lines(string(templatetest.Python(t, permissions, nil, kinds...))) {
		lines++
		kind, action, _ := strings.Cut(strings.TrimSpace(line), " ")
		spared := false
		granted := slices.ContainsFunc(rightsOf()[kind], func(r right) bool {
			return slices.ContainsFunc(r.actions, func(pattern string) bool { return matches(pattern, action) })
		})
		for pattern := range unneeded() {
			if !granted && matches(pattern, kind+" "+action) {
				spared, used[pattern] = true, true
			}
		}
		if !granted && !spared {
			t.Errorf("%s needs %s: grant it in rightsOf, or say in unneeded why not", kind, action)
		}
	}
	for pattern := range unneeded() {
		if !used[pattern] {
			t.Errorf("%s is in unneeded, and no handler names it: remove it", pattern)
		}
	}
	if lines < 100 {
		t.Errorf("%d permissions: the test looks at nothing", lines)
	}
}

// The stack policy denies the loss of each protected type, and allows all other updates.
func TestStackPolicy(t *testing.T) {
	text, err := os.ReadFile("stack-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	type condition struct {
		StringEquals struct{ ResourceType []string }
	}
	var policy struct {
		Statement []struct {
			Effect    string
			Action    any
			Condition *condition
		}
	}
	if err := json.Unmarshal(text, &policy); err != nil || len(policy.Statement) != 2 {
		t.Fatalf("%d statements, %v", len(policy.Statement), err)
	}
	deny := policy.Statement[1]
	actions, err := json.Marshal(deny.Action)
	if err != nil || deny.Effect != "Deny" || string(actions) != `["Update:Replace","Update:Delete"]` ||
		deny.Condition == nil ||
		!slices.Equal(deny.Condition.StringEquals.ResourceType, protectedTypes()) {
		t.Errorf("it denies %s of %+v, %v; want the types %q", actions, deny.Condition, err, protectedTypes())
	}
	found := map[string]bool{}
	for _, r := range templatetest.Transformed(t) {
		found[r.(map[string]any)["Type"].(string)] = true
	}
	for _, kind := range protectedTypes() {
		if !found[kind] {
			t.Errorf("the template has no %s", kind)
		}
	}
}
