package docs_test

import (
	"carrel/infra/testkit"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// text reads a file that is named from the module's root.
func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(testkit.Path(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A number that a page states about code or another page is correct.
func TestDocs_Numbers(t *testing.T) {
	count := func(file, pattern string) int {
		return len(regexp.MustCompile(pattern).FindAllString(text(t, file), -1))
	}
	for _, c := range []struct {
		page, pattern string // the number is the pattern's group
		counted       int
	}{
		{"README.md", `Each of the (\d+) faults`, count("docs/faults.md", `(?m)^\| \d+ \|`)},
		{"docs/tools.md", `has (\d+) conversations`, count("shared/tool/tooltest/injections.txtar", `(?m)^-- .* --$`)},
		{"docs/locks.md", `judges (\d+) forgeries`, count("shared/arch/testdata/forgeries.txtar", `(?m)// ERROR `)},
	} {
		found := regexp.MustCompile(c.pattern).FindStringSubmatch(text(t, c.page))
		if found == nil {
			t.Errorf("%s does not say %q", c.page, c.pattern)
		} else if found[1] != strconv.Itoa(c.counted) {
			t.Errorf("%s says %q, and there are %d", c.page, found[0], c.counted)
		}
	}
}

// The README's table of dependencies lists the direct dependencies of go.mod.
func TestDocs_Dependencies(t *testing.T) {
	_, after, _ := strings.Cut(text(t, "README.md"), "## Direct dependencies")
	table, _, _ := strings.Cut(after, "\nThe page:")
	var named []string
	for row := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " |")
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(first, -1) {
			named = append(named, m[1])
		}
	}
	used := map[string]bool{}
	for line := range strings.Lines(text(t, "go.mod")) {
		module := regexp.MustCompile(`^(?:require )?\s*(\S+\.\S+/\S+) v`).FindStringSubmatch(line)
		if module == nil || strings.Contains(line, "// indirect") {
			continue
		}
		at := slices.IndexFunc(named, func(n string) bool {
			return strings.Contains(module[1]+"/", "/"+n+"/") || strings.Contains("/"+module[1]+"/", "/"+n+"/")
		})
		if at < 0 {
			t.Errorf("go.mod requires %s, and the README's table does not list it", module[1])
			continue
		}
		used[named[at]] = true
	}
	for _, n := range named {
		if !used[n] {
			t.Errorf("the README's table names %s, which go.mod does not require", n)
		}
	}
}

// Tests and files that the docs name exist.
func TestDocs_Names(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "git", "-C", testkit.Path(t, "."), "grep", "-hoE",
		`^func (Test|Fuzz|Benchmark)[A-Za-z0-9_]*`, "--", "*_test.go").Output()
	if err != nil {
		t.Fatalf("list the tests: %v", err)
	}
	tests := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		tests[strings.TrimPrefix(strings.TrimSpace(line), "func ")] = true
	}
	_, inline := pages(t)
	names, paths := 0, 0
	for quoted, page := range inline {
		switch word := strings.TrimSuffix(quoted, "$"); {
		case regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`).MatchString(word):
			names++
			if !tests[word] {
				t.Errorf("%s names the test %s, which does not exist", page, word)
			}
		case regexp.MustCompile(`^(shared|functions|infra|web|docs)/[\w./-]+$`).MatchString(quoted):
			paths++
			if strings.HasPrefix(quoted, "web/dist") || strings.HasSuffix(quoted, "/node_modules") {
				continue // made by a build
			}
			if _, err := os.Stat(testkit.Path(t, quoted)); err != nil {
				t.Errorf("%s names %s, which does not exist", page, quoted)
			}
		}
	}
	if names < 20 || paths < 50 {
		t.Errorf("only %d tests and %d paths were found: the test reads the wrong files", names, paths)
	}
}
