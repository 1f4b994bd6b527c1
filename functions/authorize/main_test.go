package main

import (
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func TestMissingOrWrongConfigurationIsNamed(t *testing.T) {
	all := map[string]string{"ISSUER": "https://issuer", "AUDIENCE": "api", "PAGE_CLIENT": "page", "TOKEN_KIND": "audience", "GRANTS_CLAIM": "scope", "ORIGINS": "https://page.test"}
	gatewaytest.NamesMissing(t, all, build)
	for name, wrong := range map[string]string{
		"GRANTS_CLAIM": "role", "TOKEN_KIND": "any", "ORIGINS": "page.test", "AUDIENCE": " ", "PAGE_CLIENT": "api", "ISSUER": "http://issuer.test",
	} {
		_, err := build(func(n string) string {
			if n == name {
				return wrong
			}
			return all[n]
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a wrong %s: error %v, want one that names it", name, err)
		}
	}
}
