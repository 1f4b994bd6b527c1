package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// stack is what CloudFormation says of a stack.
type stack struct {
	StackID           string `json:"StackId"`
	StackStatus       string
	StackStatusReason string
	Parameters        []struct{ ParameterKey, ParameterValue string }
	Outputs           []struct{ OutputKey, OutputValue string }
}

// output is the value of one of the stack's outputs; empty if it has none of that name.
func (s *stack) output(name string) string {
	for _, o := range s.Outputs {
		if o.OutputKey == name {
			return o.OutputValue
		}
	}
	return ""
}

// parameter is the value of one of the stack's parameters; empty if it has none of that name.
func (s *stack) parameter(name string) string {
	for _, p := range s.Parameters {
		if p.ParameterKey == name {
			return p.ParameterValue
		}
	}
	return ""
}

// hasParameter reports whether the stack has a parameter: an older one may lack it.
func (s *stack) hasParameter(name string) bool {
	for _, p := range s.Parameters {
		if p.ParameterKey == name {
			return true
		}
	}
	return false
}

// neverWorked reports whether the stack's first deploy failed. Such a stack holds no data.
func (s *stack) neverWorked() bool {
	return slices.Contains([]string{"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}, s.StackStatus)
}

// works reports whether the stack is complete and may be updated.
func (s *stack) works() bool {
	return slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}, s.StackStatus)
}

// describe reads the stack. It returns nil if no stack has that name. Without this right nothing can be deployed:
// whether the stack is to be made or updated would be unknown, and so would its outputs, which the page needs.
func (d *deployment) describe(ctx context.Context) (*stack, error) {
	var answer struct{ Stacks []stack }
	err := d.aws(ctx, &answer, "cloudformation", "describe-stacks", "--stack-name", d.stack)
	var failed *awsError
	switch {
	case errors.As(err, &failed) && failed.code == "ValidationError" &&
		strings.Contains(failed.message, "does not exist"):
		return nil, nil
	case denied(err):
		return nil, fmt.Errorf("the stack %s cannot be read, and so cannot be deployed: give yourself the rights of "+
			"infra/deploy/policy.json: %w", d.stack, err)
	case err != nil:
		return nil, fmt.Errorf("read the stack %s: %w", d.stack, err)
	case len(answer.Stacks) != 1:
		return nil, fmt.Errorf("read the stack %s: CloudFormation names %d stacks", d.stack, len(answer.Stacks))
	}
	return &answer.Stacks[0], nil
}

// checkStack refuses a stack that cannot be updated, with the way out.
func (d *deployment) checkStack(ctx context.Context) error {
	s := d.stackNow
	switch {
	case s == nil || d.first():
		return nil
	case s.works() && s.output("WebSocket") == "":
		return fmt.Errorf("the stack %s in %s is another program's: it has no output WebSocket. Choose another name "+
			"with CARREL_STACK", d.stack, d.region)
	case s.works():
		return nil
	case strings.HasSuffix(s.StackStatus, "_IN_PROGRESS"):
		return fmt.Errorf("the stack %s is %s: another deploy is at work. Run make deploy again when it has ended",
			d.stack, s.StackStatus)
	}
	ways := map[string]string{
		"DELETE_FAILED": "remove the resources named below, or keep them with aws cloudformation delete-stack " +
			"--stack-name " + d.stack +
			" --retain-resources NAME…; or choose another name with CARREL_STACK",
		"UPDATE_ROLLBACK_FAILED": "repair the resources named below, then run aws cloudformation " +
			"continue-update-rollback --stack-name " + d.stack,
		"UPDATE_FAILED": "run aws cloudformation rollback-stack --stack-name " + d.stack,
	}
	way := ways[s.StackStatus]
	if way == "" {
		way = "look at it in the console of CloudFormation"
	}
	failures, err := d.failures(ctx, s.StackID)
	if err != nil {
		d.warn("why it failed cannot be read: %v", err)
	}
	return fmt.Errorf("the stack %s is %s and cannot be updated: %s%s", d.stack, s.StackStatus, way, lines(failures))
}

// removeFailedStack offers to delete a stack whose first deploy failed: CloudFormation cannot update it.
func (d *deployment) removeFailedStack(ctx context.Context) error {
	s := d.stackNow
	if s == nil || !s.neverWorked() {
		return nil
	}
	failures, err := d.failures(ctx, s.StackID)
	if err != nil {
		d.warn("why it failed cannot be read: %v", err)
	}
	d.say("The stack %s is %s: its first deploy failed%s", d.stack, s.StackStatus, lines(failures))
	for _, advice := range advise(failures, d.stack) {
		d.say("  %s", advice)
	}
	d.say("CloudFormation cannot update such a stack. It never worked, and so it holds no data.")
	if !d.ask(ctx, "Delete it and go on?") {
		return errors.New("nothing was changed: the stack " + d.stack + " must be deleted before it can be deployed")
	}
	return d.removeStack(ctx)
}

// removeStack deletes a stack that holds no data, and waits until it has gone.
func (d *deployment) removeStack(ctx context.Context) error {
	id := d.stackNow.StackID
	if err := d.aws(ctx, nil, "cloudformation", "delete-stack", "--stack-name", id); err != nil {
		return fmt.Errorf("delete the stack %s: %w", d.stack, err)
	}
	d.say("Deleting the stack %s…", d.stack)
	if err := d.aws(ctx, nil, "cloudformation", "wait", "stack-delete-complete", "--stack-name", id); err != nil {
		failures, readErr := d.failures(ctx, id)
		return errors.Join(fmt.Errorf("the stack %s was not deleted: remove the resources named below, or choose "+
			"another name with CARREL_STACK%s",
			d.stack, lines(failures)), readErr, err)
	}
	d.stackNow = nil
	return nil
}

// failure is one resource's failure in the last operation on a stack.
type failure struct{ resource, kind, reason string }

// failures reads what failed in the last operation on the stack, the first failure first.
func (d *deployment) failures(ctx context.Context, id string) ([]failure, error) {
	var answer struct {
		StackEvents []struct {
			StackID            string `json:"StackId"`
			PhysicalResourceID string `json:"PhysicalResourceId"`
			LogicalResourceID  string `json:"LogicalResourceId"`

			ResourceType, ResourceStatus, ResourceStatusReason string
		}
	}
	if err := d.aws(ctx, &answer, "cloudformation", "describe-stack-events", "--stack-name", id, "--max-items",
		"500"); err != nil {
		return nil, err
	}
	var all []failure
	for _, e := range answer.StackEvents { // the newest first
		if e.PhysicalResourceID == e.StackID {
			if slices.Contains([]string{"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"},
				e.ResourceStatus) {
				break // the operation began
			}
			continue
		}
		cancelled := strings.HasPrefix(e.ResourceStatusReason, "Resource ") &&
			strings.Contains(e.ResourceStatusReason, "cancelled")
		if strings.HasSuffix(e.ResourceStatus, "_FAILED") && !cancelled {
			all = append(all, failure{e.LogicalResourceID, e.ResourceType, e.ResourceStatusReason})
		}
	}
	slices.Reverse(all)
	return all, nil
}

// lines prints failures, one a line.
func lines(failures []failure) string {
	var b strings.Builder
	for _, f := range failures {
		fmt.Fprintf(&b, "\n  %s (%s): %s", f.resource, f.kind, f.reason)
	}
	return b.String()
}
