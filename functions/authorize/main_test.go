package main

import (
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func environment() map[string]string {
	return map[string]string{
		"ISSUER": "https://issuer", "AUDIENCE": "api", "PAGE_CLIENT": "page", "TOKEN_KIND": "audience",
		"GRANTS_CLAIM": "scope", "ORIGINS": "https://page.test",
	}
}

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, environment(), build)
}

func TestBuild_WrongVariables(t *testing.T) {
	wrong := map[string]string{
		"GRANTS_CLAIM": "role", "TOKEN_KIND": "any", "ORIGINS": "page.test", "AUDIENCE": " ", "PAGE_CLIENT": "api",
		"ISSUER": "http://issuer.test",
	}
	for name, value := range wrong {
		err := gatewaytest.Build(environment(), map[string]string{name: value}, build)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a wrong %s: error %v, want it to name the variable", name, err)
		}
	}
	err := gatewaytest.Build(environment(), wrong, build)
	for _, value := range []string{"http://issuer.test", "audience", `"any"`, `"role"`, `"page.test"`} {
		if err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("every variable is wrong: error %v, want it to name %s too", err, value)
		}
	}
}
