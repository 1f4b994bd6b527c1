package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

const module = "carrel"

// file is one parsed Go file of the tree.
type file struct {
	path string // slash-separated, from the repository's root
	text string
	ast  *ast.File
	fset *token.FileSet
}

// dir returns the file's package folder, as in shared/chat.
func (f file) dir() string { return path.Dir(f.path) }

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// at returns the place of a node for a message.
func (f file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

func (f file) lines(n ast.Node) int {
	return f.fset.Position(n.End()).Line - f.fset.Position(n.Pos()).Line + 1
}

// imports returns the paths that the file imports.
func (f file) imports() []string {
	var all []string
	for _, i := range f.ast.Imports {
		all = append(all, strings.Trim(i.Path.Value, `"`))
	}
	return all
}

// importOf returns the path that a file imports under a name, or "".
func (f file) importOf(name string) string {
	for _, i := range f.ast.Imports {
		imp := strings.Trim(i.Path.Value, `"`)
		called := path.Base(imp)
		if i.Name != nil {
			called = i.Name.Name
		}
		if called == name {
			return imp
		}
	}
	return ""
}

// tree is the part of the repository that the rules read.
type tree struct {
	fsys  fs.FS
	files []file
}

// skipped reports whether a folder holds no code of this repository.
func skipped(name string) bool {
	return name != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" ||
		name == "dist")
}

// load reads the files in this process: the test cache does not notice files that a child process reads.
func load(t *testing.T, fsys fs.FS) tree {
	t.Helper()
	tr := tree{fsys: fsys}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		f := file{path: p, text: string(text), fset: token.NewFileSet()}
		if f.ast, err = parser.ParseFile(f.fset, p, text,
			parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		tr.files = append(tr.files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// whole is the repository's tree, parsed once for all rules. No rule changes it.
var (
	parsing sync.Once
	whole   tree
)

func repository(t *testing.T) tree {
	t.Helper()
	parsing.Do(func() { whole = load(t, os.DirFS("../..")) })
	if len(whole.files) < 20 {
		t.Fatalf("only %d Go files were found, so the rules would prove nothing", len(whole.files))
	}
	return whole
}

// planted returns a tree made of a txtar archive.
func planted(t *testing.T, archive string) tree {
	t.Helper()
	m := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		m[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return load(t, m)
}

// rule returns the violations of a tree, one sentence each.
type rule func(tree) []string

// enforce runs a rule on the repository, and then on planted violations. The rule must find each of them and name it.
func enforce(t *testing.T, r rule, violations map[string]string) {
	t.Helper()
	tr := repository(t)
	for _, v := range r(tr) {
		t.Error(v)
	}
	for want, archive := range violations {
		found := r(planted(t, archive))
		if !strings.Contains(strings.Join(found, "\n"), want) {
			t.Errorf("the rule does not notice a planted violation: it found %q, want something about %q", found, want)
		}
	}
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d files keep the rule, and %d planted violations of it are noticed",
			len(tr.files), len(violations)))
	}
}
