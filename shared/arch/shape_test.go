package arch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// Sizes up to which a reader keeps a function or a file in mind.
const (
	maxFunctionLines = 60
	maxFileLines     = 400
)

func sizeRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		if n := strings.Count(f.text, "\n"); n > maxFileLines {
			found = append(found, fmt.Sprintf("%s has %d lines, more than %d: split it by subject", f.path, n,
				maxFileLines))
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.lines(fn) > maxFunctionLines {
				found = append(found, fmt.Sprintf("%s: %s has %d lines, more than %d", f.at(fn), fn.Name.Name,
					f.lines(fn), maxFunctionLines))
			}
		}
	}
	return found
}

func TestShape_Sizes(t *testing.T) {
	enforce(t, sizeRule, map[string]string{
		"f has 72 lines": "-- shared/chat/a.go --\npackage chat\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", 70) +
			"}\n",
		"has 405 lines": "-- shared/chat/a.go --\npackage chat\n" + strings.Repeat("// x\n", 404),
	})
}

func commentRule(tr tree) []string {
	documented, some := map[string]bool{}, map[string]string{}
	var found []string
	for _, f := range tr.files {
		if f.test() {
			continue
		}
		some[f.dir()] = f.path
		documented[f.dir()] = documented[f.dir()] || f.ast.Doc.Text() != ""
		for _, d := range f.ast.Decls {
			found = append(found, undocumented(f, d)...)
		}
	}
	for dir := range some {
		if !documented[dir] {
			found = append(found, dir+": the package has no comment")
		}
	}
	slices.Sort(found)
	return found
}

// undocumented returns the exported names of a declaration that have no comment, neither their own nor their group's.
func undocumented(f file, d ast.Decl) []string {
	var found []string
	say := func(n *ast.Ident) { found = append(found, fmt.Sprintf("%s: %s has no comment", f.at(n), n.Name)) }
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc.Text() == "" && !ofHidden(d) && !short(f, d) {
			say(d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc.Text() == "" && s.Doc.Text() == "" {
					say(s.Name)
				}
			case *ast.ValueSpec:
				if (d.Tok == token.VAR || d.Tok == token.CONST) && s.Names[0].IsExported() && d.Doc.Text() == "" &&
					s.Doc.Text() == "" && s.Comment.Text() == "" {
					say(s.Names[0])
				}
			}
		}
	}
	return found
}

// short reports whether a method is one line, such as Error() or Len(): its interface defines its meaning.
func short(f file, d *ast.FuncDecl) bool { return d.Recv != nil && f.lines(d) == 1 }

// ofHidden reports whether a method belongs to a type that other packages cannot name.
func ofHidden(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	t := d.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	n, ok := t.(*ast.Ident)
	return ok && !n.IsExported()
}

func TestShape_Comments(t *testing.T) {
	enforce(t, commentRule, map[string]string{
		"shared/chat: the package has no comment": "-- shared/chat/a.go --\npackage chat\n",
		"F has no comment": "-- shared/chat/a.go --\n// Package chat.\npackage chat\nfunc F() " +
			"{\n}\n",
		"T has no comment": "-- shared/chat/a.go --\n// Package chat.\npackage chat\ntype T " +
			"int\n",
	})
}

func layoutRule(tr tree) []string {
	var found []string
	template, err := fs.ReadFile(tr.fsys, "template.yaml")
	if err != nil {
		return []string{"template.yaml: " + err.Error()}
	}
	seen := map[string]bool{}
	for _, f := range tr.files {
		dir := f.dir()
		if dir == "shared" {
			found = append(found, f.path+": no Go file stands directly in shared/")
		}
		if name := path.Base(dir); slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types",
			"manager", "service"}, name) {
			found = append(found, dir+": a package is named for its purpose")
		}
		fn, ok := strings.CutPrefix(dir, "functions/")
		if !ok || seen[fn] {
			continue
		}
		seen[fn] = true
		if !strings.Contains(string(template), "\n  "+strings.ToUpper(fn[:1])+fn[1:]+"Function:\n") {
			found = append(found, dir+": template.yaml does not deploy it")
		}
	}
	return found
}

func TestShape_Layout(t *testing.T) {
	enforce(t, layoutRule, map[string]string{
		"directly in shared/": "-- template.yaml --\n-- shared/a.go --\npackage shared\n",
		"functions/extra: template.yaml does not": "-- template.yaml --\nResources:\n  TurnFunction:\n-- " +
			"functions/extra/main.go --\npackage main\n",
		"shared/util: a package is named": "-- template.yaml --\n-- shared/util/a.go --\npackage util\n",
	})
}

func skipRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := c.Fun.(*ast.SelectorExpr)
			if ok && (s.Sel.Name == "SkipNow" || s.Sel.Name == "Skip" && len(c.Args) == 0) && f.test() {
				found = append(found, f.at(c)+": a skip without its reason")
			}
			return true
		})
	}
	return found
}

func TestShape_SkipReasons(t *testing.T) {
	enforce(t, skipRule, map[string]string{
		"a skip without": "-- shared/chat/a_test.go --\npackage chat\nimport \"testing\"\nfunc TestA(t *testing.T) { " +
			"t.SkipNow() }\n",
	})
}
