package docs_test

import (
	"carrel/infra/testkit"
	"cmp"

	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is one fenced block of a page.
type block struct{ page, language, text string }

// pages reads the README and the docs: their fenced blocks, and the texts in backquotes outside of these.
func pages(t *testing.T) (blocks []block, inline map[string]string) {
	t.Helper()
	files, err := filepath.Glob(testkit.Path(t, "docs/*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the docs: %v", err)
	}
	inline = map[string]string{}
	for _, f := range append(files, testkit.Path(t, "README.md"), testkit.Path(t, "CONTRIBUTING.md")) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile("(?ms)^````.*?^````$").ReplaceAllString(string(b), "") // blocks that quote blocks
		for i, part := range regexp.MustCompile("(?m)^```").Split(text, -1) {
			if i%2 == 1 {
				language, text, _ := strings.Cut(part, "\n")
				blocks = append(blocks, block{filepath.Base(f), language, text})
				continue
			}
			for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(part, -1) {
				inline[m[1]] = filepath.Base(f)
			}
		}
	}
	return blocks, inline
}

// importsExist checks that the npm client exports each name that a block imports from it.
func importsExist(t *testing.T, b block) {
	t.Helper()
	imports := regexp.MustCompile(`(?m)^import \{ ([^}]+) \} from "carrel-client(?:/([a-z-]+))?";$`)
	for _, i := range imports.FindAllStringSubmatch(b.text, -1) {
		entry := cmp.Or(i[2], "index")
		source, err := os.ReadFile(testkit.Path(t, "web/client/src/"+entry+".ts"))
		if err != nil {
			t.Errorf("%s: %s: %v", b.page, i[0], err)
			continue
		}
		for name := range strings.SplitSeq(i[1], ", ") {
			if !regexp.MustCompile(`(?s)export [^;{]*(\{[^}]*)?\b` + name + `\b`).Match(source) {
				t.Errorf("%s: %s: web/client/src/%s.ts exports no %s", b.page, i[0], entry, name)
			}
		}
	}
}

// Every Go program in the docs compiles, every piece of JSON is JSON, and every command and every import from the npm
// client exists.
func TestDocs_Snippets(t *testing.T) {
	blocks, inline := pages(t)
	commands := 0
	for _, b := range blocks {
		switch b.language {
		case "go":
			compile(t, b)
		case "json":
			if !json.Valid([]byte(b.text)) {
				t.Errorf("%s: a block is not JSON:\n%s", b.page, b.text)
			}
		case "sh":
			for line := range strings.Lines(b.text) {
				commands += command(t, b.page, line)
			}
		case "ts", "tsx":
			importsExist(t, b)
		case "", "mermaid", "yaml":
		default:
			t.Errorf("%s: no check knows a block of %q", b.page, b.language)
		}
	}
	for text, page := range inline {
		if strings.HasPrefix(text, "make ") || strings.HasPrefix(text, "go test ") || strings.HasPrefix(text, "npm ") {
			commands += command(t, page, text)
		}
	}
	if commands < 5 {
		t.Errorf("only %d commands were found in all the docs: the test reads the wrong files", commands)
	}
}

// compile vets a program as a package of this module.
func compile(t *testing.T, b block) {
	t.Helper()
	dir, err := os.MkdirTemp("testdata", "doc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "doc.go"), []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("%s: a program does not compile: %v\n%s\n%s", b.page, err, out, b.text)
	}
}

// command checks that a command line names an existing target or package. It returns the number of commands: 0 or 1.
func command(t *testing.T, page, line string) int {
	t.Helper()
	line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
	if i := strings.LastIndex(line, "| "); i >= 0 {
		line = line[i+2:]
	}
	line = regexp.MustCompile(`[A-Z_]+=('[^']*'|"[^"]*"|\S+)`).ReplaceAllString(line, "")
	line = strings.ReplaceAll(line, "<LogicalId>", "TurnFunction")
	words := strings.Fields(line)
	if len(words) == 0 {
		return 0
	}
	switch words[0] {
	case "make":
		for _, target := range words[1:] {
			if out, err := exec.CommandContext(t.Context(), "make", "-C", testkit.Path(t, "."), "-n",
				target).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", page, line, err, out)
			}
		}
	case "go":
		for _, w := range words[2:] {
			if strings.HasPrefix(w, "./") {
				list := exec.CommandContext(t.Context(), "go", "list", w)
				list.Dir = testkit.Path(t, ".")
				if out, err := list.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", page, line, err, out)
				}
			}
		}
	case "cd", "git", "sam", "aws", "npm", "export", "docker", "ollama", "vllm", "llama-server":
	default:
		t.Errorf("%s: %s: no check knows such a command", page, line)
	}
	return 1
}
