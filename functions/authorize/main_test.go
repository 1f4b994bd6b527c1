package main

import (
	"strings"
	"testing"
)

func TestMissingOrWrongConfigurationIsNamed(t *testing.T) {
	all := map[string]string{"ISSUER": "https://issuer", "AUDIENCE": "page", "GRANTS_CLAIM": "scope"}
	if _, err := build(func(n string) string { return all[n] }); err != nil {
		t.Fatal(err)
	}
	for name := range all {
		_, err := build(func(n string) string {
			if n == name {
				return ""
			}
			return all[n]
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v, want one that names it", name, err)
		}
	}
	all["GRANTS_CLAIM"] = "roles"
	if _, err := build(func(n string) string { return all[n] }); err == nil || !strings.Contains(err.Error(), "grants") {
		t.Errorf("a wrong grants claim: error %v, want one that says so", err)
	}
}
