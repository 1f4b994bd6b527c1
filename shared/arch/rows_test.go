package arch_test

import (
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rowFiles are the test files in which the Makefile's ROW_TESTS looks for tests of a row.
var rowFiles = []string{"infra/audit/*/*", "infra/cli/*/*", "infra/mutants/*", "infra/soak/*"}

// rowTestsRule allows no test of the Makefile's test-driven to share its name with a test of a row of the scorecard:
// test-driven leaves out the tests of rows by their names.
func rowTestsRule(tr tree) (found []string) {
	text, err := fs.ReadFile(tr.fsys, "Makefile")
	if err != nil {
		return []string{err.Error()}
	}
	for _, pattern := range rowFiles {
		if !strings.Contains(string(text), pattern+"_test.go") {
			found = append(found, "the Makefile's ROW_TESTS does not read "+pattern+"_test.go: correct rowFiles")
		}
	}
	notDriven := regexp.MustCompile(`^infra/(local|deploy|template)/`)
	rows, others := map[string]string{}, map[string][]string{}
	for _, f := range tr.files {
		if !f.test() || !strings.HasPrefix(f.path, "infra/") || notDriven.MatchString(f.path) {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") {
				continue
			}
			if inRowFiles(f.path) && declaresRow(fn) {
				rows[fn.Name.Name] = f.at(fn)
			} else {
				others[fn.Name.Name] = append(others[fn.Name.Name], f.at(fn))
			}
		}
	}
	for name, row := range rows {
		for _, other := range others[name] {
			found = append(found, fmt.Sprintf("%s: make test leaves out %s, because the test of this name in %s "+
				"declares a row of the scorecard: rename one of them", other, name, row))
		}
	}
	slices.Sort(found)
	return found
}

func inRowFiles(file string) bool {
	return slices.ContainsFunc(rowFiles, func(pattern string) bool {
		matches, err := path.Match(pattern, file)
		return err == nil && matches
	})
}

// declaresRow reports whether a test declares a whole row. One with a subtest's name declares only that subtest.
func declaresRow(fn *ast.FuncDecl) (declares bool) {
	row := regexp.MustCompile(`^"[A-E][0-9]: `)
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		f, isMethod := call.Fun.(*ast.SelectorExpr)
		key, isText := call.Args[0].(*ast.BasicLit)
		if isMethod && f.Sel.Name == "Attr" && isText && key.Value == `"row"` {
			ast.Inspect(call.Args[1], func(n ast.Node) bool {
				value, ok := n.(*ast.BasicLit)
				declares = declares || ok && row.MatchString(value.Value)
				return true
			})
		}
		return true
	})
	return declares
}

func TestRows_NamesAreUnique(t *testing.T) {
	const makefile = "-- Makefile --\nROW_TESTS = infra/audit/*/*_test.go infra/cli/*/*_test.go " +
		"infra/mutants/*_test.go infra/soak/*_test.go\n"
	const row = "-- infra/audit/limits/flood_test.go --\npackage limits\n" +
		"func TestFlood(t T) { t.Attr(\"row\", \"C3: text\") }\n"
	enforce(t, rowTestsRule, map[string]string{
		"make test leaves out TestFlood": makefile + row +
			"-- infra/mcp/mcp_test.go --\npackage mcp\nfunc TestFlood(t T) {}\n",
		"does not read infra/soak": strings.Replace(makefile, "infra/soak/*_test.go", "", 1) + row,
	})
}
