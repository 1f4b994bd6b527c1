package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refused runs a deploy that must be refused before anything is built or created.
func refused(t *testing.T, account *fakeAccount, want string, env ...string) {
	t.Helper()
	o := newMachine(t, account).deploy(t, "y\ny\n", env...)
	o.says(t, want)
	if !o.failed {
		t.Errorf("it succeeded:\n%s", o.text)
	}
	for _, built := range []string{"make", "sam", "aws cloudformation create", "aws cloudformation delete", "aws s3"} {
		if o.called(built) != 0 {
			t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
		}
	}
}

func TestPreflight_Settings(t *testing.T) {
	for name, c := range map[string]struct{ env, want string }{
		"architecture": {"GOARCH=riscv64", "GOARCH must be arm64 or amd64, not riscv64"},
		"stack name": {"CARREL_STACK=my_stack", "CARREL_STACK must be a letter, then letters, digits and " +
			"hyphens, at most 40 in all, not \"my_stack\""},
		"long stack name":  {"CARREL_STACK=" + strings.Repeat("a", 41), "at most 40 in all"},
		"answer":           {"YES=maybe", "YES must be 1, 0 or empty"},
		"parameters' form": {"PARAMETERS=Issuer", "PARAMETERS must be Name=value"},
		"unknown parameter": {"PARAMETERS=Acceslogs=on", "PARAMETERS names Acceslogs, and the template has no such " +
			"parameter"},
		"value": {"PARAMETERS=AccessLogs=yes",
			`Parameters.AccessLogs: the value "yes" is not one of on, off, with-role`},
		"values together": {"PARAMETERS=Issuer=https://i.test", "Issuer is given and Audience is not."},
		"page's address":  {"PARAMETERS=PageUrl=http://example.com/", "Parameters.PageUrl"},
		"probe without pool": {"PARAMETERS=Issuer=https://i.test Audience=a Probe=on",
			"Make such clients at your issuer instead."},
		"other architecture": {"PARAMETERS=Architecture=x86_64", "PARAMETERS says Architecture=x86_64, and " +
			"GOARCH=arm64 builds for arm64: set GOARCH alone"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, newFakeAccount(), c.want, c.env) })
	}
}

// The template's rules see the values that the stack keeps, beside the given ones.
func TestPreflight_KeptValues(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	if o := s.deploy(t, "y\n", "PARAMETERS=Issuer=https://i.test Audience=a PageClient=p"); o.failed {
		t.Fatal(o.text)
	}
	o := s.deploy(t, "y\n", "PARAMETERS=PageClient=a")
	o.says(t, "PARAMETERS: template.yaml", "unless PageClient differs from Audience")
	if o = s.deploy(t, "y\n", "PARAMETERS=Issuer=https://j.test"); o.failed {
		t.Errorf("the audience that the stack keeps is not seen: %s", o.text)
	}
}

func TestPreflight_Programs(t *testing.T) {
	for name, want := range map[string]string{"sam": "there is no SAM CLI: pip install aws-sam-cli",
		"aws": "there is no AWS CLI", "node": "there is no Node"} {
		t.Run(name, func(t *testing.T) {
			s := newMachine(t, newFakeAccount())
			if err := os.Remove(filepath.Join(s.bin, name)); err != nil {
				t.Fatal(err)
			}
			o := s.deploy(t, "y\n")
			o.says(t, want)
			if !o.failed || len(o.calls) != 0 {
				t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
			}
		})
	}
	a := newFakeAccount()
	a.Version = "1.45.11"
	refused(t, a, "the AWS CLI has version 1: install version 2")
}

func TestPreflight_Credentials(t *testing.T) {
	a := newFakeAccount()
	a.Arn = ""
	refused(t, a, "AWS accepts no credentials from here: run aws configure, or aws sso login: Unable to locate "+
		"credentials.")
}

func TestPreflight_Region(t *testing.T) {
	for name, c := range map[string]struct {
		profile string
		env     []string
		want    string
	}{
		"two Regions": {"", []string{"AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=us-east-1"},
			"AWS_REGION is eu-central-1 and AWS_DEFAULT_REGION is us-east-1: unset one of them"},
		"none": {"", nil, "no Region is chosen: set AWS_REGION, or run aws configure"},
		"not a name": {"", []string{"AWS_REGION=eu-central1"},
			`AWS_REGION says "eu-central1", which is not a Region's name`},
		"not a name either": {"", []string{"AWS_DEFAULT_REGION=Frankfurt"},
			`AWS_DEFAULT_REGION says "Frankfurt", which is not a Region's name`},
		"configuration": {"eu central", nil,
			`the AWS CLI's configuration says "eu central", which is not a Region's name`},
		"no such Region": {"", []string{"AWS_REGION=eu-central-9"}, "there is no Region eu-central-9, or this " +
			"machine does not reach AWS: Could not connect"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newFakeAccount()
			a.ProfileRegion = c.profile
			refused(t, a, c.want, c.env...)
		})
	}
	a := newFakeAccount()
	a.ProfileRegion = ""
	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} { // SAM and the AWS CLI read one each
		o := newMachine(t, a).deploy(t, "y\n", variable+"=us-east-1")
		if o.failed || o.stack(t, "us-east-1/carrel").Status != "UPDATE_COMPLETE" {
			t.Errorf("%s: %s", variable, o.text)
		}
	}
}

func TestPreflight_LogRole(t *testing.T) {
	a := newFakeAccount()
	refused(t, a, "AccessLogs=on needs a role by which API Gateway writes logs, and this account has none in "+
		"eu-central-1: "+
		"deploy with AccessLogs=with-role, which makes one, or AccessLogs=off", "PARAMETERS=AccessLogs=on")

	a.LogRoles["eu-central-1"] = "arn:aws:iam::123456789012:role/logs"
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "AccessLogs=on: API Gateway has a role in this account that writes logs.")
	if logs := o.stack(t, "eu-central-1/carrel").Parameters["AccessLogs"]; o.failed || logs != "on" {
		t.Errorf("AccessLogs=%s: %s", logs, o.text)
	}
	o = newMachine(t, a).deploy(t, "y\n", "PARAMETERS=AccessLogs=with-role")
	o.says(t, "AccessLogs=with-role replaces the role arn:aws:iam::123456789012:role/logs, by which all APIs of the "+
		"account in eu-central-1 write logs")
	o = newMachine(t, a).deploy(t, "y\n", "PARAMETERS=AccessLogs=off")
	if logs := o.stack(t, "eu-central-1/carrel").Parameters["AccessLogs"]; o.failed || logs != "off" {
		t.Errorf("AccessLogs=%s, and off was asked for: %s", logs, o.text)
	}
}

// If API Gateway does not know its new role yet, the deploy is repeated once: for a first deploy and for an update.
func TestDeploy_RoleNotYetEffective(t *testing.T) {
	a := newFakeAccount()
	a.RoleLag = 1
	s := newMachine(t, a)
	o := s.deploy(t, "y\n", "PARAMETERS=AccessLogs=with-role")
	o.says(t, "API Gateway did not yet know its new role. Trying once more.", "https://page.eu-central-1.test/")
	if o.failed || o.called("aws cloudformation execute-change-set") != 3 || o.account.LogRoles["eu-central-1"] == "" {
		t.Errorf("%s\n%s", o.text, strings.Join(o.calls, "\n"))
	}
	s = newMachine(t, newFakeAccount())
	if o = s.deploy(t, "y\n"); o.failed {
		t.Fatal(o.text)
	}
	o.account.RoleLag = 1
	s.set(t, o.account)
	if o = s.deploy(t, "y\n", "PARAMETERS=AccessLogs=with-role"); o.failed ||
		o.called("aws cloudformation delete-stack") != 0 {
		t.Errorf("%s\n%s", o.text, strings.Join(o.calls, "\n"))
	}
	a.RoleLag = 2
	o = newMachine(t, a).deploy(t, "y\n", "PARAMETERS=AccessLogs=with-role")
	o.says(t, "API Gateway does not yet know its new role. Run make deploy again.")
	if !o.failed || o.called("aws cloudformation execute-change-set") != 2 {
		t.Errorf("%s\n%s", o.text, strings.Join(o.calls, "\n"))
	}
}

func TestPreflight_ConcurrencyOfTen(t *testing.T) {
	a := newFakeAccount()
	a.Unreserved = 10
	refused(t, a, "TurnConcurrency=5 cannot be reserved: 10 functions may run at once in this account without a "+
		"reserve, and Lambda keeps 100 of them, and sweep gets 10. "+
		"Leave TurnConcurrency out, or ask for a higher quota: aws service-quotas request-service-quota-increase "+
		"--region eu-central-1 "+
		"--service-code lambda --quota-code L-B99A9384 --desired-value 1000", "PARAMETERS=TurnConcurrency=5")
	a.Unreserved = 200
	refused(t, a, "TurnConcurrency=91 cannot be reserved", "PARAMETERS=TurnConcurrency=91")
	if o := newMachine(t, a).deploy(t, "y\n", "PARAMETERS=TurnConcurrency=90"); o.failed {
		t.Errorf("90 of 200 cannot be reserved: %s", o.text)
	}
	a.Unreserved = 10
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "warning: only 10 functions may run at once in this account", "https://page.eu-central-1.test/")
	if o.failed {
		t.Error("a small quota stops a deploy that reserves nothing")
	}
}

// Log groups that an earlier stack of this name left are named before anything is built. Others' are not.
func TestPreflight_LogGroups(t *testing.T) {
	a := newFakeAccount()
	a.LogGroups = []string{"/carrel/sweep", "/carrel2/sweep"}
	refused(t, a, "an earlier stack of this name left its logs, which a new stack cannot take over. Remove them, or "+
		"choose another name with CARREL_STACK:")
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "aws logs delete-log-group --region eu-central-1 --log-group-name /carrel/sweep\n")
	if strings.Contains(o.text, "carrel2") {
		t.Errorf("it names another stack's: %s", o.text)
	}
	if o = newMachine(t, a).deploy(t, "y\n", "CARREL_STACK=carrel3"); o.failed {
		t.Error(o.text)
	}
}

// What the preflight may not read is a warning. CloudFormation decides, and its answer has the remedy.
func TestPreflight_DeniedReads(t *testing.T) {
	a := newFakeAccount()
	a.Denied = []string{"GetAccount", "GetAccountSettings", "GetStackPolicy", "DescribeLogGroups"}
	s := newMachine(t, a)
	o := s.deploy(t, "y\n")
	o.says(t, "warning: the preflight may not read whether API Gateway has a role that writes logs (GetAccount is "+
		"denied), and so does not check it",
		"warning: the preflight may not read how many functions may run at once (GetAccountSettings is denied)")
	if o.failed || o.stack(t, "eu-central-1/carrel").Policy == "" {
		t.Error(o.text)
	}
	o = s.deploy(t, "y\n", "PARAMETERS=AccessLogs=on")
	o.says(t, "warning: the preflight may not read whether the stack has its policy (GetStackPolicy is denied)",
		"CloudWatch Logs role ARN must be set",
		"API Gateway has no role that writes logs. Deploy with AccessLogs=with-role",
		"CloudFormation has undone the changes, and the stack is as before")
	a.Denied = []string{"DescribeStacks"}
	refused(t, a, "the stack carrel cannot be read, and so cannot be deployed: give yourself the rights of "+
		"infra/deploy/policy.json")
}

func TestPreflight_Partition(t *testing.T) {
	a := newFakeAccount()
	a.Arn, a.ProfileRegion, a.Regions = "arn:aws-cn:iam::123456789012:user/me", "cn-north-1", []string{"cn-north-1"}
	refused(t, a, "the partition aws-cn has no CloudFront and no Cognito sign-in page that the template can use: "+
		"deploy with Page=off and an Issuer of your own")
}

func TestDeploy_DeniedRight(t *testing.T) {
	a := newFakeAccount()
	a.Denied = []string{"CreateChangeSet"}
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "CloudFormation refuses the change set: ", "is not authorized to perform",
		"You lack a right. infra/deploy/policy.json has all rights")
	if !o.failed {
		t.Error(o.text)
	}
}

// A change set that deletes or replaces the table is discarded, unless the stack policy was lifted.
func TestDeploy_LossOfData(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	o := s.deploy(t, "y\n")
	if o.failed {
		t.Fatal(o.text)
	}
	o.account.Replaces = []string{"Table"}
	s.set(t, o.account)
	const want = "these changes would delete or replace Table (AWS::DynamoDB::Table), with all that it holds, and " +
		"the stack policy forbids that. Nothing was changed."
	o = s.deploy(t, "y\n")
	o.says(t, "~ Table                        AWS::DynamoDB::Table   (replaced)", want)
	if made := o.stack(t, "eu-central-1/carrel"); !o.failed || made.Set != nil ||
		o.called("aws cloudformation execute-change-set") != 0 {
		t.Errorf("the change set %v stays: %s", made.Set, o.text)
	}
	o = s.deploy(t, "y\n", "PARAMETERS=Issuer=https://i.test Audience=a PageClient=p Page=off")
	o.says(t, "PageFiles (AWS::S3::Bucket)", "Users (AWS::Cognito::UserPool)")

	o.account.Stacks["eu-central-1/carrel"].Policy = `{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}`
	s.set(t, o.account)
	o = s.deploy(t, "y\n")
	o.says(t, "warning: these changes delete or replace Table (AWS::DynamoDB::Table), and the stack policy that "+
		"forbids this is not in force")
	if policy := o.stack(t, "eu-central-1/carrel").Policy; o.failed || !strings.Contains(policy, "Update:Replace") {
		t.Errorf("the stack policy was not put back: %s", policy)
	}
}

// The fakes refuse what the real programs refuse.
func TestFakes_UnknownFlag(t *testing.T) {
	for _, line := range []string{"aws cloudformation describe-stack --stack-name a",
		"aws cloudformation describe-stacks --stack a",
		"aws s3 cp a s3://b --recursiv", "sam package --resolve-s3 --region a",
		"aws sts get-caller-identity --output"} {
		args := strings.Fields(line)
		if _, _, _, err := parse(args[0], args[1:]); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}
