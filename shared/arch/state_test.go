package arch_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// spawners returns the folders that may have go statements: each waits for its own goroutines.
func spawners() []string {
	return []string{"shared/usercontext", "shared/emit", "shared/lasthop", "shared/client", "shared/engine",
		"shared/parallel", "functions/sweep", "infra"}
}

func variableRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		if f.test() {
			continue
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, n := range v.Names {
					if n.Name != "_" && !isError(v, i) && !embedded(g, v) {
						found = append(found,
							fmt.Sprintf("%s: the package-level variable %s: state belongs to a value that "+
								"is passed on", f.at(n), n.Name))
					}
				}
			}
		}
	}
	return found
}

// isError reports whether the i-th variable is an error, named errX or ErrX, that is made there or copied from another
// package. Any other value under such a name is state.
func isError(v *ast.ValueSpec, i int) bool {
	if !regexp.MustCompile(`^[eE]rr[A-Z]`).MatchString(v.Names[i].Name) || i >= len(v.Values) {
		return false
	}
	made := v.Values[i]
	c, isCall := made.(*ast.CallExpr)
	if isCall {
		made = c.Fun
	}
	s, ok := made.(*ast.SelectorExpr)
	return ok && (!isCall && strings.HasPrefix(s.Sel.Name, "Err") || isCall &&
		(s.Sel.Name == "New" || s.Sel.Name == "Errorf"))
}

func embedded(g *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, c := range []*ast.CommentGroup{g.Doc, v.Doc} {
		if c != nil && slices.ContainsFunc(c.List, func(l *ast.Comment) bool {
			return strings.HasPrefix(l.Text,
				"//go:embed ")
		}) {
			return true
		}
	}
	return false
}

func TestState_PackageVariables(t *testing.T) {
	t.Attr("row", "C1: no package-level variable")
	enforce(t, variableRule, map[string]string{
		"variable cache":   "-- shared/chat/a.go --\npackage chat\nvar cache = map[string]int{}\n",
		"variable errata":  "-- shared/chat/a.go --\npackage chat\nvar errata = errors.New(\"x\")\n",
		"variable errSeen": "-- shared/chat/a.go --\npackage chat\nvar errSeen = map[string]bool{}\n",
		"variable ErrLast": "-- shared/chat/a.go --\npackage chat\nvar ErrLast error\n",
		"variable b":       "-- functions/turn/a.go --\npackage main\nvar (\n\tErrA error\n\tb int\n)\n",
	})
}

// globals returns state of other packages, and calls that ignore time or a context, with the reason.
func globals() map[string]string {
	return map[string]string{
		"net/http.DefaultClient":    "make a client with deadlines",
		"net/http.DefaultTransport": "make a transport",
		"net/http.DefaultServeMux":  "make a mux",
		"net/http.Get":              "it uses http.DefaultClient",
		"net/http.Post":             "it uses http.DefaultClient",
		"net/http.HandleFunc":       "it uses http.DefaultServeMux",
		"net/http.ListenAndServe":   "it has no timeouts",
		"log/slog.SetDefault":       "pass the logger on",
		"log/slog.Default":          "pass the logger on",
		"context.TODO":              "take a context",
		"log.Fatal":                 "return an error",
		"log.Fatalf":                "return an error",
		"time.Sleep":                "wait for the condition itself",
		"time.Tick":                 "it is never stopped",
		"math/rand.Seed":            "make a source",
	}
}

func globalRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		bubble := slices.Contains(f.imports(), "testing/synctest") // a sleep moves a fake clock there
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && !(bubble && s.Sel.Name == "Sleep") {
					if why := globals()[f.importOf(x.Name)+"."+s.Sel.Name]; why != "" {
						found = append(found, fmt.Sprintf("%s: %s.%s: %s", f.at(s), x.Name, s.Sel.Name, why))
					}
				}
			}
			return true
		})
	}
	return found
}

func TestState_ForeignGlobals(t *testing.T) {
	t.Attr("row", "C1: no global of another package is used or changed")
	enforce(t, globalRule, map[string]string{
		"http.DefaultClient": "-- shared/token/a.go --\npackage token\nimport \"net/http\"\nfunc f() { _ = " +
			"http.DefaultClient }\n",
		"slog.SetDefault": "-- functions/turn/a.go --\npackage main\nimport \"log/slog\"\nfunc f() { " +
			"slog.SetDefault(nil) }\n",
		"time.Sleep": "-- shared/emit/a_test.go --\npackage emit\nimport \"time\"\nfunc f() { time.Sleep(1) }\n",
		"web.DefaultClient": "-- shared/token/a.go --\npackage token\nimport web \"net/http\"\nfunc f() { _ = " +
			"web.DefaultClient }\n",
		"dice.Seed": "-- shared/token/a.go --\npackage token\nimport dice \"math/rand\"\nfunc f() { " +
			"dice.Seed(1) }\n",
		"context.TODO": "-- shared/emit/a.go --\npackage emit\nimport \"context\"\nfunc f() { context.TODO() }\n",
	})
}

func hiddenRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, f.at(fn)+": an init function: construct explicitly")
			}
		}
		for _, g := range f.ast.Comments {
			for _, c := range g.List {
				if strings.HasPrefix(c.Text, "//go:linkname") || strings.HasPrefix(c.Text, "//go:cgo_") {
					found = append(found, f.at(c)+": "+strings.Fields(c.Text)[0][2:]+" bypasses the types")
				}
			}
		}
	}
	return found
}

func TestState_InitAndLinkname(t *testing.T) {
	t.Attr("row", "C1: no init function, no linkname")
	enforce(t, hiddenRule, map[string]string{
		"go:linkname bypasses":  "-- shared/chat/a.go --\npackage chat\n//go:linkname f runtime.f\nfunc f()\n",
		"go:cgo_import_dynamic": "-- shared/chat/a.go --\npackage chat\n//go:cgo_import_dynamic f\nfunc f()\n",
		"init function":         "-- shared/chat/a.go --\npackage chat\nfunc init() {}\n",
	})
}

// starts reports whether a node starts a goroutine: a go statement, time.AfterFunc, or a method Go with the function
// as its only argument, like sync.WaitGroup's. usercontext's Go takes a name as well, and waits.
func starts(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		s, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		return s.Sel.Name == "Go" && len(n.Args) == 1 || ok && x.Name == "time" && s.Sel.Name == "AfterFunc"
	}
	return false
}

func goRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		if f.test() || under(strings.TrimPrefix(f.dir(), "shared/"), testOnly()) || under(f.dir(), spawners()) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n != nil && starts(n) {
				found = append(found,
					f.at(n)+": a go statement outside of the packages that own goroutines (usercontext.Go waits for "+
						"them)")
			}
			return true
		})
	}
	return found
}

func TestGoroutines_Owner(t *testing.T) {
	enforce(t, goRule, map[string]string{
		"turn/a.go:2: a go statement": "-- functions/turn/a.go --\npackage main\nfunc f() { go f() }\n",
		"turn/a.go:3: a go statement": "-- functions/turn/a.go --\npackage main\nimport \"time\"\nfunc f() { " +
			"time.AfterFunc(1, f) }\n",
		"message/a.go:4: a go statement": "-- functions/message/a.go --\npackage main\nimport \"sync\"\nvar _ " +
			"sync.WaitGroup\nfunc f(g *sync.WaitGroup) { g.Go(func() {}) }\n",
	})
	tr := repository(t)
	for _, s := range spawners() {
		one := false
		for _, f := range tr.files {
			if !f.test() && under(f.dir(), []string{s}) {
				ast.Inspect(f.ast, func(n ast.Node) bool {
					one = one || n != nil && starts(n)
					return true
				})
			}
		}
		if !one {
			t.Errorf("%s may have go statements and has none: remove it from the list", s)
		}
	}
}
