package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each message that docs/deploying.md explains is one of the program's: the parts between … stand in its source.
func TestDocs_Messages(t *testing.T) {
	guide, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## Messages\n")
	section, _, _ = strings.Cut(section, "\n### ")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			// A text that is cut in two on two lines is one.
			source.WriteString(regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(string(text), ""))
		}
	}
	messages := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(section, -1) {
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			messages++
			for part := range strings.SplitSeq(quoted[1], "…") {
				if part = strings.TrimSpace(part); !strings.Contains(source.String(), part) {
					t.Errorf("make deploy does not say %q of %q", part, quoted[1])
				}
			}
		}
	}
	if messages < 30 {
		t.Errorf("%d messages: the test looks at nothing", messages)
	}
}

// Each remedy is in the guide.
func TestDocs_Remedies(t *testing.T) {
	guide, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remedies() {
		first, _, _ := strings.Cut(r.advice, ". ")
		if !strings.Contains(string(guide), first) && r.reason != roleNotYetEffective && !strings.Contains(r.reason, "stack policy") {
			t.Errorf("docs/deploying.md does not explain %q", first)
		}
	}
}
