package arch_test

import (
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keyFile is the only file that builds keys: FuzzKeys of shared/store covers it, and no other.
const keyFile = "shared/store/keys.go"

// keyRule refuses keys that are built elsewhere. Code may take apart a key that it has read, and use it again
// unchanged.
func keyRule(tr tree) []string {
	builders := keyBuilders(tr)
	literal := regexp.MustCompile("[A-Za-z0-9]#[A-Z]|[A-Z]#[\"`]|[\"`]#[A-Z]")
	var found []string
	for _, f := range tr.files {
		if f.test() || f.path == keyFile || !under(f.dir(), []string{"functions", "shared"}) ||
			under(strings.TrimPrefix(f.dir(), "shared/"), testOnly()) {
			continue
		}
		k := keyLooker{file: f, builders: builders, literal: literal, found: map[int]string{}}
		ast.Inspect(f.ast, k.look)
		for _, line := range slices.Sorted(maps.Keys(k.found)) {
			found = append(found, k.found[line])
		}
	}
	return found
}

// keyBuilders returns the names in keyFile that make a key: its functions, and the constants that are parts of keys.
func keyBuilders(tr tree) map[string]bool {
	names := map[string]bool{}
	for _, f := range tr.files {
		if f.path != keyFile {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.CONST {
						for _, n := range v.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

// keyLooker searches one file, and reports at most one violation for each line.
type keyLooker struct {
	file
	builders map[string]bool
	literal  *regexp.Regexp // of a text that is a part of a key
	found    map[int]string
}

func (k keyLooker) say(n ast.Node, what string) {
	k.found[k.fset.Position(n.Pos()).Line] = k.at(n) + ": " + what + ": keys are built in " + keyFile + " only"
}

func (k keyLooker) look(n ast.Node) bool {
	inStore := k.dir() == "shared/store"
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind == token.STRING && k.literal.MatchString(n.Value) {
			k.say(n, "a part of a key, "+n.Value)
		}
		if n.Value == `"pk"` || n.Value == `"sk"` {
			k.say(n, "an attribute of a key")
		}
	case *ast.CompositeLit:
		if name, ok := n.Type.(*ast.Ident); ok && inStore &&
			(name.Name == "span" || name.Name == "key" && !k.wasRead(n)) {
			k.say(n, "a "+name.Name)
		}
	case *ast.KeyValueExpr:
		if name, ok := n.Key.(*ast.Ident); ok && inStore && (name.Name == "PK" || name.Name == "SK") &&
			!k.ready(n.Value) {
			k.say(n, "an item's "+name.Name)
		}
	case *ast.BinaryExpr:
		if n.Op == token.ADD && inStore && (k.part(n.X) || k.part(n.Y)) {
			k.say(n, "a sum of parts of a key")
		}
	case *ast.CallExpr:
		if s, ok := n.Fun.(*ast.SelectorExpr); ok && inStore && slices.ContainsFunc(n.Args, k.part) {
			if x, ok := s.X.(*ast.Ident); s.Sel.Name == "WriteString" || ok &&
				(x.Name == "fmt" || x.Name == "strings" && s.Sel.Name == "Join") {
				k.say(n, "a text of parts of a key")
			}
		}
	}
	return true
}

// part reports whether an expression is a part of a key: pk, sk, or a constant of keyFile.
func (k keyLooker) part(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return slices.Contains([]string{"pk", "sk", "PK", "SK"}, e.Sel.Name)
	case *ast.Ident:
		return k.builders[e.Name]
	case *ast.CallExpr:
		return k.called(e)
	case *ast.BinaryExpr:
		return k.part(e.X) || k.part(e.Y)
	}
	return false
}

// called reports whether a call is of a function of keyFile.
func (k keyLooker) called(c *ast.CallExpr) bool {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return k.builders[f.Name]
	case *ast.SelectorExpr:
		return k.builders[f.Sel.Name]
	}
	return false
}

// ready reports whether an item's key comes from keyFile or from an item that was read.
func (k keyLooker) ready(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return k.part(e)
	case *ast.CallExpr:
		return k.called(e)
	}
	return false
}

// wasRead reports whether a key is made of the key attributes of an item.
func (k keyLooker) wasRead(c *ast.CompositeLit) bool {
	return len(c.Elts) == 2 && k.part(c.Elts[0]) && k.part(c.Elts[1])
}

func TestKeys_OneFile(t *testing.T) {
	t.Attr("row", "B3: keys are built in one file")
	const keys = "-- shared/store/keys.go --\npackage store\nconst runPrefix = \"RUN#\"\nfunc logPartition() string " +
		"{ return \"\" }\n"
	plant := func(code string) string { return keys + "-- shared/store/a.go --\npackage store\n" + code + "\n" }
	enforce(t, keyRule, map[string]string{
		"a.go:2: a key":                    plant(`var k = key{"x", s.pk}`),
		"a.go:2: a span":                   plant(`var k = span{pk: s.pk, low: low, high: high}`),
		"a.go:2: a sum":                    plant(`var k = s.pk + id`),
		"a.go:2: a sum of parts":           plant(`var k = runPrefix + id`),
		"a.go:2: a sum of":                 plant(`var k = logPartition() + "x"`),
		"a.go:2: a text":                   plant(`var k = fmt.Sprintf("%s#x", s.pk)`),
		"a.go:2: an item's PK":             plant(`var k = item{PK: mine, SK: k.sk}`),
		"a.go:2: an item's SK":             plant(`var k = item{PK: k.pk, SK: string(id)}`),
		"a.go:2: an attribute of a key":    plant(`var k = attributes{"pk": text(mine)}`),
		"tool/a.go:2: a part of a key, \"": keys + "-- shared/tool/a.go --\npackage tool\nvar k = \"U#\" + user\n",
		"turn/a.go:2: a part of a key": keys +
			"-- functions/turn/a.go --\npackage main\nvar k = \"#T#\" + thread\n",
	})
	if len(keyBuilders(repository(t))) < 20 {
		t.Errorf("%s builds no key: was it moved?", keyFile)
	}
}
