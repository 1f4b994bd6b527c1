package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const moduleRoot = "../../.."

// TestRows_Table reads the rows in order, each with a claim, a requirement, and checks that differ.
func TestRows_Table(t *testing.T) {
	all, err := rows(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range all {
		ids = append(ids, r.id)
		seen := map[string]bool{}
		for _, c := range r.checks {
			if seen[c.pkg+c.test] || c.shows == "" {
				t.Errorf("%s declares row %s twice, or without a text", c.test, r.id)
			}
			seen[c.pkg+c.test] = true
		}
		if r.claim == "" || r.here == "" || len(r.of(quick)) == 0 {
			t.Errorf("row %s has no claim, no requirement, or no check in a quick audit", r.id)
		}
	}
	want := "A1 A2 A3 A4 A5 A6 A7 B1 B2 B3 B4 B5 B6 C1 C2 C3 C4 C5 D1 D2 D3 D4 E1 E2 E3 E4 E5 E6 E7"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
}

// TestRows_Declarations compares the tests that declare a row with the number in rows.txt, so that no check is lost
// when a test is moved or rewritten. Each check must report its work as a figure or as subtests: the audit would only
// show after minutes that it reports neither.
func TestRows_Declarations(t *testing.T) {
	all, err := rows(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]map[string][]*ast.FuncDecl{}
	for _, r := range all {
		var names []string
		for _, c := range r.checks {
			names = append(names, c.pkg+" "+c.test)
			if packages[c.pkg] == nil {
				packages[c.pkg] = functions(t, c.pkg)
			}
			name, subtest, _ := strings.Cut(c.test, "/")
			if subtest == "" && !reports(packages[c.pkg], name, map[string]bool{}) {
				t.Errorf(`%s: %s reports none of its work: add t.Attr("figure", …) or subtests`, c.pkg, name)
			}
			for part := range strings.SplitSeq(subtest, "/") {
				grep := exec.CommandContext(t.Context(), "git", "-C", moduleRoot, "grep", "-qF", strconv.Quote(part),
					"--", c.pkg)
				if err := grep.Run(); err != nil && part != "" {
					t.Errorf("%s declares row %s for its subtest %s, but %s does not contain the string %q: was the "+
						"subtest renamed?",
						name, r.id, subtest, c.pkg, part)
				}
			}
		}
		if len(r.checks) != r.count {
			t.Errorf("%d tests declare row %s, and rows.txt gives it %d. If a test has lost its t.Attr(\"row\", \"%s: "+
				"…\"), put it back. If the row has a new check, raise the number.\nDeclared: %v",
				len(r.checks), r.id, r.count, r.id, names)
		}
	}
}

// functions returns the functions in the test files of a package by name; methods of one name are taken together.
func functions(t *testing.T, pkg string) map[string][]*ast.FuncDecl {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleRoot, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*ast.FuncDecl{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
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

// reports is true if a function sets a figure, runs subtests, or calls a function of its package that does. eachEngine
// of shared/store does not count: its subtests are engines and not cases.
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

// TestRows_Guards compares the guards of infra/mutants with the rows: each guard's test must declare the guard's row,
// and each row must have a guard. The audit itself would show it only after minutes.
func TestRows_Guards(t *testing.T) {
	all, err := rows(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	const list = "TestGuardsAreThere"
	out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-json", "-run", "^"+list+"$",
		"carrel/infra/mutants").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	res := noResults()
	res.add(process{pkg: mutantsPackage}, out, nil)
	guards := map[string]int{}
	for _, text := range res.of(mutantsPackage + " " + list).attrs["removal"] {
		var m removal
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		guards[m.Row]++
		i := slices.IndexFunc(all, func(r row) bool { return r.id == m.Row })
		if i < 0 {
			t.Errorf("guard %q names the row %s, which does not exist", m.Guard, m.Row)
		} else if why := m.proves(all[i].checks); why != "" {
			t.Errorf("row %s, guard %q: %s", m.Row, m.Guard, why)
		}
	}
	for _, r := range all {
		if guards[r.id] == 0 {
			t.Errorf("no guard names row %s, so nothing shows that its checks can fail", r.id)
		}
	}
}
