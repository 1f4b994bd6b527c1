package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"carrel/shared/wire"
)

// ClientTypes has every type that DecodeClient knows, of all that the package names.
func TestClientTypesAreAllThereAre(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "wire.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var known []wire.Type
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok || len(s.Values) != 1 {
			return true
		}
		if typ, ok := s.Type.(*ast.Ident); ok && typ.Name == "Type" {
			name := strings.Trim(s.Values[0].(*ast.BasicLit).Value, `"`)
			if _, bad := wire.DecodeClient(fmt.Appendf(nil, `{"type":%q}`, name)); bad == nil || !strings.Contains(bad.Message, "There is no frame") {
				known = append(known, wire.Type(name))
			}
		}
		return true
	})
	listed := wire.ClientTypes()
	slices.Sort(known)
	slices.Sort(listed)
	if !slices.Equal(known, listed) {
		t.Errorf("DecodeClient knows %v; ClientTypes has %v", known, listed)
	}
}
