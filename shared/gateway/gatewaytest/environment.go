package gatewaytest

import (
	"maps"
	"strings"
	"testing"

	"carrel/shared/boot"
)

// Configured checks the build of a function, which requires all of these variables. With all of them it must succeed.
// If one of them is missing, its error must name that variable, and if all are missing, its error must name every one.
func Configured[H any](tb testing.TB, required map[string]string, build func(*boot.Env) H) {
	tb.Helper()
	if err := Build(required, nil, build); err != nil {
		tb.Fatalf("with every variable: %v", err)
	}
	all := map[string]string{}
	for name := range required {
		all[name] = ""
		if err := Build(required, map[string]string{name: ""}, build); err == nil ||
			!strings.Contains(err.Error(), name) {
			tb.Errorf("without %s: error %v, want it to name the variable", name, err)
		}
	}
	err := Build(required, all, build)
	for name := range required {
		if err == nil || !strings.Contains(err.Error(), name) {
			tb.Errorf("without any variable: error %v, want it to name %s too", err, name)
		}
	}
}

// Build returns the configuration errors of a function whose environment holds variables, with changes in place.
func Build[H any](variables, changes map[string]string, build func(*boot.Env) H) error {
	set := maps.Clone(variables)
	maps.Copy(set, changes)
	return boot.Check("function", func(name string) string { return set[name] }, func(env *boot.Env) { build(env) })
}
