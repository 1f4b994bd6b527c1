package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/wire"
	"carrel/shared/wire/wiretest"
)

// TestTable_EveryTypeHasARow compares the constants of table.go with the tables.
func TestTable_EveryTypeHasARow(t *testing.T) {
	rows := append(wire.ClientTypes(), wire.ServerTypes()...)
	constants := typeConstants(t)
	for name, typ := range constants {
		if !slices.Contains(rows, typ) {
			t.Errorf("%s has no row in clientTable or serverTable (shared/wire/table.go)", name)
		}
	}
	for _, typ := range rows {
		if !slices.Contains(slices.Collect(maps.Values(constants)), typ) {
			t.Errorf("the type %q has a row in shared/wire/table.go and no constant", typ)
		}
	}
}

// typeConstants returns the constants of type Type in table.go, by name.
func typeConstants(t *testing.T) map[string]wire.Type {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]wire.Type{}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok || len(s.Values) != 1 {
			return true
		}
		if typ, ok := s.Type.(*ast.Ident); ok && typ.Name == "Type" {
			constants[s.Names[0].Name] = wire.Type(strings.Trim(s.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	return constants
}

// TestTable_EveryTypeIsTested wants, for each type, a scenario in testdata, a row in docs/protocol.md, and the type in
// the TypeScript client's frames.
func TestTable_EveryTypeIsTested(t *testing.T) {
	docs, frames := read(t, "../../docs/protocol.md"), typeScript(t)
	for folder, types := range map[string][]wire.Type{"client": wire.ClientTypes(), "server": wire.ServerTypes()} {
		scenarios := golden(t, folder)
		for _, typ := range types {
			tested := slices.ContainsFunc(scenarioFrames(scenarios), func(frame string) bool {
				return strings.HasPrefix(frame, fmt.Sprintf(`{"type":%q`, typ))
			})
			if !tested {
				t.Errorf("no file in shared/wire/testdata/%s has a frame of type %s that is accepted", folder, typ)
			}
			if !strings.Contains(docs, fmt.Sprintf("| `%s` |", typ)) {
				t.Errorf("docs/protocol.md has no row for the frame `%s`", typ)
			}
			if !strings.Contains(frames, fmt.Sprintf("type: %q", string(typ))) {
				t.Errorf("no file in web/client/src has an interface with the type %q", typ)
			}
		}
	}
}

// scenarioFrames returns the frames that the scenarios expect to be encoded again.
func scenarioFrames(scenarios map[string]map[string]string) (frames []string) {
	for _, s := range scenarios {
		frames = append(frames, s["out"])
	}
	return frames
}

func typeScript(t *testing.T) string {
	t.Helper()
	return read(t, "../../web/client/src/client-frames.ts") + read(t, "../../web/client/src/server-frames.ts")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestNamed_EveryID wants Named to return each thread and run id that a frame has: violation records contain them.
func TestNamed_EveryID(t *testing.T) {
	for _, f := range wiretest.Frames(t, example()) {
		v := reflect.ValueOf(f).Elem()
		var want wire.Named
		if field := v.FieldByName("ThreadID"); field.IsValid() {
			want.Thread = chat.ThreadID(field.String())
		}
		if field := v.FieldByName("RunID"); field.IsValid() {
			want.Run = chat.RunID(field.String())
		}
		if got := f.Named(); got != want {
			t.Errorf("%T: Named returns %+v, want %+v: give the frame a method Named", f, got, want)
		}
	}
}

// example returns values for frames of each type.
func example() wiretest.Values {
	return wiretest.Values{RequestID: "q", N: 2, Thread: "t", Epoch: "e", Run: "r", NewRun: "r2", Message: "m",
		Text:  "\u00e9",
		Title: "a plan", Agent: "a", WhenBusy: chat.Reject, ThreadsBefore: "dA", RunsBefore: "cg", Before: 7, Limit: 3}
}
