package arch_test

import (
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// forbidden are packages that go round the types that isolation stands on. The value is why; those of forTests are
// open to tests, where escapeRule looks at what is done with them.
func forbidden() (everywhere, forTests map[string]string) {
	return map[string]string{
			"unsafe":      "unsafe would go round the types that isolation stands on",
			"C":           "C reads and writes the memory of all users",
			"runtime/cgo": "C reads and writes the memory of all users",
			"plugin":      "what a plugin does, nobody here has read",
		}, map[string]string{
			"reflect": "a reflect.Value gives the address of what it holds (UnsafePointer), and a user is what " +
				"stands there",
		}
}

// smuggling are the ways to memory that need no import of unsafe: a pointer from reflect may be converted to any other.
func smuggling() []string { return []string{"UnsafePointer", "UnsafeAddr", "NewAt"} }

// escapeRule refuses what the compiler lets through and the types do not survive.
func escapeRule(tr tree) []string {
	everywhere, forTests := forbidden()
	var found []string
	for _, f := range tr.files {
		say := func(n ast.Node, what string) { found = append(found, f.at(n)+": "+what) }
		testing := f.test() || under(strings.TrimPrefix(f.dir(), "shared/"), testOnly())
		for _, i := range f.ast.Imports {
			imp := strings.Trim(i.Path.Value, `"`)
			if why := everywhere[imp]; why != "" {
				say(i, imp+": "+why)
			}
			if why := forTests[imp]; why != "" && !testing {
				say(i, imp+": "+why)
			}
			if i.Name != nil && i.Name.Name == "." {
				say(i, "a dot import: the rules look at names with their package")
			}
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok &&
				slices.ContainsFunc(strings.Split(ours, "/"), skipped) {
				say(i, imp+" lies where these rules do not look")
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok && slices.Contains(smuggling(), name.Name) {
				say(name, name.Name+" goes round the types")
			}
			return true
		})
	}
	return found
}

func TestNothingGoesRoundTheTypes(t *testing.T) {
	t.Attr("row", "B1: no unsafe, no reflection, no C")
	enforce(t, escapeRule, map[string]string{
		"unsafe would":           "-- functions/turn/a_test.go --\npackage main\nimport _ \"unsafe\"\n",
		"a.go:2: unsafe: unsafe": "-- shared/tool/a.go --\npackage tool\nimport u \"unsafe\"\nvar _ u.Pointer\n",
		"C: C reads":             "-- infra/local/a.go --\npackage local\n// int f();\nimport \"C\"\n",
		"plugin: what a plugin":  "-- shared/tool/b.go --\npackage tool\nimport \"plugin\"\nvar _ plugin.Plugin\n",
		"a.go:2: reflect:":       "-- shared/agent/a.go --\npackage agent\nimport \"reflect\"\nvar _ reflect.Value\n",
		"UnsafePointer goes round": "-- shared/chat/a_test.go --\npackage chat\nimport \"reflect\"\nfunc f(u *User) " +
			"{ *(*string)(reflect.ValueOf(u).UnsafePointer()) = \"bob\" }\n",
		"NewAt goes round": "-- shared/chat/b_test.go --\npackage chat\nimport . \"reflect\"\nfunc f(v " +
			"Value) { NewAt(v.Type(), nil) }\n",
		"a.go:2: a dot import": "-- functions/sweep/a.go --\npackage main\nimport . " +
			"\"carrel/shared/gateway\"\nvar who = ParseTurn\n",
		"lies where these rules do": "-- shared/tool/a.go --\npackage tool\nimport _ " +
			"\"carrel/shared/tool/testdata/forge\"\n",
	})
}

// moduleRule keeps out of the tree what the go command builds and the other rules cannot read, and what would put other
// code in the place of this.
func moduleRule(tr tree) []string {
	languages := []string{".s", ".S", ".sx", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F",
		".for", ".f90", ".swig", ".swigcxx", ".syso"}
	var found []string
	err := fs.WalkDir(tr.fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch name := path.Base(p); {
		case err != nil:
			return err
		case d.IsDir() && name == "vendor":
			found = append(found, p+": dependencies come from the module cache, as go.sum has them")
			return fs.SkipDir
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case name == "go.work" || name == "go.mod" && p != name:
			found = append(found, p+": there is one module; another may call itself a part of shared/")
		case slices.Contains(languages, path.Ext(name)):
			found = append(found, p+": the go command builds it, and it knows no types")
		}
		return nil
	})
	if err != nil {
		return append(found, err.Error())
	}
	mod, err := fs.ReadFile(tr.fsys, "go.mod")
	if err != nil {
		return append(found, err.Error())
	}
	for n, line := range strings.Split(string(mod), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			found = append(found, fmt.Sprintf("go.mod:%d: a replace directive: other code than go.sum's", n+1))
		}
	}
	return found
}

func TestTheGoCommandBuildsOnlyWhatTheRulesRead(t *testing.T) {
	t.Attr("row", "B1: the Go command builds no file that the rules do not read")
	const mod = "-- go.mod --\nmodule carrel\n"
	enforce(t, moduleRule, map[string]string{
		"shared/chat/forge_amd64.s: the go command": mod + "-- shared/chat/forge_amd64.s --\nTEXT ·f(SB),0,$0\n",
		"shared/chat/forge.c: the go command":       mod + "-- shared/chat/forge.c --\n",
		"shared/chat/forge.syso: the go command":    mod + "-- shared/chat/forge.syso --\n",
		"functions/turn/go.mod: there is one":       mod + "-- functions/turn/go.mod --\nmodule carrel/shared/turn\n",
		"go.work: there is one":                     mod + "-- go.work --\n",
		"vendor: dependencies":                      mod + "-- vendor/modules.txt --\n",
		"go.mod:3: a replace":                       mod + "\nreplace carrel/shared/chat => ../chat\n",
	})
}
