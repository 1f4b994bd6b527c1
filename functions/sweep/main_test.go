package main

import (
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, map[string]string{
		"TABLE": "t", "ENDPOINT": "https://api.test/v1", "USER_ROLE": "arn:aws:iam::1:role/user",
		"TURN_FUNCTION": "turn",
		"AWS_REGION":    "r", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
	}, build)
}
