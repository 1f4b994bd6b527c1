package main

import (
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
)

func TestMissingOrWrongConfigurationIsNamed(t *testing.T) {
	all := map[string]string{"ISSUER": "https://issuer", "AUDIENCE": "page", "GRANTS_CLAIM": "scope"}
	gatewaytest.NamesMissing(t, all, build)
	all["GRANTS_CLAIM"] = "roles"
	if _, err := build(func(n string) string { return all[n] }); err == nil || !strings.Contains(err.Error(), "grants") {
		t.Errorf("a wrong grants claim: error %v, want one that says so", err)
	}
}
