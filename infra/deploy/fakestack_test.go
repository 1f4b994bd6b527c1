package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// fakeStack is a stack of the fake CloudFormation.
type fakeStack struct {
	ID, Status, Template, Policy string
	Parameters                   map[string]string
	Resources                    map[string]string // types by logical id
	Outputs                      map[string]string
	Events                       []map[string]string // the newest first
	Set                          *fakeChangeSet
}

// cloudformation plays CloudFormation, which makes every resource at once.
func (a *fakeAccount) cloudformation(command string, flags map[string]string) (string, error) {
	verb := strings.TrimPrefix(command, "aws cloudformation ")
	operation := operationOf(strings.Fields(command)[1:])
	key, s := a.find(flags["--stack-name"])
	if s == nil && verb != "create-change-set" && verb != "wait stack-delete-complete" {
		return "", awsFailure("ValidationError", operation, "Stack with id %s does not exist", flags["--stack-name"])
	}
	set := flags["--change-set-name"]
	if set != "" && verb != "create-change-set" && (s.Set == nil || s.Set.Name != set) {
		return "", awsFailure("ChangeSetNotFound", operation, "ChangeSet [%s] does not exist", set)
	}
	switch verb {
	case "describe-stacks":
		return answer(map[string]any{"Stacks": []any{s.described(flags["--stack-name"])}})
	case "describe-stack-events":
		return answer(map[string]any{"StackEvents": s.Events})
	case "get-stack-policy":
		if s.Policy == "" {
			return "", nil
		}
		return answer(map[string]any{"StackPolicyBody": s.Policy})
	case "set-stack-policy":
		text, err := os.ReadFile(strings.TrimPrefix(flags["--stack-policy-body"], "file://"))
		s.Policy = string(text)
		return "", err
	case "create-change-set":
		return "", a.createChangeSet(flags, key, s)
	case "describe-change-set":
		return answer(map[string]any{"Status": s.Set.Status, "StatusReason": s.Set.Reason, "Changes": s.Set.Changes})
	case "delete-change-set":
		s.Set = nil
		return "", nil
	case "execute-change-set":
		a.execute(key, s)
		return "", nil
	case "delete-stack":
		a.deleteStack(key, s)
		return "", nil
	}
	return "", waitFor(verb, s)
}

// find finds a stack by its name or its id.
func (a *fakeAccount) find(name string) (key string, s *fakeStack) {
	for key, s := range a.Stacks {
		if s.ID == name {
			return key, s
		}
	}
	key = a.region() + "/" + name
	return key, a.Stacks[key]
}

func (s *fakeStack) described(name string) map[string]any {
	parameters, outputs := []any{}, []any{}
	for key, value := range s.Parameters {
		parameters = append(parameters, map[string]any{"ParameterKey": key, "ParameterValue": value})
	}
	for key, value := range s.Outputs {
		outputs = append(outputs, map[string]any{"OutputKey": key, "OutputValue": value})
	}
	return map[string]any{"StackName": name, "StackId": s.ID, "StackStatus": s.Status, "Parameters": parameters,
		"Outputs": outputs}
}

// waitFor plays a waiter, which ends at once because everything has.
func waitFor(verb string, s *fakeStack) error {
	status, want := "", ""
	switch verb {
	case "wait change-set-create-complete":
		status, want = s.Set.Status, "CREATE_COMPLETE"
	case "wait stack-create-complete":
		status, want = s.Status, "CREATE_COMPLETE"
	case "wait stack-update-complete":
		status, want = s.Status, "UPDATE_COMPLETE"
	case "wait stack-delete-complete":
		if s == nil {
			return nil
		}
		status = s.Status
	}
	if status != want {
		return fmt.Errorf("\nWaiter %s failed: Waiter encountered a terminal failure state: matched expected path: "+
			"%q", verb, status)
	}
	return nil
}

// execute makes what a change set proposes, or fails as the account makes it fail.
func (a *fakeAccount) execute(key string, s *fakeStack) {
	set, create := s.Set, s.Set.Kind == "CREATE"
	s.Set = nil
	s.event(s.ID, "AWS::CloudFormation::Stack", set.Kind+"_IN_PROGRESS", "User Initiated")
	if id, reason := a.obstacle(key, s, set); reason != "" {
		kind := wanted(set.Template, set.Parameters)[id]
		s.event(id, kind, set.Kind+"_FAILED", reason)
		s.event("TurnFunction", "AWS::Lambda::Function", set.Kind+"_FAILED", "Resource creation cancelled")
		s.Status = "UPDATE_ROLLBACK_COMPLETE"
		if create {
			s.Status = "ROLLBACK_COMPLETE"
			s.Parameters = set.Parameters
			if set.Parameters["DeletionProtection"] == "true" { // the table does not let itself be deleted
				s.event("Table", "AWS::DynamoDB::Table", "DELETE_FAILED",
					"Resource cannot be deleted as it is currently protected against deletion.")
				s.Status = "ROLLBACK_FAILED"
			}
		}
		s.event(s.ID, "AWS::CloudFormation::Stack", s.Status, "")
		return
	}
	s.Template, s.Parameters, s.Resources = set.Template, set.Parameters, wanted(set.Template, set.Parameters)
	for _, name := range a.cloudFrontNames(key, s.Template, s.Parameters) {
		a.Names[name] = key
	}
	region, _, _ := strings.Cut(key, "/")
	if s.Parameters["AccessLogs"] == "with-role" {
		a.LogRoles[region] = "arn:aws:iam::123456789012:role/carrel-ApiLogRole-X"
	}
	s.Status = set.Kind + "_COMPLETE"
	s.Outputs = map[string]string{"Page": s.Parameters["PageUrl"], "WebSocket": "wss://api." + region + ".test/v1",
		"Issuer":     "https://issuer.test/pool",
		"PageClient": "client", "PageScope": "openid \"clock\"", "TableName": "table"}
	if s.Parameters["Page"] == "on" {
		s.Outputs["Page"], s.Outputs["PageFiles"], s.Outputs["PageDistribution"] = "https://page."+region+".test/",
			"bucket-"+region, "E1"
	}
}

// cloudFrontNames are the names that the template gives to resources of CloudFront.
func (a *fakeAccount) cloudFrontNames(key, source string, values map[string]string) (names []string) {
	if values["Page"] != "on" {
		return nil
	}
	region, stack, _ := strings.Cut(key, "/")
	for _, m := range regexp.MustCompile(`Name: !Sub (\$\{AWS::StackName\}\S+)`).FindAllStringSubmatch(source, -1) {
		names = append(names, strings.NewReplacer("${AWS::StackName}", stack, "${AWS::Region}", region).Replace(m[1]))
	}
	return names
}

// obstacle is the resource that cannot be made, and AWS's reason.
func (a *fakeAccount) obstacle(key string, s *fakeStack, set *fakeChangeSet) (id, reason string) {
	region, _, _ := strings.Cut(key, "/")
	p := set.Parameters
	reserve, _ := strconv.Atoi(p["TurnConcurrency"])
	switch {
	case p["Page"] == "on" && !a.CloudFront:
		return "PageDistribution", "Resource handler returned message: \"Access denied for operation " +
			"'AWS::CloudFront::Distribution: Your account must be verified before you can add new CloudFront " +
			"resources. To verify your account, please contact AWS Support " +
			"(https://console.aws.amazon.com/support/home#/) and include this error message.'.\" " +
			"(RequestToken: x, HandlerErrorCode: AccessDenied)"
	case p["AccessLogs"] == "on" && a.LogRoles[region] == "":
		return "ApiStage", "CloudWatch Logs role ARN must be set in account settings to enable logging (Service: " +
			"AmazonApiGatewayV2; Status Code: 400)"
	case p["AccessLogs"] == "with-role" && a.RoleLag > 0 && s.Resources["ApiLogAccount"] == "":
		a.RoleLag--
		return "ApiLogAccount", "The role ARN does not have required permissions configured. Please grant trust " +
			"permission for API Gateway and add the required role policy."
	case reserve > 0 && a.Unreserved-reserve-10 < 100:
		return "TurnFunction", "Specified ReservedConcurrentExecutions for function decreases account's " +
			"UnreservedConcurrentExecution below its minimum value of [100]."
	}
	for _, name := range a.cloudFrontNames(key, set.Template, p) {
		if owner := a.Names[name]; owner != "" && owner != key {
			return "PagePaths", "Resource of type 'AWS::CloudFront::Function' with identifier '" + name +
				"' already exists."
		}
	}
	return "", ""
}

func (s *fakeStack) event(id, kind, status, reason string) {
	s.Events = append([]map[string]string{{"StackId": s.ID, "PhysicalResourceId": id, "LogicalResourceId": id,
		"ResourceType":   kind,
		"ResourceStatus": status, "ResourceStatusReason": reason}}, s.Events...)
}

// deleteStack deletes a stack, unless its table does not let itself be deleted.
func (a *fakeAccount) deleteStack(key string, s *fakeStack) {
	s.event(s.ID, "AWS::CloudFormation::Stack", "DELETE_IN_PROGRESS", "User Initiated")
	if s.Status == "ROLLBACK_FAILED" {
		s.event("Table", "AWS::DynamoDB::Table", "DELETE_FAILED", "Resource cannot be deleted as it is currently "+
			"protected against deletion.")
		s.Status = "DELETE_FAILED"
		return
	}
	delete(a.Stacks, key)
}
