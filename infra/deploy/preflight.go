package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"carrel/infra/local/template"
)

// account is what the preflight reads.
type account struct {
	id, partition, region string
	stackNow              *stack // nil if no stack has that name
	logRole               string // by which API Gateway writes logs; empty: none, or not readable
	logRoleRead           bool
	unreserved            int // concurrency that no function has reserved
	quotaRead             bool
	stackPolicy           string // empty: none
	stackPolicyRead       bool
}

// chooseRegion finds the Region and sets both variables: the AWS CLI reads AWS_REGION, and SAM reads AWS_DEFAULT_REGION
// alone.
func (d *deployment) chooseRegion(ctx context.Context) error {
	first, second := d.variable("AWS_REGION"), d.variable("AWS_DEFAULT_REGION")
	if first != "" && second != "" && first != second {
		return fmt.Errorf("AWS_REGION is %s and AWS_DEFAULT_REGION is %s: unset one of them", first, second)
	}
	source := "AWS_REGION"
	if first == "" {
		source = "AWS_DEFAULT_REGION"
	}
	d.region = cmp.Or(first, second)
	if d.region == "" {
		source = "the AWS CLI's configuration"
		out, err := d.output(ctx, answerTime, "aws", "configure", "get", "region") // its status is 1 if there is none
		var none *awsError
		if err != nil && !errors.As(err, &none) {
			return fmt.Errorf("ask the AWS CLI for the Region: %w", err)
		}
		d.region = strings.TrimSpace(string(out))
	}
	if d.region == "" {
		return errors.New("no Region is chosen: set AWS_REGION, or run aws configure")
	}
	if !regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`).MatchString(d.region) {
		return fmt.Errorf("%s says %q, which is not a Region's name: a Region is called like eu-central-1", source,
			d.region)
	}
	d.env = append(d.env, "AWS_REGION="+d.region, "AWS_DEFAULT_REGION="+d.region)
	return nil
}

// variable is an environment variable's value.
func (d *deployment) variable(name string) string {
	for _, v := range slices.Backward(d.env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// identify asks whose credentials these are.
func (d *deployment) identify(ctx context.Context) error {
	var caller struct{ Account, Arn string }
	err := d.aws(ctx, &caller, "sts", "get-caller-identity")
	var answer *awsError
	switch {
	case errors.As(err, &answer) && strings.Contains(answer.message, "Could not connect to the endpoint URL"):
		return fmt.Errorf("there is no Region %s, or this machine does not reach AWS: %w", d.region, err)
	case errors.As(err, &answer) && answer.code == "InvalidClientTokenId":
		return fmt.Errorf("AWS does not know these credentials in %s: renew them (aws configure, aws sso login), or "+
			"enable the Region "+
			"for the account: %w", d.region, err)
	case err != nil:
		return fmt.Errorf("AWS accepts no credentials from here: run aws configure, or aws sso login: %w", err)
	}
	parts := strings.Split(caller.Arn, ":")
	if len(parts) < 5 || caller.Account == "" {
		return fmt.Errorf("AWS names the caller %q: this is not an ARN", caller.Arn)
	}
	d.id, d.partition = caller.Account, parts[1]
	return nil
}

// readAccount reads the account. A read that is denied is a warning: the deploy itself may still be allowed.
func (d *deployment) readAccount(ctx context.Context) error {
	var gateway struct{ CloudwatchRoleArn string }
	err := d.aws(ctx, &gateway, "apigateway", "get-account")
	d.logRole, d.logRoleRead = gateway.CloudwatchRoleArn, err == nil
	if err := d.unread(err, "whether API Gateway has a role that writes logs"); err != nil {
		return err
	}
	var functions struct {
		AccountLimit struct{ ConcurrentExecutions, UnreservedConcurrentExecutions int }
	}
	err = d.aws(ctx, &functions, "lambda", "get-account-settings")
	d.unreserved, d.quotaRead = functions.AccountLimit.UnreservedConcurrentExecutions, err == nil
	if err := d.unread(err, "how many functions may run at once"); err != nil {
		return err
	}
	if d.stackNow, err = d.describe(ctx); err != nil {
		return err
	}
	if d.first() {
		d.stackPolicyRead = true // it has none
		return d.readLogGroups(ctx)
	}
	var policy struct{ StackPolicyBody string }
	err = d.aws(ctx, &policy, "cloudformation", "get-stack-policy", "--stack-name", d.stack)
	d.stackPolicy, d.stackPolicyRead = policy.StackPolicyBody, err == nil
	return d.unread(err, "whether the stack has its policy")
}

// readLogGroups refuses a new stack whose log groups exist. An earlier stack leaves them if a function still writes
// while they are deleted: Lambda then creates the group again.
func (d *deployment) readLogGroups(ctx context.Context) error {
	if d.stackNow != nil { // its own are deleted with it
		return nil
	}
	var answer struct {
		LogGroups []struct{ LogGroupName string }
	}
	err := d.aws(ctx, &answer, "logs", "describe-log-groups", "--log-group-name-prefix", "/"+d.stack+"/")
	if err := d.unread(err, "which log groups exist"); err != nil || len(answer.LogGroups) == 0 {
		return err
	}
	text := "an earlier stack of this name left its logs, which a new stack cannot take over. Remove them, or choose " +
		"another name with CARREL_STACK:"
	for _, group := range answer.LogGroups {
		text += fmt.Sprintf("\n  aws logs delete-log-group --region %s --log-group-name %s", d.region,
			group.LogGroupName)
	}
	return errors.New(text)
}

// unread turns an error of a denied read into a warning.
func (d *deployment) unread(err error, what string) error {
	if err == nil || !denied(err) {
		return err
	}
	var answer *awsError
	errors.As(err, &answer)
	d.warn("the preflight may not read %s (%s is denied), and so does not check it", what, answer.operation)
	return nil
}

// first reports whether the stack is still to be made.
func (d *deployment) first() bool {
	return d.stackNow == nil || d.stackNow.StackStatus == "REVIEW_IN_PROGRESS" || d.stackNow.neverWorked()
}

// keeps is the value that a parameter will have: the given one, the stack's, or the template's default.
func (d *deployment) keeps(name string) string {
	if value, ok := d.given[name]; ok {
		return value
	}
	if !d.first() && d.stackNow.hasParameter(name) {
		return d.stackNow.parameter(name)
	}
	return d.defaults[name]
}

// checkParameters compares the parameters with the account, and chooses AccessLogs for a new stack.
func (d *deployment) checkParameters(context.Context) error {
	values := map[string]string{}
	for name := range d.defaults {
		values[name] = d.keeps(name)
	}
	if _, err := template.Parameters(d.source, template.Options{Parameters: values}); err != nil {
		return fmt.Errorf("PARAMETERS: %w", err)
	}
	if d.partition != "aws" && (d.keeps("Page") != "off" || d.keeps("Issuer") == "") {
		return fmt.Errorf("the partition %s has no CloudFront and no Cognito sign-in page that the template can use: "+
			"deploy with Page=off and "+
			"an Issuer of your own", d.partition)
	}
	if err := d.checkLogs(); err != nil {
		return err
	}
	return d.checkConcurrency()
}

func (d *deployment) checkLogs() error {
	_, given := d.given["AccessLogs"]
	switch logs := d.keeps("AccessLogs"); {
	case !d.logRoleRead:
		return nil
	case !given && d.first() && d.logRole != "":
		d.given["AccessLogs"] = "on"
		d.say("AccessLogs=on: API Gateway has a role in this account that writes logs.")
	case !given && d.first():
		d.say("AccessLogs=off: API Gateway has no role in this account and Region that writes logs. " +
			"AccessLogs=with-role makes one.")
	case logs == "on" && d.logRole == "" && given:
		return errors.New("AccessLogs=on needs a role by which API Gateway writes logs, and this account has none " +
			"in " + d.region +
			": deploy with AccessLogs=with-role, which makes one, or AccessLogs=off")
	case logs == "on" && d.logRole == "":
		d.warn("the stack has AccessLogs=on, and API Gateway no longer has a role that writes logs: " +
			"AccessLogs=with-role makes one")
	case logs == "with-role" && given && d.logRole != "" && !strings.Contains(d.logRole, "/"+d.stack+"-ApiLogRole-"):
		d.warn("AccessLogs=with-role replaces the role %s, by which all APIs of the account in %s write logs; "+
			"AccessLogs=on uses it", d.logRole, d.region)
	}
	return nil
}

const (
	spared       = 100 // the concurrency that Lambda keeps for functions without a reserve
	sweepReserve = 10  // what the template reserves for sweep beside TurnConcurrency
)

func (d *deployment) checkConcurrency() error {
	reserve, err := strconv.Atoi(d.keeps("TurnConcurrency"))
	if err != nil {
		return fmt.Errorf("TurnConcurrency: %w", err)
	}
	if !d.quotaRead {
		return nil
	}
	raise := fmt.Sprintf("aws service-quotas request-service-quota-increase --region %s --service-code lambda "+
		"--quota-code L-B99A9384 --desired-value 1000", d.region)
	_, given := d.given["TurnConcurrency"]
	free := d.unreserved + d.reservedNow()
	if reserve > 0 && (given || d.first()) && free-reserve-sweepReserve < spared {
		return fmt.Errorf("TurnConcurrency=%d cannot be reserved: %d functions may run at once in this account "+
			"without a reserve, and Lambda "+
			"keeps %d of them, and sweep gets %d. Leave TurnConcurrency out, or ask for a higher quota: %s", reserve,
			free, spared, sweepReserve, raise)
	}
	if free < spared {
		d.warn("only %d functions may run at once in this account, and each run takes one while it works. Ask for a "+
			"higher quota: %s", free, raise)
	}
	if proposal := free - 2*spared; reserve == 0 && d.first() && proposal >= spared {
		d.say("TurnConcurrency=0: runs are not bounded. TurnConcurrency=%d would keep %d for everything else.",
			proposal, 2*spared)
	}
	return nil
}

// reservedNow is what the stack has reserved already.
func (d *deployment) reservedNow() int {
	if d.first() {
		return 0
	}
	n, err := strconv.Atoi(d.stackNow.parameter("TurnConcurrency"))
	if err != nil || n == 0 { // a stack without this parameter reserves nothing
		return 0
	}
	return n + sweepReserve
}
