package template_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// turn may call the named models of Bedrock and read the named secret, and nothing else of these services.
func TestResolve_ModelPermissions(t *testing.T) {
	const models = "anthropic.claude-sonnet-4-5-20250929-v1:0 amazon.nova-lite-v1:0"
	const secret = "arn:aws:secretsmanager:eu-central-1:1:secret:models-AbCdEf"
	for _, c := range []struct {
		name   string
		change map[string]string
		want   []string
	}{
		{"default", nil, nil},
		{"models", map[string]string{"BedrockModels": models}, []string{
			"bedrock:InvokeModelWithResponseStream arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0",
			"bedrock:InvokeModelWithResponseStream " +
				"arn:aws:bedrock:*::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}},
		{"profile", map[string]string{"BedrockModels": "amazon.nova-lite-v1:0", "BedrockProfile": "eu"}, []string{
			"bedrock:InvokeModelWithResponseStream :inference-profile/eu.amazon.nova-lite-v1:0",
			"bedrock:InvokeModelWithResponseStream arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0 " +
				"if StringLike bedrock:InferenceProfileArn :inference-profile/eu.*"}},
		{"secret", map[string]string{"ProviderSecret": secret}, []string{"secretsmanager:GetSecretValue " + secret}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tm, err := resolveOwn(ownTemplate(t), c.change)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range function(t, tm, "TurnFunction").Policies {
				for _, action := range s.Action {
					if !strings.HasPrefix(action, "bedrock:") && !strings.HasPrefix(action, "secretsmanager:") {
						continue
					}
					for _, resource := range s.Resource {
						if strings.HasSuffix(resource, "/") || strings.HasSuffix(resource, ".") {
							continue // an empty slot: no model has this name
						}
						line := action + " " + local(resource)
						for operator, keys := range s.Condition {
							for key, values := range keys {
								line += fmt.Sprintf(" if %s %s %s", operator, key, local(values[0]))
							}
						}
						got = append(got, line)
					}
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("turn may\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// local returns an ARN from its resource on if it is one of this Region and account.
func local(arn string) string {
	if i := strings.Index(arn, ":inference-profile/"); i >= 0 {
		return arn[i:]
	}
	return arn
}
