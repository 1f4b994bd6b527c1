package client_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// uncited returns the requirements that no scenario can show, each with the reason.
func uncited() map[string]string {
	return map[string]string{
		"C5": "the program that creates a client for each user must meet it; for the page: web/test/leaving.test.ts",
	}
}

// TestRequirements_Cited compares the numbered requirements of docs/protocol.md with the numbers that the scenarios
// cite in the line "Requirements: C1, C2" of their comment.
func TestRequirements_Cited(t *testing.T) {
	docs, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, cited := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^- \*\*(C\d+)\*\*`).FindAllStringSubmatch(string(docs), -1) {
		if exists[m[1]] {
			t.Errorf("docs/protocol.md has the requirement %s twice", m[1])
		}
		exists[m[1]] = true
	}
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 || len(exists) == 0 {
		t.Fatalf("found %d scenarios and %d requirements: %v", len(files), len(exists), err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^Requirements: (C\d+(?:, C\d+)*)$`).FindStringSubmatch(string(a.Comment))
		if m == nil {
			t.Errorf("%s: the comment lacks the line \"Requirements: C1, C2\"", file)
			continue
		}
		for _, number := range strings.Split(m[1], ", ") {
			cited[number] = true
			if !exists[number] {
				t.Errorf("%s cites %s, which docs/protocol.md lacks", file, number)
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(exists)) {
		if !cited[number] && uncited()[number] == "" {
			t.Errorf("no scenario cites %s: write one, or give the reason in shared/client/requirements_test.go",
				number)
		}
		if cited[number] && uncited()[number] != "" {
			t.Errorf("a scenario cites %s: take it off the list in shared/client/requirements_test.go", number)
		}
	}
}
