package arch_test

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cutters returns the files that may search a text for a place to cut.
func cutters() []string {
	return []string{
		"shared/chars/chars.go",
		"shared/engine/tail.go", // keeps an incomplete character for the next delta
	}
}

// precision matches a verb of fmt that cuts a text.
const precision = `%[-+# 0]*[0-9]*\.[0-9*]+[qsv]`

// cutRule allows one function to cut texts: it never cuts inside a character as a reader sees it.
func cutRule(tr tree) []string {
	verb := regexp.MustCompile(precision)
	var found []string
	for _, f := range tr.files {
		pkg, inShared := strings.CutPrefix(f.dir(), "shared/")
		if f.test() || inShared && under(pkg, testOnly()) || !inShared && !strings.HasPrefix(f.dir(), "functions/") ||
			slices.Contains(cutters(), f.path) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if verb.MatchString(n.Value) {
					found = append(found, fmt.Sprintf("%s: %s may cut a text inside a character: use chars.HeadPoints",
						f.at(n), n.Value))
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && f.importOf(x.Name) == "unicode/utf8" && n.Sel.Name == "RuneStart" {
					found = append(found, fmt.Sprintf("%s: utf8.RuneStart: to cut a text use chars.Head", f.at(n)))
				}
			case *ast.CallExpr:
				if slice, ok := n.Fun.(*ast.ArrayType); ok && slice.Len == nil && fmt.Sprint(slice.Elt) == "rune" &&
					!slices.Contains(runeReaders(), f.path) {
					found = append(found,
						fmt.Sprintf("%s: []rune of a text: to cut one use chars.HeadPoints, to count "+
							"utf8.RuneCountInString", f.at(n)))
				}
			}
			return true
		})
	}
	return found
}

// runeReaders returns the files that read a text by code points and do not cut it.
func runeReaders() []string {
	return []string{"shared/model/scripted/assistant.go", "shared/tool/calculator/parse.go"}
}

func TestCuts_OneFunction(t *testing.T) {
	in := func(imports, body string) string {
		return "-- functions/x/a.go --\npackage main\nimport (\n" + imports + "\n)\n" + body + "\n"
	}
	enforce(t, cutRule, map[string]string{
		"may cut a text":   in(`"fmt"`, "func f(s string) string { return fmt.Sprintf(`a %.40q`, s) }"),
		"chars.Head":       in(`"unicode/utf8"`, "func f(s string) bool { return utf8.RuneStart(s[1]) }"),
		"[]rune of a text": in("", "func f(s string) string { return string([]rune(s)[:5]) }"),
	})
}
