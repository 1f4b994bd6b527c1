package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const moduleRoot = "../../.."

func allRows(t *testing.T) []row {
	t.Helper()
	all, err := rows(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRows_Declarations compares the tests that declare a row with the number in rows.txt, so that no check is lost when a
// test is moved or rewritten. Each check must report its work as a figure or as subtests: the audit itself would show a
// check without either only after minutes.
func TestRows_Declarations(t *testing.T) {
	packages := map[string]map[string][]*ast.FuncDecl{}
	for _, r := range allRows(t) {
		if len(r.checks) != r.count {
			t.Errorf("%d tests declare row %s, and rows.txt gives it %d. If a test has lost its t.Attr(\"row\", \"%s: what it "+
				"shows\"), put it back; if the row has a new check, raise the number. Declared: %v",
				len(r.checks), r.id, r.count, r.id, names(r.checks))
		}
		for _, c := range r.checks {
			if packages[c.pkg] == nil {
				packages[c.pkg] = functions(t, filepath.Join(moduleRoot, c.pkg))
			}
			name, subtest, _ := strings.Cut(c.test, "/")
			if subtest == "" && !reports(packages[c.pkg], name, map[string]bool{}) {
				t.Errorf(`%s: %s %s reports none of its work: add t.Attr("figure", …) or subtests`, r.id, c.pkg, name)
			}
			for part := range strings.SplitSeq(subtest, "/") {
				if !hasLiteral(t, filepath.Join(moduleRoot, c.pkg), part) {
					t.Errorf("%s: %s declares row %s for its subtest %s, but the string %q stands nowhere in its package: "+
						"was the subtest renamed?", c.pkg, name, r.id, subtest, part)
				}
			}
		}
	}
}

func names(checks []check) (all []string) {
	for _, c := range checks {
		all = append(all, c.pkg+" "+c.test)
	}
	return all
}

// hasLiteral reports whether some Go file in a folder, or in a folder directly below it, contains a string literal.
func hasLiteral(t *testing.T, dir, literal string) bool {
	t.Helper()
	for _, pattern := range []string{"*.go", "*/*.go"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), strconv.Quote(literal)) {
				return true
			}
		}
	}
	return literal == ""
}

// functions are those of the tests of a package, by name; methods of one name are taken together.
func functions(t *testing.T, dir string) map[string][]*ast.FuncDecl {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*ast.FuncDecl{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				all[fn.Name.Name] = append(all[fn.Name.Name], fn)
			}
		}
	}
	return all
}

// reports is true if a function sets a figure, runs subtests, or calls a function of its package that does. eachEngine of
// shared/store is left out: it runs a subtest for each engine, which is no case.
func reports(all map[string][]*ast.FuncDecl, name string, seen map[string]bool) bool {
	if seen[name] || name == "eachEngine" {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(all[name], func(fn *ast.FuncDecl) (found bool) {
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || found {
				return !found
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				found = reports(all, f.Name, seen)
			case *ast.SelectorExpr:
				of, plain := f.X.(*ast.Ident)
				cases := f.Sel.Name == "Fuzz" || f.Sel.Name == "Run" && plain && of.Name == "t"
				figure := f.Sel.Name == "Attr" && constant(call.Args[0]) == "figure"
				found = cases || figure || reports(all, f.Sel.Name, seen)
			}
			return !found
		})
		return found
	})
}
