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

// withoutComments returns a file's text without comments and, if it is Go, formatted. Guards are searched in this
// text, so an edit of a comment moves no guard. A part of a file cannot be formatted: it keeps its spaces.
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
	// A comment of TypeScript on lines of its own, or after code and a space. No string of the code looks like one.
	tsComment   = regexp.MustCompile(`(?m)^[ \t]*/\*(?:[^*]|\*[^/])*\*/[ \t]*\n|^[ \t]*//[^\n]*\n|[ \t]+// [^\n]*$`)
	yamlComment = regexp.MustCompile(`(?m)^[ \t]*#[^\n]*\n|[ \t]+# [^\n]*$`)
)

// goWithoutComments removes comments; a comment that fills a line is removed with the line. Compiler directives stay.
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

// find returns the place of a guard in a file's text. The text may break lines elsewhere than the guard.
func find(text, guard string) (place []int, err error) {
	if i := strings.Index(text, guard); i >= 0 && strings.Count(text, guard) == 1 {
		return []int{i, i + len(guard)}, nil
	}
	all := wrapped(guard).FindAllStringIndex(text, -1)
	if len(all) != 1 {
		return nil,
			fmt.Errorf("the guard stands there %d times, want once. If the code has changed, write the guard as it "+
				"is now:\n%s",
				len(all), guard)
	}
	return all[0], nil
}

// wrapped matches a guard that may have line breaks at its spaces and inside its brackets, and whose strings may be
// cut at a space and joined with +.
func wrapped(guard string) *regexp.Regexp {
	var b strings.Builder
	for _, part := range regexp.MustCompile(`\s+|[(\[{]|[)\]}]|[^\s(){}\[\]]+`).FindAllString(strings.TrimSpace(guard),
		-1) {
		switch {
		case strings.TrimSpace(part) == "":
			b.WriteString(`(?:\s+|\s*["` + "`" + `]\s*\+\s*["` + "`" + `]\s*)`)
		case strings.Contains("([{", part):
			b.WriteString(regexp.QuoteMeta(part) + `\s*`)
		case strings.Contains(")]}", part):
			b.WriteString(`,?\s*` + regexp.QuoteMeta(part))
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	return regexp.MustCompile(b.String())
}

func TestFind(t *testing.T) {
	const guard = `if err := f(a, b("one two")); err != nil {`
	for text, want := range map[string]int{
		"x\n" + guard + "\n": 1,
		"if err := f(\n\ta,\n\tb(\"one \"+\n\t\t\"two\"),\n); err != nil {\n": 1,
		guard + "\n" + guard:                         2,
		`if err := f(a, c("one two")); err != nil {`: 0,
	} {
		place, err := find(text, guard)
		if (err == nil) != (want == 1) || err == nil && !strings.HasPrefix(text[place[0]:], "if err") {
			t.Errorf("%q: %v, %v, want %d", text, place, err, want)
		}
	}
}

func TestWithoutComments(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"go": {"a.go",
			"// Package a.\npackage a\n\n// F does.\nfunc F() { // at once\n\tg(\"// no comment\") /* nor */ \n\t// " +
				"alone\n\th()\n}\n\n//go:noinline\nfunc g(string) {}\n",
			"package a\n\nfunc F() {\n\tg(\"// no comment\")\n\th()\n}\n\n//go:noinline\nfunc g(string) {}\n"},
		"ts": {"a.ts", "/**\n * Does.\n */\nexport const a = 1; // one\n// alone\nconst url = \"https://a\";\n",
			"export const a = 1;\nconst url = \"https://a\";\n"},
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
