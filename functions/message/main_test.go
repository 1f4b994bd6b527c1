package main

import (
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func environment() map[string]string {
	return map[string]string{
		"TABLE": "t", "ENDPOINT": "https://api.test/v1", "TURN_FUNCTION": "turn", "AWS_REGION": "r",
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
	}
}

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, environment(), build)
}

func TestParseEraseAuth(t *testing.T) {
	for text, want := range map[string]eraseAuth{
		"": eraseBySignIn, "signIn": eraseBySignIn, "confirm": eraseByConfirm, "signin": "", "off": "",
	} {
		got, err := parseEraseAuth(text)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestBuild_WrongVariables(t *testing.T) {
	err := gatewaytest.Build(environment(), map[string]string{
		"ENDPOINT": "wss://api.test", "TENANT_ISOLATION": "maybe", "ERASE_AUTH": "signin", "RUNS_PER_USER": "0",
		"CLOCK_SKEW": "soon",
	}, build)
	for _, name := range []string{"ENDPOINT", "TENANT_ISOLATION", "ERASE_AUTH", "RUNS_PER_USER", "CLOCK_SKEW"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that names %s too", err, name)
		}
	}
}
