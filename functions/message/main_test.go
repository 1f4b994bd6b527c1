package main

import (
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func TestConfigurationIsNamedWhenMissing(t *testing.T) {
	gatewaytest.NamesMissing(t, map[string]string{
		"TABLE": "t", "ENDPOINT": "https://api.test/v1", "TURN_FUNCTION": "turn", "AWS_REGION": "r",
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
	}, build)
}
