package arch_test

import (
	"go/ast"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fuzzRule compares the fuzz targets in the code with the list in the Makefile.
func fuzzRule(tr tree) []string {
	text, err := fs.ReadFile(tr.fsys, "Makefile")
	if err != nil {
		return []string{err.Error()}
	}
	listed := regexp.MustCompile(`[a-z][a-z/0-9]*:Fuzz\w+`).FindAllString(string(text), -1)
	var there, found []string
	for _, f := range tr.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test() && fn.Recv == nil &&
				strings.HasPrefix(fn.Name.Name, "Fuzz") {
				there = append(there, f.dir()+":"+fn.Name.Name)
			}
		}
	}
	for _, target := range there {
		if !slices.Contains(listed, target) {
			found = append(found, target+" does not run in make fuzz: add it to FUZZ in the Makefile")
		}
	}
	for _, target := range listed {
		if !slices.Contains(there, target) {
			found = append(found, target+" is listed in the Makefile's FUZZ and does not exist: remove it")
		}
	}
	return found
}

func TestFuzz_TargetsInMakefile(t *testing.T) {
	enforce(t, fuzzRule, map[string]string{
		"shared/wire:FuzzNew does not run": "-- Makefile --\nFUZZ := shared/wire:FuzzOld\n" +
			"-- shared/wire/fuzz_test.go --\npackage wire\nfunc FuzzNew() {}\n",
		"and does not exist": "-- Makefile --\nFUZZ := shared/wire:FuzzOld\n" +
			"-- shared/wire/wire.go --\npackage wire\n",
	})
}
