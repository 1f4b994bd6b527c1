package gatewaytest

import (
	"strings"
	"testing"

	"carrel/shared/awsenv"
)

// NamesMissing checks a function's build: it takes all of these variables, and without any one of them its error names it.
func NamesMissing[H any](tb testing.TB, all map[string]string, build func(awsenv.Getenv) (H, error)) {
	tb.Helper()
	if _, err := build(func(name string) string { return all[name] }); err != nil {
		tb.Fatalf("with all of it: %v", err)
	}
	for missing := range all {
		_, err := build(func(name string) string {
			if name == missing {
				return ""
			}
			return all[name]
		})
		if err == nil || !strings.Contains(err.Error(), missing) {
			tb.Errorf("without %s: error %v, want one that names it", missing, err)
		}
	}
}
