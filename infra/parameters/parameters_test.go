package parameters_test

import (
	"maps"
	"testing"

	"carrel/infra/parameters"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                                {},
		" RunsPerUser=2\tRunBurst=1000\n": {"RunsPerUser": "2", "RunBurst": "1000"},
		`Issuer= Scope="a b" Other='x=y z' Half=a" b"`: {"Issuer": "", "Scope": "a b", "Other": "x=y z", "Half": "a b"},
	} {
		if got, err := parameters.Parse(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"RunsPerUser", "=2", "A=1 A=2", `A="1`, "A=1 B"} {
		if got, err := parameters.Parse(bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}
