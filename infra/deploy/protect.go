package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// policyFile is the stack policy: nothing may delete or replace the table, the pool or a bucket.
const policyFile = "infra/deploy/stack-policy.json"

// protectedTypes are the resource types whose resources the stack policy keeps.
func protectedTypes() []string {
	return []string{"AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::S3::Bucket"}
}

// refuseLosses refuses a change set that would delete or replace a resource that the stack policy protects.
// CloudFormation would refuse it too, halfway through the update. If the policy is lifted, refuseLosses warns and names
// the resources.
func (d *deployment) refuseLosses(set changeSet) error {
	var lost []string
	for _, c := range set.Changes {
		if r := c.ResourceChange; r.loses() && slices.Contains(protectedTypes(), r.ResourceType) {
			lost = append(lost, fmt.Sprintf("%s (%s)", r.LogicalResourceID, r.ResourceType))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	names := strings.Join(lost, ", ")
	own, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	if d.stackPolicy != "" && !sameJSON(d.stackPolicy, string(own)) {
		d.warn("these changes delete or replace %s, and the stack policy that forbids this is not in force", names)
		return nil
	}
	return fmt.Errorf("these changes would delete or replace %s, with all that it holds, and the stack policy forbids "+
		"that. Nothing was changed. "+
		"docs/deploying.md explains how to lift the policy", names)
}

// sameJSON reports whether two texts are the same JSON.
func sameJSON(a, b string) bool {
	x, xErr := canonical(a)
	y, yErr := canonical(b)
	return xErr == nil && yErr == nil && x == y
}

// canonical is a JSON text without white space and with its members in order.
func canonical(text string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", err
	}
	out, err := json.Marshal(v)
	return string(out), err
}

// protect ends a first deploy: the table and the pool refuse to be deleted, and the stack gets its policy. The policy
// is set last, so that a stack without one shows a first deploy that was interrupted. A stack whose policy was lifted
// gets it back.
func (d *deployment) protect(ctx context.Context) error {
	own, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	if !d.stackPolicyRead || sameJSON(d.stackPolicy, string(own)) {
		return nil
	}
	wanted := cmp.Or(d.given["DeletionProtection"], d.defaults["DeletionProtection"])
	if d.stackPolicy == "" && d.stackNow.parameter("DeletionProtection") != wanted {
		if err := d.protectData(ctx, wanted); err != nil {
			return fmt.Errorf("the stack %s is deployed, and its table and pool are not yet protected. Run make "+
				"deploy again: %w", d.stack, err)
		}
	}
	if err := d.aws(ctx, nil, "cloudformation", "set-stack-policy", "--stack-name", d.stack, "--stack-policy-body",
		"file://"+policyFile); err != nil {
		return fmt.Errorf("the stack %s is deployed, and has no stack policy yet. Run make deploy again: %w", d.stack,
			err)
	}
	return nil
}

// protectData sets DeletionProtection and nothing else, by a change set of the template that the stack has.
func (d *deployment) protectData(ctx context.Context, value string) error {
	set, name, err := d.propose(ctx, []string{"--use-previous-template"},
		map[string]string{"DeletionProtection": value})
	if err != nil {
		return err
	}
	if set.empty() {
		return d.discard(ctx, name, false)
	}
	d.say("Protecting the table and the pool…")
	return d.execute(ctx, name, false)
}
