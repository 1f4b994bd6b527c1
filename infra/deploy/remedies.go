package main

import (
	"regexp"
	"slices"
	"strings"
)

// remedy is what helps against a failure whose reason matches. Reasons are AWS's words, so a service may change them: a
// reason without a remedy is still printed.
type remedy struct {
	reason string // a regular expression
	advice string // {stack} stands for the stack's name
}

// A role that was just made is not yet known to every part of AWS. The second try comes minutes later.
const roleNotYetEffective = `role ARN does not have required permissions`

// remedies are tried in this order; the first that matches a failure is the advice.
func remedies() []remedy {
	return []remedy{
		{`must be verified before you can add new CloudFront resources`,
			"AWS has not verified this account for CloudFront. Deploy without CloudFront, with PARAMETERS=Page=off, " +
				"and serve the page with make page CARREL_STACK={stack}. Or ask AWS Support to verify the account"},
		{`CloudWatch Logs role ARN must be set in account settings`,
			"API Gateway has no role that writes logs. Deploy with AccessLogs=with-role, which makes one, or with " +
				"AccessLogs=off"},
		{roleNotYetEffective,
			"API Gateway does not yet know its new role. Run make deploy again"},
		{`UnreservedConcurrentExecution below its minimum value`,
			"The account's concurrency is too small for TurnConcurrency. Deploy with TurnConcurrency=0, or ask for a " +
				"higher quota"},
		{`service control policy|permissions boundary`,
			"Your organisation forbids it. Ask its administrators, and name the action and the policy in AWS's words " +
				"above"},
		{`(?i)stack policy`,
			"The stack policy protects the table, the pool and the buckets. docs/deploying.md explains how to lift it"},
		{`(?i)is not authorized to perform|AccessDenied|UnauthorizedOperation`,
			"You lack a right. infra/deploy/policy.json has all rights that make deploy needs"},
		{`(?i)log group.*already exists|AWS::Logs::LogGroup.*already exists`,
			"An earlier stack of this name left its logs. Remove them with aws logs delete-log-group " +
				"--log-group-name NAME, or choose another name with CARREL_STACK"},
		{`(?i)already exists`,
			"The name is taken in this account. Choose another name with CARREL_STACK, or remove the resource of " +
				"that name"},
		{`(?i)tenan(t|cy).*not (supported|available)`,
			"Lambda has no tenant isolation in this Region. Choose another Region, or deploy with TenantIsolation=off"},
		{`(?i)LimitExceeded|quota|limit exceeded|maximum number`,
			"A quota of the account is used up. Ask for a higher one in the console of Service Quotas"},
	}
}

// advise is the advice for failures, each once.
func advise(failures []failure, stack string) (all []string) {
	for _, f := range failures {
		if advice := adviseOne(f.reason, stack); advice != "" && !slices.Contains(all, advice) {
			all = append(all, advice)
		}
	}
	return all
}

// adviseOne is the advice for one reason; empty if there is none.
func adviseOne(reason, stack string) string {
	for _, r := range remedies() {
		if regexp.MustCompile(r.reason).MatchString(reason) {
			return strings.ReplaceAll(r.advice, "{stack}", stack) + "."
		}
	}
	return ""
}

// mayBeRepeated reports whether the only thing that failed is a role that was not yet effective.
func mayBeRepeated(failures []failure) bool {
	if len(failures) == 0 {
		return false
	}
	for _, f := range failures {
		if !regexp.MustCompile(roleNotYetEffective).MatchString(f.reason) {
			return false
		}
	}
	return true
}
