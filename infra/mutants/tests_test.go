package mutants

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tests holds the names of the module's tests by package: "./shared/store".
type tests map[string][]string

// testsOf returns the tests of the packages in and below a folder.
func testsOf(t *testing.T, folder string) tests {
	t.Helper()
	all, declared := tests{}, regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w* ?\*testing\.[TF]\) \{$`)
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".carrel"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range declared.FindAllSubmatch(text, -1) {
			all["./"+pkg] = append(all["./"+pkg], string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// find returns the package and name of a test that a guard names. A package that ends in "/..." stands for the one
// package in or below that folder that has the test, so that a test may move between them. A test of the npm client is
// "web" and its file.
func (all tests) find(name string) (string, error) {
	pkg, test, _ := strings.Cut(name, " ")
	if pkg == "web" {
		_, err := os.Stat(filepath.Join(root, pkg, test))
		return name, err
	}
	folder, below := strings.CutSuffix(pkg, "/...")
	top, _, _ := strings.Cut(test, "/")
	var found []string
	for p, names := range all {
		if (p == folder || below && strings.HasPrefix(p, folder+"/")) && slices.Contains(names, top) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return "",
			fmt.Errorf("%d packages %s have a test %s, want one: if the test was renamed or moved, name it here as "+
				"it is "+
				"called now", len(found), pkg, top)
	}
	return found[0] + " " + test, nil
}

func TestTests_Find(t *testing.T) {
	all := tests{"./a": {"TestX", "TestZ"}, "./a/b": {"TestY", "TestZ"}}
	for name, want := range map[string]string{
		"./a TestX": "./a TestX", "./a/... TestX/case": "./a TestX/case", "./a/... TestY": "./a/b TestY",
		"./a TestY": "", "./a/... TestNone": "", "./a/... TestZ": "", "./b TestX": "", "web none.ts": "",
	} {
		if got, err := all.find(name); got != want && err == nil || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}
