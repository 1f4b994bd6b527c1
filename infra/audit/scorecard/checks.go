package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// size is how much an audit does. Tests find it in the environment variable AUDIT.
type size string

const (
	quick  size = "quick"  // 10 users, no removals
	normal size = "normal" // 50 users
	full   size = "full"   // 50 users, and a million events
)

// env returns the environment variables that give the tests their amount of work.
func (z size) env() []string {
	env := []string{"AUDIT=" + string(z), "CARREL_CAMPAIGN=1", "CARREL_REQUIRE_ALL=1"}
	switch z {
	case quick:
		return append(env, "RACES=500", "CARREL_RUNS=60", "SCHEDULES=40")
	case normal:
		return append(env, "RACES=10000", "CARREL_RUNS=500", "SCHEDULES=1000")
	}
	return append(env, "RACES=10000", "CARREL_RUNS=10000", "SCHEDULES=1000")
}

// check is a test that shows a part of what a row requires. The test declares it:
//
//	t.Attr("row", "A2: four processes admit runs through the real store at once")
//	t.Attr("row", "B5 dynoxide/Expiry: a run's record expires") // by a subtest
//	t.Attr("amount", "50 users")                               // a figure must begin so, except in a quick audit
//	t.Attr("size", "normal")                                   // not part of a quick audit
type check struct {
	pkg    string // relative to the module's root: ./shared/store
	test   string // its name, followed by a slash and the subtest's name if it is one
	shows  string
	amount string
	slow   bool
}

// of returns the row's checks in an audit of this size.
func (r row) of(z size) (all []check) {
	for _, c := range r.checks {
		if z == quick {
			c.amount = ""
		}
		if !c.slow || z != quick {
			all = append(all, c)
		}
	}
	return all
}

// declared returns the checks that the tests below root declare, by row. Those with an amount come first.
func declared(root string) (map[string][]check, error) {
	all := map[string][]check{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && path != root && (name == "testdata" || name == "node_modules" || name[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(`.Attr("row", `)) {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return declaredIn("./"+filepath.ToSlash(pkg), path, text, all)
	})
	for _, checks := range all {
		slices.SortStableFunc(checks, func(a, b check) int { return strings.Compare(b.amount, a.amount) })
	}
	return all, err
}

// declaredIn adds the checks that a file declares.
func declaredIn(pkg, path string, text []byte, all map[string][]check) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, 0)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		attrs := attrsOf(fn)
		c := check{pkg: pkg, amount: strings.Join(attrs["amount"], ""), slow: slices.Contains(attrs["size"], "normal")}
		for _, value := range attrs["row"] {
			place, shows, found := strings.Cut(value, ": ")
			id, subtest, _ := strings.Cut(place, " ")
			if !found || fn.Recv != nil || !regexp.MustCompile(`^(Test|Fuzz)`).MatchString(fn.Name.Name) {
				return fmt.Errorf("%s: %s declares the row %q: only a test can, in the form \"A1: text\"",
					files.Position(fn.Pos()), fn.Name.Name, value)
			}
			c.test, c.shows = strings.TrimSuffix(fn.Name.Name+"/"+subtest, "/"), shows
			all[id] = append(all[id], c)
		}
	}
	return nil
}

// attrsOf returns the attributes that a function sets to constants, by key.
func attrsOf(fn *ast.FuncDecl) map[string][]string {
	attrs := map[string][]string{}
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 2 {
			f, ok := call.Fun.(*ast.SelectorExpr)
			if key, value := constant(call.Args[0]), constant(call.Args[1]); ok && f.Sel.Name == "Attr" && value != "" {
				attrs[key] = append(attrs[key], value)
			}
		}
		return true
	})
	return attrs
}

// constant returns the text of a string literal or of several that are added, or "".
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil || e.Kind != token.STRING {
			return ""
		}
		return text
	case *ast.BinaryExpr:
		return constant(e.X) + constant(e.Y)
	}
	return ""
}
