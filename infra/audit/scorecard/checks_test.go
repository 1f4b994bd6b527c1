package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each check is a test that there is, and one that says what it did: a figure, or cases of its own. The audit itself would
// tell only after minutes.
func TestEachCheckSaysWhatItDid(t *testing.T) {
	packages := map[string]map[string][]*ast.FuncDecl{}
	for _, row := range rows() {
		for _, c := range row.checks {
			if packages[c.pkg] == nil {
				packages[c.pkg] = functions(t, filepath.Join("../../..", c.pkg))
			}
			name, nested, _ := strings.Cut(c.test, "/")
			all := packages[c.pkg]
			switch {
			case all[name] == nil:
				t.Errorf("%s: there is no test %s in %s", row.id, name, c.pkg)
			case nested == "" && !tells(all, name, map[string]bool{}):
				t.Errorf(`%s: %s %s says nothing of what it did: no t.Attr("figure", …), no t.Run`, row.id, c.pkg, name)
			}
		}
	}
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

// tells reports whether a function tells a figure, or runs cases, or calls one of its package that does. What runs engines
// of the store runs one, which is no case.
func tells(all map[string][]*ast.FuncDecl, name string, seen map[string]bool) bool {
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
				found = tells(all, f.Name, seen)
			case *ast.SelectorExpr:
				of, plain := f.X.(*ast.Ident)
				cases := f.Sel.Name == "Fuzz" || f.Sel.Name == "Run" && plain && of.Name == "t"
				found = cases || f.Sel.Name == "Attr" || tells(all, f.Sel.Name, seen)
			}
			return !found
		})
		return found
	})
}
