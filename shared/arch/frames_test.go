package arch_test

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

// memoryRule bounds the memory that message keeps between frames: a map in one of its structs has a one-way hash as
// its key and numbers as its values, so it holds no user's data.
func memoryRule(tr tree) []string {
	structs := map[string]*ast.StructType{}
	var found []string
	for _, f := range tr.files {
		if f.test() || f.dir() != "functions/message" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok {
				if s, ok := t.Type.(*ast.StructType); ok {
					structs[t.Name.Name] = s
				}
			}
			return true
		})
	}
	for _, f := range tr.files {
		if f.test() || f.dir() != "functions/message" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				if m, isMap := field.Type.(*ast.MapType); isMap &&
					!(named(m.Key, "ownerHash") && numbers(structs, m.Value)) {
					found = append(found, fmt.Sprintf("%s: a map of message holds more than a hash and numbers",
						f.at(field)))
				}
			}
			return true
		})
	}
	return found
}

func named(e ast.Expr, names ...string) bool {
	id, ok := e.(*ast.Ident)
	return ok && slices.Contains(names, id.Name)
}

// numbers reports whether a type is a struct of numbers.
func numbers(structs map[string]*ast.StructType, e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	if !ok || structs[id.Name] == nil {
		return false
	}
	return !slices.ContainsFunc(structs[id.Name].Fields.List,
		func(f *ast.Field) bool { return !named(f.Type, "int", "int64") })
}

func TestMessage_MemoryBetweenFrames(t *testing.T) {
	enforce(t, memoryRule, map[string]string{
		"a.go:3: a map of message": "-- functions/message/a.go --\npackage main\ntype b struct{ n int }\ntype " +
			"kept struct{ all map[string]b }\n",
		"a.go:4: a map of message": "-- functions/message/a.go --\npackage main\ntype b struct{ last string " +
			"}\n\ntype kept struct{ all map[ownerHash]b }\n",
		"a.go:2: a map of message holds": "-- functions/message/a.go --\npackage main\ntype kept struct{ all " +
			"map[ownerHash]string }\n",
	})
	for _, f := range repository(t).files {
		if f.path == "functions/message/frames.go" {
			return
		}
	}
	t.Error("functions/message/frames.go does not exist, and this rule is about it")
}
