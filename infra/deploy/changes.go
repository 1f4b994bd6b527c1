package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// changeSet is what CloudFormation says of a change set.
type changeSet struct {
	Status, StatusReason string
	Changes              []struct{ ResourceChange resourceChange }
}

// resourceChange is what a change set does to one resource.
type resourceChange struct {
	Action            string
	LogicalResourceID string `json:"LogicalResourceId"`
	ResourceType      string
	Replacement       string
}

// loses reports whether the change deletes the resource, or makes another one in its place.
func (c resourceChange) loses() bool { return c.Action == "Remove" || c.Replacement == "True" }

// empty reports whether a change set failed because there is nothing to change.
func (c changeSet) empty() bool {
	return c.Status == "FAILED" && (strings.Contains(c.StatusReason, "didn't contain changes") ||
		strings.Contains(c.StatusReason, "No updates are to be performed"))
}

// errRepeat is a failure that a second try may not have.
var errRepeat = errors.New("a role was not yet effective")

// question asks the user and reports whether the answer is yes.
type question func(ctx context.Context, text string) bool

// change makes the stack what the template says. It repeats once if a role that it made was not yet effective.
func (d *deployment) change(ctx context.Context, template []string) error {
	err := d.changeOnce(ctx, template, d.ask)
	if !errors.Is(err, errRepeat) {
		return err
	}
	d.say("API Gateway did not yet know its new role. Trying once more.")
	if d.stackNow.neverWorked() {
		if err := d.removeStack(ctx); err != nil {
			return err
		}
	}
	return d.changeOnce(ctx, template, func(context.Context, string) bool { return true })
}

// changeOnce makes a change set, shows it, executes it and waits for it.
func (d *deployment) changeOnce(ctx context.Context, template []string, ask question) error {
	first := d.first()
	values := maps.Clone(d.given)
	if first { // a protected table could not be removed if the first deploy failed; protect sets it afterwards
		values["DeletionProtection"] = "false"
	}
	set, name, err := d.propose(ctx, template, values)
	if err != nil {
		return err
	}
	if set.empty() {
		d.say("The stack %s needs no changes.", d.stack)
		return d.discard(ctx, name, false)
	}
	d.say("Changes to the stack %s in %s, account %s:", d.stack, d.region, d.id)
	d.list(set)
	if err := d.refuseLosses(set); err != nil {
		return errors.Join(err, d.discard(ctx, name, first))
	}
	if !ask(ctx, "Make these changes?") {
		return errors.Join(errors.New("nothing was changed"), d.discard(ctx, name, first))
	}
	return d.execute(ctx, name, first)
}

// propose makes a change set. It returns an empty change set, without an error, if there is nothing to change.
func (d *deployment) propose(
	ctx context.Context, template []string, values map[string]string,
) (set changeSet, name string, err error) {
	folder, err := os.MkdirTemp("", "carrel-deploy-")
	if err != nil {
		return set, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, "parameters.json")
	text, err := json.Marshal(d.parameters(values))
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return set, "", err
	}
	kind := "UPDATE"
	if d.first() {
		kind = "CREATE"
	}
	name = "carrel-" + time.Now().UTC().Format("20060102T150405")
	args := append([]string{"cloudformation", "create-change-set", "--stack-name", d.stack, "--change-set-name", name,
		"--change-set-type", kind,
		"--capabilities", "CAPABILITY_IAM", "--parameters", "file://" + file}, template...)
	if err := d.aws(ctx, nil, args...); err != nil {
		return set, "", d.explain("CloudFormation refuses the change set", err)
	}
	waited := d.aws(ctx, nil, "cloudformation", "wait", "change-set-create-complete", "--stack-name", d.stack,
		"--change-set-name", name)
	if err := d.aws(ctx, &set, "cloudformation", "describe-change-set", "--stack-name", d.stack, "--change-set-name",
		name); err != nil {
		return set, "", errors.Join(d.explain("the change set cannot be read", err), d.discard(ctx, name, d.first()))
	}
	if set.empty() || set.Status == "CREATE_COMPLETE" && waited == nil {
		return set, name, nil
	}
	reason := cmp.Or(set.StatusReason, "it is "+set.Status)
	failed := fmt.Errorf("CloudFormation could not make the change set: %s", reason)
	if advice := adviseOne(reason, d.stack); advice != "" {
		failed = fmt.Errorf("%w\n%s", failed, advice)
	}
	return set, "", errors.Join(failed, d.discard(ctx, name, d.first()))
}

// explain adds the advice for an error's reason, if there is any.
func (d *deployment) explain(what string, err error) error {
	if advice := adviseOne(err.Error(), d.stack); advice != "" {
		return fmt.Errorf("%s: %w\n%s", what, err, advice)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// parameter is one parameter as the AWS CLI takes it.
type parameter struct {
	ParameterKey     string
	ParameterValue   *string `json:",omitempty"`
	UsePreviousValue bool    `json:",omitempty"`
}

// parameters are the given values. Every other parameter of the stack keeps its value.
func (d *deployment) parameters(values map[string]string) []parameter {
	all := []parameter{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		all = append(all, parameter{ParameterKey: name, ParameterValue: &value})
	}
	if d.first() {
		return all
	}
	for _, p := range d.stackNow.Parameters {
		_, given := values[p.ParameterKey]
		if _, declared := d.defaults[p.ParameterKey]; declared && !given {
			all = append(all, parameter{ParameterKey: p.ParameterKey, UsePreviousValue: true})
		}
	}
	return all
}

// list prints what a change set does.
func (d *deployment) list(set changeSet) {
	for _, c := range set.Changes {
		r := c.ResourceChange
		sign := map[string]string{"Add": "+", "Modify": "~", "Remove": "-"}[r.Action]
		note := map[string]string{"True": "   (replaced)", "Conditional": "   (perhaps replaced)"}[r.Replacement]
		d.say("  %s %-28s %s%s", cmp.Or(sign, r.Action), r.LogicalResourceID, r.ResourceType, note)
	}
}

// discard deletes a change set. A stack that exists for the change set alone goes with it. It does so after Ctrl-C as
// well.
func (d *deployment) discard(ctx context.Context, name string, stack bool) error {
	ctx = context.WithoutCancel(ctx)
	if err := d.aws(ctx, nil, "cloudformation", "delete-change-set", "--stack-name", d.stack, "--change-set-name",
		name); err != nil {
		return fmt.Errorf("delete the change set %s: %w", name, err)
	}
	if !stack {
		return nil
	}
	if err := d.aws(ctx, nil, "cloudformation", "delete-stack", "--stack-name", d.stack); err != nil {
		return fmt.Errorf("delete the empty stack %s: %w", d.stack, err)
	}
	return nil
}

// execute executes a change set and waits for its end.
func (d *deployment) execute(ctx context.Context, name string, first bool) error {
	if err := d.aws(ctx, nil, "cloudformation", "execute-change-set", "--stack-name", d.stack, "--change-set-name",
		name); err != nil {
		return d.explain("CloudFormation does not execute the change set", err)
	}
	waiter := "stack-update-complete"
	if first {
		waiter = "stack-create-complete"
		d.say("Making the stack. The first time takes some ten minutes.")
	}
	waited := d.aws(ctx, nil, "cloudformation", "wait", waiter, "--stack-name", d.stack)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: CloudFormation goes on with the stack %s. Run make deploy again when it has "+
			"ended", d.stack)
	}
	now, err := d.describe(ctx)
	if err != nil {
		return errors.Join(waited, err)
	}
	d.stackNow = now
	switch {
	case now == nil:
		return errors.Join(fmt.Errorf("the stack %s has gone while it was deployed", d.stack), waited)
	case strings.HasSuffix(now.StackStatus, "_IN_PROGRESS"):
		return errors.Join(fmt.Errorf("the stack %s is still %s: run make deploy again when it has ended", d.stack,
			now.StackStatus), waited)
	case waited == nil && now.works() && now.StackStatus != "UPDATE_ROLLBACK_COMPLETE":
		return nil
	}
	return d.failed(ctx, now)
}

// failed says why an executed change set failed, and what helps.
func (d *deployment) failed(ctx context.Context, now *stack) error {
	failures, err := d.failures(ctx, now.StackID)
	if err != nil {
		return fmt.Errorf("the deploy failed, the stack %s is %s, and why cannot be read: %w", d.stack,
			now.StackStatus, err)
	}
	if mayBeRepeated(failures) && now.StackStatus != "ROLLBACK_FAILED" && now.StackStatus != "UPDATE_ROLLBACK_FAILED" {
		err = errRepeat
	}
	state := map[string]string{
		"ROLLBACK_COMPLETE": "CloudFormation has removed everything again. The next make deploy offers to " +
			"delete the empty stack",
		"ROLLBACK_FAILED": "CloudFormation could not remove every resource. The next make deploy offers to " +
			"try again",
		"UPDATE_ROLLBACK_COMPLETE": "CloudFormation has undone the changes, and the stack is as before",
	}[now.StackStatus]
	state = cmp.Or(state, "the next make deploy names the way out")
	text := fmt.Sprintf("the deploy failed, and the stack %s is %s: %s%s", d.stack, now.StackStatus, state,
		lines(failures))
	for _, advice := range advise(failures, d.stack) {
		text += "\n" + advice
	}
	if err != nil {
		return fmt.Errorf("%s (%w)", text, err)
	}
	return errors.New(text)
}
