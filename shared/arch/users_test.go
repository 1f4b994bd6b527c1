package arch_test

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// bearers returns the types of shared/ that carry a chat.User: the type itself, structs with an exported field of such
// a type, and types made of these. A type that hides its user is left out: a *usercontext.Context comes from New.
func bearers(tr tree) map[string]bool {
	found := map[string]bool{"shared/internal/principal.User": true}
	spread(tr, found, func(f file, typ ast.Expr) bool { return bears(f, typ, found) })
	return found
}

// callers returns the types of shared/ that receive a user: functions with such a parameter, and types made of these.
func callers(tr tree, known map[string]bool) map[string]bool {
	found := map[string]bool{}
	spread(tr, found, func(f file, typ ast.Expr) bool { return calls(f, typ, known, found) })
	return found
}

// spread adds types of shared/ for which is returns true, until it finds no more.
func spread(tr tree, found map[string]bool, is func(file, ast.Expr) bool) {
	for before := -1; before < len(found); {
		before = len(found)
		for _, f := range tr.files {
			if !ofShared(f) {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok && is(f, spec.Type) {
					found[f.dir()+"."+spec.Name.Name] = true
				}
				return true
			})
		}
	}
}

// ofShared reports whether production code can call the functions of a file.
func ofShared(f file) bool {
	pkg, ok := strings.CutPrefix(f.dir(), "shared/")
	return ok && !f.test() && !under(pkg, testOnly())
}

// bears reports whether a value of this type can contain a user. A function value counts if it returns a user; its
// parameters do not count.
func bears(f file, typ ast.Expr, known map[string]bool) bool {
	return holds(f, typ, known, func(n *ast.FuncType) bool { return fieldsBear(f, n.Results, known) })
}

// calls reports whether a value of this type can pass a user on to other code.
func calls(f file, typ ast.Expr, known, found map[string]bool) bool {
	return holds(f, typ, found, func(n *ast.FuncType) bool { return fieldsBear(f, n.Params, known) })
}

// holds reports whether a value of this type exposes a value of a known type, or a function of this kind.
func holds(f file, typ ast.Expr, known map[string]bool, kind func(*ast.FuncType) bool) bool {
	yes := false
	ast.Inspect(typ, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			return false // the types of its methods are checked at their declarations
		case *ast.FuncType:
			yes = yes || kind(n)
			return false
		case *ast.StructType:
			for _, field := range n.Fields.List {
				open := len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported)
				yes = yes || open && holds(f, field.Type, known, kind)
			}
			return false
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				yes = yes || known[f.imported(x.Name)+"."+n.Sel.Name]
			}
			return false
		case *ast.Ident:
			yes = yes || known[f.dir()+"."+n.Name]
		}
		return true
	})
	return yes
}

// fieldsBear reports whether one of a function's parameters or results can contain a user.
func fieldsBear(f file, l *ast.FieldList, known map[string]bool) bool {
	return l != nil && slices.ContainsFunc(l.List, func(p *ast.Field) bool { return bears(f, p.Type, known) })
}

// imported returns the folder of the package of this module that a file imports under a name, or "".
func (f file) imported(name string) string {
	dir, ours := strings.CutPrefix(f.importOf(name), module+"/")
	if !ours {
		return ""
	}
	return dir
}

// handlers returns the exported functions and methods of shared/, such as shared/store.Table.For: whether each takes a
// user, and whether it returns or passes on one.
func handlers(tr tree) (takers, givers map[string]bool) {
	takers, givers = map[string]bool{}, map[string]bool{}
	known := bearers(tr)
	receive := callers(tr, known)
	for _, f := range tr.files {
		if !ofShared(f) {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			name := f.dir() + "." + receiver(fn) + fn.Name.Name
			takers[name] = fieldsBear(f, fn.Type.Params, known)
			givers[name] = fieldsBear(f, fn.Type.Results, known)
			for _, p := range fn.Type.Params.List {
				givers[name] = givers[name] || calls(f, p.Type, known, receive)
			}
		}
	}
	return takers, givers
}

// receiver returns "Type." for a method and "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	name := ""
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if i, ok := n.(*ast.Ident); ok && name == "" {
			name = i.Name + "."
		}
		return true
	})
	return name
}

// door names the callers of a function that returns a user: folders, or the reason why any code may call it.
type door struct {
	only   []string
	anyone string
}

// doors returns all functions that return a user. Code has no other way to a user.
func doors() map[string]door {
	makes := door{anyone: "only the edge makes users: see makers"}
	return map[string]door{
		"shared/internal/principal.New":     makes,
		"shared/internal/principal.FromKey": makes,
		"shared/gateway.ParseInbound": {only: []string{"functions/connect", "functions/disconnect",
			"functions/message"}},
		"shared/gateway.ParseTurn":        {only: []string{"functions/turn"}},
		"shared/store.Table.Owner":        {only: []string{"functions/disconnect"}},
		"shared/store.Table.Live":         {only: []string{"infra/cli/ops"}},
		"shared/store.Table.Due":          {only: []string{"functions/sweep"}},
		"shared/store.Table.LiveOf":       {only: []string{"functions/sweep"}},
		"shared/store.Table.ForOperator":  {only: []string{"infra/cli/ops"}},
		"shared/usercontext.Context.User": {anyone: "code with the run's context acts for this user"},
	}
}

// doorRule lets only the named folders call a door: a tool that called gateway.ParseTurn with its own event could act
// as any user.
func doorRule(tr tree) []string {
	_, givers := handlers(tr)
	var found []string
	for name, gives := range givers {
		if _, known := doors()[name]; gives && !known {
			found = append(found, name+" returns a user, and doors of shared/arch does not name its callers")
		}
	}
	names, field := map[string]string{}, fieldNames(tr)
	for name, d := range doors() {
		if d.anyone == "" {
			names[name[strings.LastIndex(name, ".")+1:]] = name
		}
	}
	for _, f := range tr.files {
		if f.test() || under(strings.TrimPrefix(f.dir(), "shared/"), testOnly()) {
			continue
		}
		called := map[ast.Node]bool{}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				called[c.Fun] = true
			}
			// A name that is not called may be a field, like a connection's Owner, or the function as a value.
			if s, ok := n.(*ast.SelectorExpr); ok && (called[s] || !field[s.Sel.Name] &&
				!field[f.dir()+" "+s.Sel.Name]) {
				if name := names[s.Sel.Name]; name != "" && !strings.HasPrefix(name, f.dir()+".") &&
					!slices.Contains(doors()[name].only, f.dir()) {
					found = append(found, fmt.Sprintf("%s: %s returns a user, and only %s may call it", f.at(s), name,
						strings.Join(doors()[name].only, ", ")))
				}
			}
			return true
		})
	}
	slices.Sort(found)
	return found
}

// fieldNames returns the field names of exported structs, and the field names of all structs with their folder in
// front.
func fieldNames(tr tree) map[string]bool {
	names := map[string]bool{}
	for _, f := range tr.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			prefix := ""
			if t, ok := n.(*ast.TypeSpec); ok && t.Name.IsExported() {
				n = t.Type
			} else {
				prefix = f.dir() + " "
			}
			if s, ok := n.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						names[prefix+name.Name] = true
					}
				}
			}
			return true
		})
	}
	return names
}

func TestUsers_Doors(t *testing.T) {
	t.Attr("row", "B1: a list names each function that returns a user, and its callers")
	const words = "-- shared/internal/principal/a.go --\npackage principal\ntype User struct{ key string }\n" +
		"-- shared/chat/a.go --\npackage chat\nimport \"carrel/shared/internal/principal\"\ntype User = " +
		"principal.User\n"
	enforce(t, doorRule, map[string]string{
		"message/a.go:2: shared/store.Table.ForOperator": "-- functions/message/a.go --\npackage main\nfunc f(t T) { " +
			"t.ForOperator() }\n",
		"tool/a.go:3: shared/gateway.ParseTurn": "-- shared/tool/a.go --\npackage tool\nimport " +
			"\"carrel/shared/gateway\"\nvar _ = gateway.ParseTurn\n",
		"turn/a.go:2: shared/store.Table.Live": "-- functions/turn/a.go --\npackage main\nfunc f(t T) { _ " +
			"= t.Live }\n",
		"turn/a.go:2: shared/store.Table.Owner": "-- shared/store/items.go --\npackage store\ntype item " +
			"struct{ Owner string }\n-- functions/turn/a.go --\npackage main\nvar who = store.Table.Owner\n",
		"shared/tool.Become returns a user": words +
			"-- shared/tool/a.go --\npackage tool\nimport \"carrel/shared/chat\"\nfunc Become(s string) chat.User { " +
			"panic(s) }\n",
		"shared/gateway.Made.Owner returns a user": words +
			"-- shared/gateway/a.go --\npackage gateway\nimport u \"carrel/shared/chat\"\ntype All " +
			"[]map[string]*u.User\ntype Made struct{}\nfunc (*Made) Owner() (int, All) { panic(0) }\n",
		"shared/store.Each returns a user": words +
			"-- shared/store/a.go --\npackage store\nimport \"carrel/shared/chat\"\nfunc Each(f func(chat.User) " +
			"error) {}\n",
		"shared/store.All returns a user": words +
			"-- shared/store/a.go --\npackage store\nimport \"carrel/shared/chat\"\ntype visit func(chat.User) " +
			"error\nfunc All(v visit) {}\n",
		"shared/store.Walk returns a user": words +
			"-- shared/store/a.go --\npackage store\nimport \"carrel/shared/chat\"\ntype Config struct{ Each " +
			"func(chat.User) error }\n-- shared/store/b.go --\npackage store\nfunc Walk(all ...*Config) {}\n",
		"shared/store.Open returns a user": words +
			"-- shared/store/a.go --\npackage store\nimport \"carrel/shared/chat\"\ntype entry struct{ Of chat.User " +
			"}\ntype Entry struct{ entry }\nfunc Open() func() Entry { panic(0) }\n",
	})
	tr := repository(t)
	_, givers := handlers(tr)
	called := map[string]bool{}
	for _, f := range tr.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && !f.test() {
				called[f.dir()+" "+s.Sel.Name] = true
			}
			return true
		})
	}
	for name, d := range doors() {
		if !givers[name] {
			t.Errorf("%s does not return a user: remove it from the list", name)
		}
		for _, dir := range d.only {
			if !called[dir+" "+name[strings.LastIndex(name, ".")+1:]] {
				t.Errorf("%s may call %s and does not: remove it from the list", dir, name)
			}
		}
	}
	all := len(givers)
	maps.DeleteFunc(givers, func(_ string, gives bool) bool { return !gives })
	t.Attr("figure",
		fmt.Sprintf("of %d exported functions of shared/ %d return a user, each to its named callers only", all,
			len(givers)))
}
