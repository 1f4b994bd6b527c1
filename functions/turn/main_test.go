package main

import (
	"strings"
	"testing"
)

func TestConfigurationIsNamedWhenMissing(t *testing.T) {
	all := map[string]string{
		"TABLE": "t", "ENDPOINT": "https://api.test/v1", "USER_ROLE": "arn:aws:iam::1:role/user", "AWS_LAMBDA_FUNCTION_NAME": "turn", "AWS_REGION": "r",
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
	}
	if _, err := build(func(name string) string { return all[name] }); err != nil {
		t.Fatalf("with all of it: %v", err)
	}
	for missing := range all {
		_, err := build(func(name string) string {
			if name == missing {
				return ""
			}
			return all[name]
		})
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
