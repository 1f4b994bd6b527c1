package template_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// basic lets a function write its log; SAM gives it to every function. Its resource is *.
const basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

// granted is what each function may do beside writing its log: action and resource, as lines.
func granted(t *testing.T, resources object) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	add := func(role string, document any) {
		for _, statement := range list(at(document, "Statement")) {
			if at(statement, "Effect") != "Allow" {
				t.Errorf("%s: a statement is no Allow: %s", role, text(statement))
			}
			for _, action := range list(at(statement, "Action")) {
				for _, resource := range list(at(statement, "Resource")) {
					all[role] = append(all[role], fmt.Sprintf("%v %s", action, short(text(resource))))
				}
			}
		}
	}
	for id, r := range resources {
		role, isRole := strings.CutSuffix(id, "FunctionRole")
		if id == "UserRole" {
			for _, policy := range list(at(r, "Properties", "Policies")) {
				add("User", at(policy, "PolicyDocument"))
			}
		}
		switch {
		case at(r, "Type") == "AWS::IAM::Role" && isRole:
			all[role] = append(all[role], []string{}...)
			if managed := text(at(r, "Properties", "ManagedPolicyArns")); managed != "["+basic+"]" {
				t.Errorf("%s has the managed policies %s", id, managed)
			}
			for _, policy := range list(at(r, "Properties", "Policies")) {
				add(role, at(policy, "PolicyDocument"))
			}
		case at(r, "Type") == "AWS::IAM::RolePolicy":
			name, _ := at(r, "Properties", "RoleName", "Ref").(string)
			add(strings.TrimSuffix(name, "FunctionRole"), at(r, "Properties", "PolicyDocument"))
		}
	}
	for role := range all {
		slices.Sort(all[role])
	}
	return all
}

// short names a resource as one says it.
func short(resource string) string {
	return strings.NewReplacer("{Fn::GetAtt:[", "", ",Arn]}", "", "{Fn::Sub:", "", "}}", "}", "${Table.Arn}", "Table",
		"arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/", "Api ", "/index/live}",
		"/index/live", "/index/recent}", "/index/recent",
		"/@connections/*}", "/@connections/*").Replace(resource)
}

// Each function has exactly the rights that it uses. The store's calls: connect reads the user's sessions, writes a
// connection, its owner and its entry, and removes the oldest; disconnect reads the owner and removes all three;
// message reads and writes threads and runs, in transactions (which need the permission of each action in them). turn
// and sweep do so as the user's role, which also erases deleted threads and users. turn closes a user's connections.
// That each of the table's actions is used, and by whom, is shown by infra/audit's matrix.
func TestPolicies_EachFunction(t *testing.T) {
	table := []string{
		"dynamodb:BatchGetItem Table", "dynamodb:DeleteItem Table", "dynamodb:GetItem Table",
		"dynamodb:PutItem Table", "dynamodb:Query Table", "dynamodb:UpdateItem Table",
	}
	asUser := []string{"sts:AssumeRole UserRole", "sts:TagSession UserRole"}
	post := "execute-api:ManageConnections Api POST/@connections/*"
	const servers = "{Fn::Split:[,,{Ref:UserMayInvoke}]}" // none unless the deployment names some
	want := map[string][]string{
		"Authorize": {},
		"Connect": {"dynamodb:DeleteItem Table", "dynamodb:GetItem Table", "dynamodb:PutItem Table",
			"dynamodb:UpdateItem Table", "execute-api:ManageConnections Api DELETE/@connections/*", post},
		"Disconnect": {"dynamodb:DeleteItem Table", "dynamodb:GetItem Table", "dynamodb:UpdateItem Table"},
		"Message": append(slices.Clone(table), "dynamodb:Query Table/index/recent",
			"execute-api:ManageConnections Api DELETE/@connections/*", post, "lambda:InvokeFunction TurnFunction"),
		"Turn": append(append(modelRights(), asUser...),
			"execute-api:ManageConnections Api DELETE/@connections/*", post, "lambda:InvokeFunction SweepFunction",
			"lambda:InvokeFunction TurnFunction"),
		"User": append(slices.Clone(table), "dynamodb:BatchWriteItem Table"),
		"UserRole": {"bedrock-agentcore:InvokeGateway " + servers, "lambda:InvokeFunction " + servers,
			"lambda:InvokeFunctionUrl " + servers},
		"Sweep": append(slices.Clone(asUser), "dynamodb:Query Table/index/live", post,
			"lambda:InvokeFunction TurnFunction"),
	}
	got := granted(t, transformed(t))
	if len(got) != len(want) {
		t.Errorf("%d functions, want %d", len(got), len(want))
	}
	for role, may := range want {
		slices.Sort(may)
		if !slices.Equal(got[role], may) {
			t.Errorf("%s may\n  %s\nwant\n  %s", role, strings.Join(got[role], "\n  "), strings.Join(may, "\n  "))
		}
	}
}

// The user's role is for turn and sweep, with the user in the session's tag, and reaches what begins with that user.
func TestPolicies_UserRole(t *testing.T) {
	resources := transformed(t)
	equal(t, resources,
		"{Statement:[{Action:[sts:AssumeRole,sts:TagSession],Condition:{ForAllValues:StringEquals:{aws:TagKeys:[user]},"+
			"StringLike:{aws:RequestTag/user:?*}},Effect:Allow,Principal:{AWS:[{Fn::GetAtt:[TurnFunctionRole,Arn]},"+
			"{Fn::GetAtt:[SweepFunctionRole,Arn]}]}}],Version:2012-10-17}", "UserRole", "Properties",
		"AssumeRolePolicyDocument")
	equal(t, resources, "null", "UserRole", "Properties", "ManagedPolicyArns")
	for _, policy := range list(at(resources, "UserRole", "Properties", "Policies")) {
		for _, statement := range list(at(policy, "PolicyDocument", "Statement")) {
			const want = "{ForAllValues:StringLike:{dynamodb:LeadingKeys:[U#${aws:PrincipalTag/user},U#${aws:PrincipalTag/user}#*]}," +
				"Null:{aws:PrincipalTag/user:false,dynamodb:LeadingKeys:false}}"
			if got := text(at(statement, "Condition")); got != want {
				t.Errorf("its condition is %s, want %s", got, want)
			}
		}
	}
}

// modelSlots are the resources of the models in the parameter BedrockModels: four, of which each may be empty.
func modelSlots(arn string) []string {
	var all []string
	for i := range 4 {
		all = append(all,
			fmt.Sprintf("{Fn::Sub:[%s,{M:{Fn::Select:[%d,{Fn::Split:[ ,{Fn::Sub:${BedrockModels}    }]}]}}]}",
				arn, i))
	}
	return all
}

func foundationModels() []string {
	return modelSlots("arn:${AWS::Partition}:bedrock:*::foundation-model/${M}")
}

// modelRights are turn's rights with the parameters of models, which add one of three policies.
func modelRights() (all []string) {
	const call = "bedrock:InvokeModelWithResponseStream "
	foundation := foundationModels()
	profiles := modelSlots("arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:" +
		"inference-profile/${BedrockProfile}.${M}")
	for _, resource := range append(append(slices.Clone(foundation), foundation...), profiles...) {
		all = append(all, call+short(resource))
	}
	return append(all, "secretsmanager:GetSecretValue "+short("{Ref:ProviderSecret}"))
}

// The user's role invokes the servers that the deployment names, and nothing if it names none. It invokes a function
// through its URL only, where the server sees who calls.
func TestPolicies_UserInvokes(t *testing.T) {
	resources := transformed(t)
	equal(t, resources, "UserInvokes", "UserInvokesServers", "Condition")
	for _, statement := range list(at(resources, "UserInvokesServers", "Properties", "PolicyDocument", "Statement")) {
		plain := slices.Contains(list(at(statement, "Action")), any("lambda:InvokeFunction"))
		want := map[bool]string{true: "{Bool:{lambda:InvokedViaFunctionUrl:true}}", false: "null"}[plain]
		if got := text(at(statement, "Condition")); got != want {
			t.Errorf("%s has the condition %s, want %s", text(at(statement, "Action")), got, want)
		}
	}
	pattern := regexp.MustCompile("^(?:" + patternOf(t, "UserMayInvoke") + ")$")
	const function = "arn:aws:lambda:eu-west-1:123456789012:function:mcp"
	for value, ok := range map[string]bool{
		"": true, function: true, function + "," + function: true,
		"arn:aws:bedrock-agentcore:eu-west-1:123456789012:gateway/g-1": true,
		"*": false, function + "*": false, "arn:aws:lambda:*:123456789012:function:mcp": false, function + ",": false,
		function + ",*": false, function + ", " + function: false, function + ":1": false,
		"arn:aws:dynamodb:eu-west-1:123456789012:table/carrel": false,
	} {
		if pattern.MatchString(value) != ok {
			t.Errorf("UserMayInvoke=%q is accepted: %v", value, !ok)
		}
	}
}

// patternOf returns the AllowedPattern of a parameter.
func patternOf(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plain struct {
		Parameters map[string]struct {
			Pattern string `yaml:"AllowedPattern"`
		} `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(source, &plain); err != nil {
		t.Fatal(err)
	}
	return plain.Parameters[name].Pattern
}

// A * stands only where a resource has no name yet: connections (IAM cannot distinguish their users), the page's
// files, and in the refusal of calls without TLS.
func TestPolicies_Wildcards(t *testing.T) {
	allowed := []string{
		"Allow {Fn::Sub:arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/POST/@connections/*}",
		"Allow {Fn::Sub:arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/DELETE/@connections/*}",
		"Allow {Fn::Sub:${PageFiles.Arn}/*}", "Deny {Fn::Sub:${PageFiles.Arn}/*}", "Deny s3:*", "Deny *",
	}
	for _, model := range foundationModels() { // a model of Bedrock is the same in each Region
		allowed = append(allowed, "Allow "+model)
	}
	used := map[string]bool{}
	var look func(id string, v any)
	look = func(id string, v any) {
		switch v := v.(type) {
		case []any:
			for _, member := range v {
				look(id, member)
			}
		case object:
			if v["Effect"] != nil {
				for _, key := range []string{"Action", "NotAction", "Resource", "NotResource", "Principal"} {
					for _, value := range list(v[key]) {
						said := fmt.Sprintf("%v %s", v["Effect"], text(value))
						if strings.Contains(said, "*") && !slices.Contains(allowed, said) {
							t.Errorf("%s: %s: name the resource, or state the reason for the * here", id, said)
						}
						used[said] = true
					}
				}
			}
			for _, member := range v {
				look(id, member)
			}
		}
	}
	for id, r := range transformed(t) {
		look(id, at(r, "Properties"))
	}
	for _, said := range allowed {
		if !used[said] {
			t.Errorf("%s stands here and nowhere in the template: take it out", said)
		}
	}
}

// Besides the roles above, API Gateway may invoke the functions of its routes, and the schedule sweep. No other
// principal may invoke turn for a tenant of its choice, or message with a forged user.
func TestPolicies_Invokers(t *testing.T) {
	got := map[string]string{}
	each(t, transformed(t), "AWS::Lambda::Permission", func(_ string, r any) {
		function := ""
		references(at(r, "Properties", "FunctionName"), func(id string) { function = id })
		var of []string
		references(at(r, "Properties", "SourceArn"), func(id string) {
			if !strings.HasPrefix(id, "AWS::") {
				of = append(of, id)
			}
		})
		slices.Sort(of)
		got[function] += fmt.Sprintf("%v %s", at(r, "Properties", "Principal"), strings.Join(slices.Compact(of), " "))
	})
	const gateway = "apigateway.amazonaws.com Api Stage"
	want := map[string]string{"ConnectFunction": gateway, "MessageFunction": gateway, "DisconnectFunction": gateway,
		"AuthorizeFunction": "apigateway.amazonaws.com Api",
		"SweepFunction":     "events.amazonaws.com SweepFunctionEachMinute"}
	if !maps.Equal(got, want) {
		t.Errorf("may invoke:\n%v\nwant\n%v", got, want)
	}
}
