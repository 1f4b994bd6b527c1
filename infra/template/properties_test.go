package template_test

import (
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/catalog"
)

// Each user's runs have environments of their own, only sweep retries a run, and Lambda does not stop the chain in
// which a run starts the next.
func TestTurn(t *testing.T) {
	r := transformed(t)
	equal(t, r, "{Fn::If:[Isolated,{TenantIsolationMode:PER_TENANT},{Ref:AWS::NoValue}]}", "TurnFunction", "Properties",
		"TenancyConfig")
	equal(t, r, "{Fn::If:[TurnReserved,{Ref:TurnConcurrency},{Ref:AWS::NoValue}]}", "TurnFunction", "Properties",
		"ReservedConcurrentExecutions")
	equal(t, r, "Allow", "TurnFunction", "Properties", "RecursiveLoop")
	equal(t, r, "{DestinationConfig:{OnFailure:{Destination:{Fn::GetAtt:[SweepFunction,Arn]}}},FunctionName:{Ref:TurnFunction},"+
		"MaximumEventAgeInSeconds:180,MaximumRetryAttempts:0,Qualifier:$LATEST}", "TurnInvokeConfig", "Properties")
	// Lambda checks the destination's permission as it is set
	equal(t, r, "TurnInvokes", "TurnInvokeConfig", "DependsOn")
	each(t, r, "AWS::Lambda::Function", func(id string, f any) {
		if id != "TurnFunction" && at(f, "Properties", "TenancyConfig") != nil {
			t.Errorf("%s is invoked by API Gateway, a schedule or a failure record, which have no tenant", id)
		}
		if id != "TurnFunction" && id != "SweepFunction" && at(f, "Properties", "RecursiveLoop") != nil {
			t.Errorf("%s starts no chain", id)
		}
	})
}

// A sweep that failed or had no capacity is not repeated, because the next one is due in a minute; turn's own bound
// leaves it room; and nothing stops the chain by which it invokes turn and turn's failure invokes it.
func TestSweep(t *testing.T) {
	r := transformed(t)
	equal(t, r, "Allow", "SweepFunction", "Properties", "RecursiveLoop")
	equal(t, r, "{Fn::If:[TurnReserved,10,{Ref:AWS::NoValue}]}", "SweepFunction", "Properties",
		"ReservedConcurrentExecutions")
	found := false
	each(t, r, "AWS::Lambda::EventInvokeConfig", func(id string, c any) {
		if text(at(c, "Properties", "FunctionName")) != "{Ref:SweepFunction}" {
			return
		}
		found = true
		equal(t, r, "0", id, "Properties", "MaximumRetryAttempts")
		equal(t, r, "60", id, "Properties", "MaximumEventAgeInSeconds")
	})
	if !found {
		t.Error("nothing says how often an event of sweep is tried")
	}
}

// Each function writes JSON to a log of its own, which is not kept for ever.
func TestLogs(t *testing.T) {
	r := transformed(t)
	seen := map[string]string{}
	each(t, r, "AWS::Lambda::Function", func(id string, f any) {
		group, _ := at(f, "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
		if other := seen[group]; other != "" || at(f, "Properties", "LoggingConfig", "LogFormat") != "JSON" {
			t.Errorf("%s logs %s to %q, as %q does", id, text(at(f, "Properties", "LoggingConfig")), group, other)
		}
		seen[group] = id
		equal(t, r, "{Ref:LogDays}", group, "Properties", "RetentionInDays")
	})
	equal(t, r, "{Ref:LogDays}", "ApiLogs", "Properties", "RetentionInDays")
	each(t, r, "AWS::Logs::LogGroup", func(id string, _ any) {
		if seen[id] == "" && id != "ApiLogs" {
			t.Errorf("nothing logs to %s", id)
		}
	})
}

// The API's log does not identify users: the token is in a header, and the user in the authorizer's context.
func TestAccessLogs(t *testing.T) {
	r := transformed(t)
	settings := at(r, "ApiStage", "Properties", "AccessLogSettings", "Fn::If").([]any)
	format, _ := at(settings[1], "Format").(string)
	if !strings.Contains(format, "$context.routeKey") || !strings.Contains(format, "$context.status") {
		t.Errorf("the format %q says little", format)
	}
	for _, secret := range []string{"header", "identity", "authorizer.user", "authorizer.principalId",
		"authorizer.claims", "querystring", "subprotocol"} {
		if strings.Contains(strings.ToLower(format), strings.ToLower(secret)) {
			t.Errorf("the format %q has %s", format, secret)
		}
	}
	equal(t, r, "{ThrottlingBurstLimit:{Ref:RequestBurst},ThrottlingRateLimit:{Ref:RequestRate}}", "ApiStage",
		"Properties", "DefaultRouteSettings")
}

// The table and the pool stay when the stack is deleted, and the table can be restored to any second.
func TestRetention(t *testing.T) {
	r := transformed(t)
	for _, id := range []string{"Table", "Users"} {
		equal(t, r, "RetainExceptOnCreate", id, "DeletionPolicy")
		equal(t, r, "Retain", id, "UpdateReplacePolicy")
	}
	for id, resource := range r { // or what a failed first deploy leaves would stop the next one
		if policy := at(resource, "DeletionPolicy"); policy != nil && policy != "RetainExceptOnCreate" {
			t.Errorf("%s has the DeletionPolicy %v: a failed first deploy would leave it", id, policy)
		}
	}
	equal(t, r, "{Ref:DeletionProtection}", "Table", "Properties", "DeletionProtectionEnabled")
	equal(t, r, "{PointInTimeRecoveryEnabled:true}", "Table", "Properties", "PointInTimeRecoverySpecification")
	equal(t, r, "{AttributeName:expires,Enabled:true}", "Table", "Properties", "TimeToLiveSpecification")
}

// With an issuer of one's own there is no pool. The pool's client has no secret and redirects only to the page.
func TestSignIn(t *testing.T) {
	r := transformed(t)
	for id, resource := range r {
		kind, _ := at(resource, "Type").(string)
		if strings.HasPrefix(kind, "AWS::Cognito::") && !implies(at(resource, "Condition"), "OwnPool") {
			t.Errorf("%s is made with an issuer of one's own, too", id)
		}
	}
	page := "[{Fn::If:[HasPage,{Fn::Sub:https://${PageDistribution.DomainName}/},{Ref:PageUrl}]}]"
	for path, want := range map[string]string{
		"GenerateSecret": "false", "AllowedOAuthFlows": "[code]", "CallbackURLs": page, "LogoutURLs": page,
		"ExplicitAuthFlows": "[ALLOW_REFRESH_TOKEN_AUTH]", "PreventUserExistenceErrors": "ENABLED",
	} {
		equal(t, r, want, "PageSignIn", "Properties", path)
	}
	variables := []string{"AuthorizeFunction", "Properties", "Environment", "Variables"}
	equal(t, r, "{Fn::If:[OwnPool,{Fn::If:[HasProbes,{Fn::Sub:${PageSignIn} ${ProbeA} ${ProbeB}},"+
		"{Ref:PageSignIn}]},{Ref:Audience}]}", append(variables, "AUDIENCE")...)
	equal(t, r, "{Fn::If:[OwnPool,token_use,{Ref:TokenKind}]}", append(variables, "TOKEN_KIND")...)
	equal(t, r, "{Fn::If:[PageOriginAlone,{Fn::If:[HasPage,{Fn::Sub:https://${PageDistribution.DomainName}},"+
		"{Fn::Join:[,[{Fn::Select:[0,{Fn::Split:[/,{Ref:PageUrl}]}]},//,"+
		"{Fn::Select:[2,{Fn::Split:[/,{Ref:PageUrl}]}]}]]}]},{Ref:Origins}]}", append(variables, "ORIGINS")...)
	equal(t, r, "{Fn::If:[OwnPool,{Fn::Sub:https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${Users}},"+
		"{Ref:Issuer}]}", append(variables, "ISSUER")...)
}

// CloudFront alone reads the page's files, over TLS, and the page may run its own scripts and talk to its own API.
func TestPage(t *testing.T) {
	r := transformed(t)
	equal(t, r, "{BlockPublicAcls:true,BlockPublicPolicy:true,IgnorePublicAcls:true,RestrictPublicBuckets:true}",
		"PageFiles", "Properties", "PublicAccessBlockConfiguration")
	config := at(r, "PageDistribution", "Properties", "DistributionConfig")
	if at(list(at(config, "Origins"))[0], "OriginAccessControlId") == nil ||
		at(config, "DefaultCacheBehavior", "ViewerProtocolPolicy") != "redirect-to-https" {
		t.Errorf("the distribution is %s", text(config))
	}
	csp := at(r, "PageHeaders", "Properties", "ResponseHeadersPolicyConfig", "SecurityHeadersConfig",
		"ContentSecurityPolicy", "ContentSecurityPolicy", "Fn::Sub").([]any)[0].(string)
	for _, want := range []string{
		"default-src 'none'; ", "script-src 'self'; ", "base-uri 'none'; ", "frame-ancestors 'none'",
		"connect-src 'self' wss://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix} ${SignIn}; ",
	} {
		if !strings.Contains(csp, want) {
			t.Errorf("the page's policy lacks %q: %s", want, csp)
		}
	}
}

// With Page=off no resource of S3 and CloudFront is made. Their names in CloudFront, which all Regions of an account
// share, have the Region in them.
func TestPage_Off(t *testing.T) {
	r := transformed(t)
	named := 0
	for id, resource := range r {
		kind, _ := at(resource, "Type").(string)
		if strings.HasPrefix(kind, "AWS::S3::") || strings.HasPrefix(kind, "AWS::CloudFront::") {
			equal(t, r, "HasPage", id, "Condition")
		}
		if !strings.HasPrefix(kind, "AWS::CloudFront::") {
			continue
		}
		for _, name := range namesIn(at(resource, "Properties")) {
			named++
			if !strings.HasPrefix(text(name), "{Fn::Sub:${AWS::StackName}-${AWS::Region}-") {
				t.Errorf("%s is named %s: in a second Region that name is taken", id, text(name))
			}
		}
	}
	if named != 3 {
		t.Errorf("%d names in CloudFront, want 3", named)
	}
}

// The names of roles and buckets are shared by all Regions as well. CloudFormation makes them up.
func TestGlobalNames(t *testing.T) {
	for id, resource := range transformed(t) {
		for kind, property := range map[string]string{"AWS::IAM::Role": "RoleName", "AWS::S3::Bucket": "BucketName",
			"AWS::IAM::ManagedPolicy": "ManagedPolicyName"} {
			if at(resource, "Type") == kind && at(resource, "Properties", property) != nil {
				t.Errorf("%s has the name %s: a stack in a second Region cannot have it", id,
					text(at(resource, "Properties", property)))
			}
		}
	}
}

// namesIn are the values of the members called Name.
func namesIn(v any) (names []any) {
	o, _ := v.(object)
	for key, member := range o {
		if key == "Name" {
			names = append(names, member)
			continue
		}
		names = append(names, namesIn(member)...)
	}
	return names
}

// The machine clients are two users. Each has a secret, no browser, and no more rights than the page asks for.
func TestProbes(t *testing.T) {
	r := transformed(t)
	grants := "[carrel/" + strings.Join(catalog.Scopes(agents.Grants()), ",carrel/") + "]"
	for _, id := range []string{"ProbeA", "ProbeB"} {
		equal(t, r, "HasProbes", id, "Condition")
		for path, want := range map[string]string{
			"GenerateSecret": "true", "AllowedOAuthFlows": "[client_credentials]", "CallbackURLs": "null",
			"AllowedOAuthScopes": grants, "ExplicitAuthFlows": "[ALLOW_REFRESH_TOKEN_AUTH]",
		} {
			equal(t, r, want, id, "Properties", path)
		}
	}
}
