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

// forbidden returns the packages that bypass the types on which isolation depends, with the reason. Tests may import
// those of forTests; escapeRule checks how they use them.
func forbidden() (everywhere, forTests map[string]string) {
	return map[string]string{
			"unsafe":      "unsafe would bypass the types on which isolation depends",
			"C":           "C reads and writes the memory of all users",
			"runtime/cgo": "C reads and writes the memory of all users",
			"plugin":      "the code of a plugin is not in this repository",
		}, map[string]string{
			"reflect": "a reflect.Value gives the address of its value (UnsafePointer), which may be a user",
		}
}

// smuggling returns names that give access to memory without an import of unsafe: a pointer from reflect may be
// converted to any other.
func smuggling() []string { return []string{"UnsafePointer", "UnsafeAddr", "NewAt"} }

// escapeRule refuses code that compiles and bypasses the types.
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
				say(i, "a dot import: the rules read names with their package")
			}
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok &&
				slices.ContainsFunc(strings.Split(ours, "/"), skipped) {
				say(i, imp+" is in a folder that these rules do not read")
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok && slices.Contains(smuggling(), name.Name) {
				say(name, name.Name+" bypasses the types")
			}
			return true
		})
	}
	return found
}

func TestTypes_NoBypass(t *testing.T) {
	t.Attr("row", "B1: no unsafe, no reflection, no C")
	enforce(t, escapeRule, map[string]string{
		"unsafe would":           "-- functions/turn/a_test.go --\npackage main\nimport _ \"unsafe\"\n",
		"a.go:2: unsafe: unsafe": "-- shared/tool/a.go --\npackage tool\nimport u \"unsafe\"\nvar _ u.Pointer\n",
		"C: C reads":             "-- infra/local/a.go --\npackage local\n// int f();\nimport \"C\"\n",
		"plugin: the code of a plugin": "-- shared/tool/b.go --\n" +
			"package tool\nimport \"plugin\"\nvar _ plugin.Plugin\n",
		"a.go:2: reflect:": "-- shared/agent/a.go --\npackage agent\nimport \"reflect\"\nvar _ " +
			"reflect.Value\n",
		"UnsafePointer bypasses": "-- shared/chat/a_test.go --\npackage chat\nimport \"reflect\"\nfunc f(u *User) " +
			"{ *(*string)(reflect.ValueOf(u).UnsafePointer()) = \"bob\" }\n",
		"NewAt bypasses": "-- shared/chat/b_test.go --\npackage chat\nimport . \"reflect\"\nfunc f(v " +
			"Value) { NewAt(v.Type(), nil) }\n",
		"a.go:2: a dot import": "-- functions/sweep/a.go --\npackage main\nimport . " +
			"\"carrel/shared/gateway\"\nvar who = ParseTurn\n",
		"is in a folder that these": "-- shared/tool/a.go --\npackage tool\nimport _ " +
			"\"carrel/shared/tool/testdata/forge\"\n",
	})
}

// moduleRule refuses files that the Go command builds and the rules cannot read, and ways to replace code of this
// module or its dependencies.
func moduleRule(tr tree) []string {
	languages := []string{".s", ".S", ".sx", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F",
		".for", ".f90", ".swig", ".swigcxx", ".syso"}
	var found []string
	err := fs.WalkDir(tr.fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch name := path.Base(p); {
		case err != nil:
			return err
		case d.IsDir() && name == "vendor":
			found = append(found, p+": dependencies come from the module cache, as go.sum lists them")
			return fs.SkipDir
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case name == "go.work" || name == "go.mod" && p != name:
			found = append(found, p+": this repository is one module; another could pretend to be a part of shared/")
		case slices.Contains(languages, path.Ext(name)):
			found = append(found, p+": the go command builds it, and it has no types")
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

func TestModule_OnlyReadableFiles(t *testing.T) {
	t.Attr("row", "B1: the Go command builds no file that the rules do not read")
	const mod = "-- go.mod --\nmodule carrel\n"
	enforce(t, moduleRule, map[string]string{
		"shared/chat/forge_amd64.s: the go command": mod + "-- shared/chat/forge_amd64.s --\nTEXT ·f(SB),0,$0\n",
		"shared/chat/forge.c: the go command":       mod + "-- shared/chat/forge.c --\n",
		"shared/chat/forge.syso: the go command":    mod + "-- shared/chat/forge.syso --\n",
		"functions/turn/go.mod: this repository is one": mod +
			"-- functions/turn/go.mod --\nmodule carrel/shared/turn\n",
		"go.work: this repository is one": mod + "-- go.work --\n",
		"vendor: dependencies":            mod + "-- vendor/modules.txt --\n",
		"go.mod:3: a replace":             mod + "\nreplace carrel/shared/chat => ../chat\n",
	})
}
