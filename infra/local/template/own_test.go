package template_test

import (
	"fmt"
	"strings"
	"testing"

	"carrel/infra/local/template"
)

const ownIssuer = "http://127.0.0.1:3000/issuer"

// resolveOwn resolves a version of the repository's own template with the parameters that the local stack sets, and the
// given ones.
func resolveOwn(source string, change map[string]string) (*template.Template, error) {
	values := map[string]string{"Issuer": ownIssuer, "Audience": "carrel-page", "TokenKind": "typ",
		"Origins": "http://127.0.0.1:3000"}
	for name, value := range change {
		values[name] = value
	}
	return template.Resolve([]byte(source), template.Options{Parameters: values})
}

func ownTemplate(t *testing.T) string { return string(read(t, "..", "..", "..", "template.yaml")) }

// The values of the template's parameters reach the functions.
func TestResolve_OwnParameters(t *testing.T) {
	source := ownTemplate(t)
	tm, err := resolveOwn(source, map[string]string{"TenantIsolation": "off", "TurnConcurrency": "7",
		"AccessLogs":  "with-role",
		"RunsPerUser": "7", "QueuedPerUser": "8", "RunBurst": "9", "RunsPerHour": "10", "FrameBurst": "12",
		"FramesPerSecond": "13", "TokensPerDay": "14", "RunSeconds": "11", "RunAttempts": "2", "EventDays": "3"})
	if err != nil {
		t.Fatal(err)
	}
	turn := function(t, tm, "TurnFunction")
	for _, id := range []string{"MessageFunction", "TurnFunction", "SweepFunction"} {
		env := function(t, tm, id).Env // all functions that admit, work or sweep have the same limits
		equal(t, id, []any{env["RUNS_PER_USER"], env["QUEUED_PER_USER"], env["RUN_BURST"], env["RUNS_PER_HOUR"],
			env["RUN_SECONDS"],
			env["RUN_ATTEMPTS"], env["EVENT_DAYS"]}, []any{"7", "8", "9", "10", "11", "2", "3"})
	}
	frames := function(t, tm, "MessageFunction").Env
	equal(t, "message", []any{frames["FRAME_BURST"], frames["FRAMES_PER_SECOND"],
		frames["TOKENS_PER_DAY"]}, []any{"12", "13", "14"})
	equal(t, "turn", []any{turn.PerTenant, turn.Concurrency, turn.Env["TENANT_ISOLATION"]}, []any{false, 7, "off"})
	// Without CloudFront the page's own address is the only origin, unless Origins names others.
	if tm, err = resolveOwn(source, map[string]string{"Page": "off", "Origins": "",
		"PageUrl": "https://chat.example.com:8443/"}); err != nil {
		t.Fatal(err)
	}
	equal(t, "origins", function(t, tm, "AuthorizeFunction").Env["ORIGINS"], "https://chat.example.com:8443")
}

// Invalid values, alone or in combination, give the error that the template states.
func TestResolve_OwnParameterErrors(t *testing.T) {
	source := ownTemplate(t)
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"a page without TLS": {map[string]string{"PageUrl": "http://chat.example.com/"},
			`the value "http://chat.example.com/" does not match`},
		"machine clients elsewhere": {map[string]string{"Probe": "on"},
			"Make such clients at your issuer instead."},
		"an issuer without an audience": {map[string]string{"Audience": ""}, "Issuer is given and Audience is not."},
		"audience without a page client": {map[string]string{"TokenKind": "audience"},
			"an ID token of the page would pass as an access token"},
		"page client as the audience": {map[string]string{"TokenKind": "audience", "PageClient": "carrel-page"},
			"an ID token of the page would pass"},
		"no issuer": {map[string]string{"Issuer": ""},
			"does not support the resource type AWS::Cognito::"},
		"value too large": {map[string]string{"TurnConcurrency": "1001"},
			`the value "1001" is not within MaxValue, 1000`},
		"a run longer than an hour": {map[string]string{"RunSeconds": "3601"},
			`the value "3601" is not within MaxValue, 3600`},
		"value too small": {map[string]string{"RequestRate": "0"},
			`the value "0" is not within MinValue, 1`},
		"value not allowed": {map[string]string{"TenantIsolation": "true"}, `is not one of on, off`},
	} {
		if _, err := resolveOwn(source, c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	// The local stack has no S3 bucket, so a function that refers to one is rejected.
	source = strings.Replace(source, "ISSUER:", "BUCKET: !Ref PageFiles\n          ISSUER:", 1)
	if _, err := resolveOwn(source, nil); err == nil || !strings.Contains(err.Error(),
		"PageFiles (AWS::S3::Bucket) is not supported locally: a function cannot use it") {
		t.Errorf("a function with a bucket: error %v", err)
	}
}

// A template is rejected if the local stack would evaluate its policies differently than AWS: with a managed policy on
// the user's role, or with a variable in a policy whose version has no variables.
func TestResolve_PoliciesReadDifferentlyByAWS(t *testing.T) {
	source := ownTemplate(t)
	for _, c := range []struct{ from, to, want string }{
		{"      MaxSessionDuration: 3600",
			"      ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess]\n      MaxSessionDuration: " +
				"3600",
			"Resources.UserRole.Properties: managed policies are not supported locally"},
		{"          PolicyDocument:\n            Version: \"2012-10-17\"",
			"          PolicyDocument:\n            Version: \"2008-10-17\"",
			"Resources.UserRole.Properties.Policies.PolicyDocument: a policy with variables needs Version"},
		{"          PolicyDocument:\n            Version: \"2012-10-17\"\n", "          PolicyDocument:\n",
			"Resources.UserRole.Properties.Policies.PolicyDocument: a policy with variables needs Version"},
	} {
		if strings.Count(source, c.from) != 1 {
			t.Fatalf("%q occurs %d times in the template", c.from, strings.Count(source, c.from))
		}
		_, err := resolveOwn(strings.Replace(source, c.from, c.to, 1), map[string]string{"AccessLogs": "with-role"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.to, err, c.want)
		}
	}
}

func TestResolve_SplitAndRules(t *testing.T) {
	for with, want := range map[string]string{
		`LEVEL: !Select [3, !Split ["/", a/b/c]]`:         "Select's index is out of range",
		`LEVEL: !Join ["", !Split ["/"]]`:                 "Split needs a list of a delimiter and a text",
		`LEVEL: !Join ["-", !Split ["/", a/b/c]]`:         "",
		`LEVEL: !Select [2, !Split ["/", https://a.b/c]]`: "",
	} {
		source := strings.Replace(string(read(t, "testdata", "other.yaml")), "LEVEL: debug", with, 1)
		tm, err := template.Resolve([]byte(source), other(template.Options{}))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", with, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", with, err)
		} else if got := function(t, tm, "Talk").Env["LEVEL"]; got != "a-b-c" && got != "a.b" {
			t.Errorf("%s: %q", with, got)
		}
	}
	for rule, want := range map[string]string{
		`{Assertions: [{Assert: !Equals [!Ref Kind, large], ` +
			`AssertDescription: only large}]}`: "only large",
		`{RuleCondition: !Condition Large, Assertions: [{Assert: !Equals [a, b], AssertDescription: no}]}`: "",
		`{RuleCondition: !Condition Small, Assertions: [{Assert: !Equals [a, b], AssertDescription: small is not for ` +
			`this}]}`: "small is not for this",
		`{Assertions: [{Assert: !Equals [a, a]}]}`: "AssertDescription is missing",
		`{}`: "Assertions is missing",
	} {
		source := strings.Replace(string(read(t, "testdata", "other.yaml")), "Conditions:",
			"Rules:\n  Fit: "+rule+"\nConditions:", 1)
		_, err := template.Resolve([]byte(source), other(template.Options{}))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", rule, err, want)
		}
	}
}

// Go's runtime is set for the memory size of each function. The local stack sets nothing of it, so the functions behave
// here as they do when deployed.
func TestResolve_OwnRuntimeSettings(t *testing.T) {
	const fullProcessor = 1770 // MB from which Lambda gives a function a whole processor
	tm, err := resolveOwn(ownTemplate(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(tm.Functions) < 6 {
		t.Fatalf("the template has only %d functions", len(tm.Functions))
	}
	for _, f := range tm.Functions {
		processors := ""
		if f.MemoryMB < fullProcessor {
			processors = "1"
		}
		equal(t, f.LogicalID+": GOMEMLIMIT, GOMAXPROCS and GOGC with this MemorySize",
			[]any{f.Env["GOMEMLIMIT"], f.Env["GOMAXPROCS"], f.Env["GOGC"]},
			[]any{fmt.Sprintf("%dMiB", f.MemoryMB*9/10), processors, "400"})
	}
}
