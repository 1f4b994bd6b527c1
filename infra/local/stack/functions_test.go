package stack

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"carrel/infra/local/template"
)

// The gateway knows an access key only if the function's policies allow it to manage connections.
func TestSecret_FunctionPolicies(t *testing.T) {
	statement := func(effect string, actions ...string) template.Statement {
		return template.Statement{Effect: effect, Action: actions, Resource: []string{"*"}}
	}
	for _, c := range []struct {
		name     string
		policies []template.Statement
		want     bool
	}{
		{"no policy", nil, false},
		{"other actions", []template.Statement{statement("Allow", "dynamodb:*", "execute-api:Invoke")}, false},
		{"named action", []template.Statement{statement("Allow", "dynamodb:*"),
			statement("Allow", "execute-api:ManageConnections")}, true},
		{"action in another case", []template.Statement{statement("Allow", "Execute-API:manageconnections")}, true},
		{"pattern for the action", []template.Statement{statement("Allow", "execute-api:Manage*")}, true},
		{"pattern for all actions", []template.Statement{statement("Allow", "*")}, true},
		{"explicit deny", []template.Statement{statement("Allow", "*"), statement("Deny", "execute-api:*")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Stack{keys: map[string]credential{}, template: &template.Template{
				Functions: []template.Function{{LogicalID: "F", Name: "f", Policies: c.policies}}}}
			s.makeKeys()
			secret, ok := s.secret(s.keys["F"].id)
			if ok != c.want || ok && secret != s.keys["F"].secret {
				t.Errorf("the gateway knows the key: %v, want %v", ok, c.want)
			}
			if _, ok := s.secret("AKIAUNKNOWN"); ok {
				t.Error("the gateway knows a key that no function has")
			}
		})
	}
}

// A binary is stored under a name that depends on its content. Another stack may still run a binary that is not stale.
func TestStoreBinary(t *testing.T) {
	folder := t.TempDir()
	built := func(content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "bootstrap"), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		binary, err := storeBinary(folder)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(binary); err != nil || string(got) != content {
			t.Fatalf("%s holds %q: %v", binary, got, err)
		}
		return binary
	}
	first, second := built("one"), built("two")
	if first == second || built("one") != first {
		t.Error("the path does not depend on the content alone")
	}
	long := time.Now().Add(-25 * time.Hour)
	for _, binary := range []string{first, second} {
		if err := os.Chtimes(filepath.Dir(binary), long, long); err != nil {
			t.Fatal(err)
		}
	}
	third := built("three")
	if _, err := os.Stat(second); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a stale binary still exists:", err)
	}
	if _, err := os.Stat(third); err != nil {
		t.Error("a new binary was removed:", err)
	}
}
