package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
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

// fakeChangeSet is a stack's only change set.
type fakeChangeSet struct {
	Name, Kind, Status, Reason, Template string
	Parameters                           map[string]string
	Changes                              []map[string]any
}

// fakeTemplate is as much of a template as the fake reads.
type fakeTemplate struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Resources map[string]struct {
		Type      string `yaml:"Type"`
		Condition string `yaml:"Condition"`
	} `yaml:"Resources"`
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

// createChangeSet compares the template and the parameters with what the stack has.
func (a *fakeAccount) createChangeSet(flags map[string]string, key string, s *fakeStack) error {
	const operation = "CreateChangeSet"
	kind := flags["--change-set-type"]
	switch {
	case kind == "CREATE" && s != nil && s.Status != "REVIEW_IN_PROGRESS":
		return awsFailure("ValidationError", operation, "Stack [%s] already exists and cannot be created again with "+
			"the changeSet", flags["--stack-name"])
	case kind == "UPDATE" && (s == nil || !(&stack{StackStatus: s.Status}).works()):
		return awsFailure("ValidationError", operation, "Stack is in a state and can not be updated")
	case kind != "CREATE" && kind != "UPDATE":
		return awsFailure("ValidationError", operation, "change set type %q", kind)
	case flags["--capabilities"] != "CAPABILITY_IAM":
		return awsFailure("InsufficientCapabilitiesException", operation, "Requires capabilities : [CAPABILITY_IAM]")
	}
	if s == nil {
		s = &fakeStack{ID: "arn:aws:cloudformation:" + key + "/" + strconv.Itoa(len(a.Calls)),
			Status: "REVIEW_IN_PROGRESS", Resources: map[string]string{}}
		a.Stacks[key] = s
	}
	source := s.Template
	if flags["--use-previous-template"] == "" {
		at := regexp.MustCompile(`^https://([^.]+)\.s3\.([^.]+)\.amazonaws\.com/(.+)$`).FindStringSubmatch(flags["--template-url"])
		if at == nil || at[2] != a.region() || a.Objects["s3://"+at[1]+"/"+at[3]] == "" {
			return awsFailure("ValidationError", operation, "S3 error: %s", flags["--template-url"])
		}
		source = a.Objects["s3://"+at[1]+"/"+at[3]]
	}
	values, err := newValues(flags["--parameters"], source, s)
	if err != nil {
		return err
	}
	s.Set = &fakeChangeSet{Name: flags["--change-set-name"], Kind: kind, Status: "CREATE_COMPLETE", Template: source,
		Parameters: values,
		Changes:    a.compare(s, source, values)}
	if len(s.Set.Changes) == 0 {
		s.Set.Status = "FAILED"
		s.Set.Reason = "The submitted information didn't contain changes. Submit different information to create a " +
			"change set."
	}
	return nil
}

// newValues are the parameters that a change set asks for.
func newValues(file, source string, s *fakeStack) (map[string]string, error) {
	const operation = "CreateChangeSet"
	text, err := os.ReadFile(strings.TrimPrefix(file, "file://"))
	if err != nil {
		return nil, err
	}
	var given []struct {
		ParameterKey, ParameterValue string
		UsePreviousValue             bool
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, p := range read(source).Parameters {
		values[name] = p.Default
	}
	for _, p := range given {
		_, declared := values[p.ParameterKey]
		previous, had := s.Parameters[p.ParameterKey]
		switch {
		case !declared:
			return nil, awsFailure("ValidationError", operation, "Parameters: [%s] do not exist in the template",
				p.ParameterKey)
		case p.UsePreviousValue && !had:
			return nil, awsFailure("ValidationError", operation, "Invalid input for parameter key %s. Cannot specify "+
				"usePreviousValue as true", p.ParameterKey)
		case p.UsePreviousValue:
			values[p.ParameterKey] = previous
		default:
			values[p.ParameterKey] = p.ParameterValue
		}
	}
	return values, nil
}

func read(source string) (t fakeTemplate) {
	if err := yaml.Unmarshal([]byte(source), &t); err != nil {
		panic(err) // the test's own template
	}
	return t
}

// wanted are the resources of a template with these parameters.
func wanted(source string, values map[string]string) map[string]string {
	holds := map[string]bool{
		"": true, "HasPage": values["Page"] == "on", "OwnPool": values["Issuer"] == "",
		"HasProbes":  values["Probe"] == "on",
		"LogsAccess": values["AccessLogs"] != "off", "MakesLogRole": values["AccessLogs"] == "with-role",
	}
	all := map[string]string{}
	for id, r := range read(source).Resources {
		if holds[r.Condition] {
			all[id] = r.Type
		}
	}
	return all
}

// compare lists what changes.
func (a *fakeAccount) compare(s *fakeStack, source string, values map[string]string) []map[string]any {
	changes := []map[string]any{}
	add := func(action, id, kind, replacement string) {
		r := map[string]any{"Action": action, "LogicalResourceId": id, "ResourceType": kind}
		if replacement != "" {
			r["Replacement"] = replacement
		}
		changes = append(changes, map[string]any{"Type": "Resource", "ResourceChange": r})
	}
	want := wanted(source, values)
	for id, kind := range want {
		switch {
		case s.Resources[id] == "":
			add("Add", id, kind, "")
		case slices.Contains(a.Replaces, id):
			add("Modify", id, kind, "True")
		case id == "Table" && (values["DeletionProtection"] != s.Parameters["DeletionProtection"] ||
			source != s.Template):
			add("Modify", id, kind, "False")
		}
	}
	for id, kind := range s.Resources {
		if want[id] == "" {
			add("Remove", id, kind, "")
		}
	}
	slices.SortFunc(changes, func(x, y map[string]any) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	return changes
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
