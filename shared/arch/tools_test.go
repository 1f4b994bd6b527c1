package arch_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// toolMay returns everything of Carrel that a tool's package may use: the parts that make a tool, and types that name
// no user.
func toolMay() map[string][]string {
	return map[string][]string{
		module + "/shared/tool": {"Tool", "Define", "Error", "InputError", "IdempotencyKey", "UserTexts",
			"Conversation"},
		module + "/shared/chat":     {"Note", "ErrNotFound", "ErrFull"},
		module + "/shared/chars":    {"Blank", "HeadPoints"},
		module + "/shared/visible":  {"Hidden", "StripHidden"},
		module + "/shared/sametext": {"Fold", "Key"},
		network:                     {"New", "Config", "Get", "Page", "Host", "ErrRefused", "ErrNoHost"},
	}
}

// network is the package through which a tool reaches public addresses. The one tool that may is shared/tool/fetch.
const network = module + "/shared/tool/internal/guardedhttp"

// sources returns the packages that provide the tools of other servers. They hold a run's user context, because they
// act as its user, and they reach the network.
func sources() []string { return []string{"shared/tool/mcp"} }

// ofTools reports whether a folder is a tool's package: one below shared/tool or agents/own, except those for tests and
// sources.
func ofTools(dir string) bool {
	if strings.HasPrefix(dir, "agents/own/") {
		return true
	}
	pkg, ok := strings.CutPrefix(dir, "shared/tool/")
	return ok && !under("tool/"+pkg, testOnly()) && !under(dir, sources())
}

// toolRule keeps tools away from everything that names a user. They import only what toolMay lists and use only its
// names, and no other package defines a tool.
func toolRule(tr tree) []string {
	var found []string
	for _, f := range tr.files {
		if f.test() {
			continue
		}
		if !ofTools(f.dir()) {
			found = append(found, definitions(f)...)
			continue
		}
		names := map[string]string{} // of imports, by the name that the file has for them
		for _, i := range f.ast.Imports {
			imp := strings.Trim(i.Path.Value, `"`)
			if !strings.HasPrefix(imp, module+"/") {
				continue
			}
			if _, ok := toolMay()[imp]; !ok || imp == network && f.dir() != "shared/tool/fetch" {
				found = append(found,
					fmt.Sprintf("%s imports %s: a tool receives its user's data through an interface of its own",
						f.path,
						imp))
				continue
			}
			name := imp[strings.LastIndex(imp, "/")+1:]
			if i.Name != nil {
				name = i.Name.Name
			}
			if name == "." {
				found = append(found, fmt.Sprintf("%s imports all names of %s: write them with their package", f.path,
					imp))
			}
			names[name] = imp
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && names[x.Name] != "" &&
				!slices.Contains(toolMay()[names[x.Name]], s.Sel.Name) {
				found = append(found,
					fmt.Sprintf("%s: a tool names %s.%s: add it to shared/arch if it names no user and leads to none",
						f.at(s), x.Name, s.Sel.Name))
			}
			return true
		})
	}
	return found
}

// definitions returns the places where a file outside of the tools' packages defines a tool: the rule would not read
// what the tool uses.
func definitions(f file) (found []string) {
	if f.dir() == "shared/tool" || under(f.dir(), sources()) || !slices.Contains(f.imports(), module+"/shared/tool") {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Define" || s.Sel.Name == "Raw") {
			found = append(found, f.at(s)+": a tool is defined outside of a package of its own below shared/tool or "+
				"agents/own")
		}
		return true
	})
	return found
}

func TestTools_NoUsers(t *testing.T) {
	t.Attr("row", "D4: no tool package names a user")
	in := func(imports, body string) string {
		return "-- shared/tool/diary/a.go --\npackage diary\nimport (\n" + imports + "\n)\n" + body + "\n"
	}
	violations := map[string]string{
		"a tool names chat.User":         in(`"carrel/shared/chat"`, "func New(u chat.User) {}"),
		"a tool names c.User":            in(`c "carrel/shared/chat"`, "type Book interface{ Of(c.User) string }"),
		"a tool names chat.Claims":       in(`"carrel/shared/chat"`, "var x chat.Claims"),
		"a tool names chat.ConnectionID": in(`"carrel/shared/chat"`, "func f() { _ = chat.ConnectionID(`x`) }"),
		"imports all names":              in(`. "carrel/shared/chat"`, "func New(u User) {}"),
		"shared/store: a tool receives":  in(`"carrel/shared/store"`, "func New(t *store.Table) {}"),
		"usercontext: a tool receives":   in(`"carrel/shared/usercontext"`, "func New(uc *usercontext.Context) {}"),
		"principal: a tool receives":     in(`_ "carrel/shared/internal/principal"`, ""),
		"gateway: a tool receives":       in(`_ "carrel/shared/gateway"`, ""),
		"guardedhttp: a tool receives":   in(`_ "carrel/shared/tool/internal/guardedhttp"`, ""),
		"own/diary/a.go:3: a tool names chat.User": "-- agents/own/diary/a.go --\npackage diary\nimport " +
			"\"carrel/shared/chat\"\nvar x chat.User\n",
		"a tool names tool.Dispatcher": in(`"carrel/shared/tool"`, "func New(d *tool.Dispatcher) {}"),
		"turn/a.go:3: a tool is defined": "-- functions/turn/a.go --\npackage main\nimport " +
			"\"carrel/shared/tool\"\nfunc f() { tool.Define() }\n",
		"agent/a.go:3: a tool is": "-- shared/agent/a.go --\npackage agent\nimport t " +
			"\"carrel/shared/tool\"\nvar f = t.Define\n",
	}
	enforce(t, toolRule, violations)
	seen := map[string]bool{}
	packages := 0
	for _, f := range repository(t).files {
		if f.test() || !ofTools(f.dir()) {
			continue
		}
		packages++
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					seen[x.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
	}
	for imp, names := range toolMay() {
		for _, name := range names {
			if own := imp[strings.LastIndex(imp, "/")+1:] + "." + name; !seen[own] && name != "InputError" &&
				name != "IdempotencyKey" {
				t.Errorf("tools may use %s and do not: remove it from the list", own)
			}
		}
	}
	t.Attr("figure", fmt.Sprintf("%d files of tools name no user; %d planted violations noticed", packages,
		len(violations)))
}
