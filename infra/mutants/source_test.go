package mutants

import (
	"fmt"
	"go/format"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// withoutComments returns a file's text as guards are looked for in it: without comments and, if it is Go, formatted anew. So
// an edit of a comment moves no guard. A part of a file has no file's form: it keeps its own spaces.
func withoutComments(name, text string, whole bool) (string, error) {
	switch filepath.Ext(name) {
	case ".go":
		text = goWithoutComments(text)
		if !whole {
			return text, nil
		}
		formatted, err := format.Source([]byte(text))
		if err != nil {
			return "", fmt.Errorf("%s without its comments: %w", name, err)
		}
		return string(formatted), nil
	case ".ts", ".tsx", ".mjs":
		return tsComment.ReplaceAllString(text, ""), nil
	case ".yaml":
		return yamlComment.ReplaceAllString(text, ""), nil
	}
	return text, nil
}

var (
	// A comment of TypeScript that stands on lines of its own, or behind code and a space. No string of the code holds either.
	tsComment   = regexp.MustCompile(`(?m)^[ \t]*/\*(?:[^*]|\*[^/])*\*/[ \t]*\n|^[ \t]*//[^\n]*\n|[ \t]+// [^\n]*$`)
	yamlComment = regexp.MustCompile(`(?m)^[ \t]*#[^\n]*\n|[ \t]+# [^\n]*$`)
)

// goWithoutComments leaves out comments, with the line of one that stands alone. Directives of the compiler stay.
func goWithoutComments(text string) string {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, scanner.ScanComments)
	var b strings.Builder
	done := 0
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return b.String() + text[done:]
		}
		if kind != token.COMMENT || strings.HasPrefix(literal, "//go:") {
			continue
		}
		from := file.Offset(pos)
		to := from + len(literal)
		before := strings.TrimRight(text[done:from], " \t")
		alone := before == "" && done == 0 || strings.HasSuffix(before, "\n")
		if alone && to < len(text) && text[to] == '\n' {
			to++
		}
		b.WriteString(before)
		done = to
	}
}

func TestWithoutComments(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"go": {"a.go", "// Package a.\npackage a\n\n// F does.\nfunc F() { // at once\n\tg(\"// no comment\") /* nor */ \n\t// alone\n\th()\n}\n\n//go:noinline\nfunc g(string) {}\n",
			"package a\n\nfunc F() {\n\tg(\"// no comment\")\n\th()\n}\n\n//go:noinline\nfunc g(string) {}\n"},
		"ts":   {"a.ts", "/**\n * Does.\n */\nexport const a = 1; // one\n// alone\nconst url = \"https://a\";\n", "export const a = 1;\nconst url = \"https://a\";\n"},
		"yaml": {"a.yaml", "# all\na: 1 # one\n  # two\nb: \"#c\"\n", "a: 1\nb: \"#c\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := withoutComments(c.file, c.text, true)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
