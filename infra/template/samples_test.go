package template_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sample that no function's test takes may be wrong.
func TestSamples_EachHandler(t *testing.T) {
	samples, err := filepath.Glob("../events/*.json")
	if err != nil || len(samples) < 7 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	tests, err := filepath.Glob("../../functions/*/sample_test.go")
	if err != nil || len(tests) != 6 {
		t.Fatalf("%d functions with a test of their samples, %v; want all six", len(tests), err)
	}
	var all strings.Builder
	for _, file := range tests {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	for _, sample := range samples {
		if name := strings.TrimSuffix(filepath.Base(sample), ".json"); !strings.Contains(all.String(), `"`+name+`"`) {
			t.Errorf("infra/events/%s.json is fed to no handler", name)
		}
	}
}
