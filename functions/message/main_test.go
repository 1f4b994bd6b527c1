package main

import (
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func TestConfigurationIsNamedWhenMissing(t *testing.T) {
	gatewaytest.NamesMissing(t, map[string]string{
		"TABLE": "t", "ENDPOINT": "https://api.test/v1", "TURN_FUNCTION": "turn", "AWS_REGION": "r",
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
	}, build)
}

func TestEraseAuthIsOneOfTwo(t *testing.T) {
	for text, want := range map[string]eraseAuth{"": eraseBySignIn, "signIn": eraseBySignIn, "confirm": eraseByConfirm, "signin": "", "off": ""} {
		if got, err := parseEraseAuth(text); got != want || (err != nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "ERASE_AUTH") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
