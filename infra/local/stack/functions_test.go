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

// Only a function whose policies let it manage connections has a key that the gateway knows.
func TestAccessKeys(t *testing.T) {
	statement := func(effect string, actions ...string) template.Statement {
		return template.Statement{Effect: effect, Action: actions, Resource: []string{"*"}}
	}
	for _, c := range []struct {
		name     string
		policies []template.Statement
		want     bool
	}{
		{"none", nil, false},
		{"other", []template.Statement{statement("Allow", "dynamodb:*", "execute-api:Invoke")}, false},
		{"named", []template.Statement{statement("Allow", "dynamodb:*"),
			statement("Allow", "execute-api:ManageConnections")}, true},
		{"case", []template.Statement{statement("Allow", "Execute-API:manageconnections")}, true},
		{"pattern", []template.Statement{statement("Allow", "execute-api:Manage*")}, true},
		{"all", []template.Statement{statement("Allow", "*")}, true},
		{"denied", []template.Statement{statement("Allow", "*"), statement("Deny", "execute-api:*")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Stack{keys: map[string]credential{}, template: &template.Template{
				Functions: []template.Function{{LogicalID: "F", Name: "f", Policies: c.policies}}}}
			s.makeKeys()
			secret, ok := s.secret(s.keys["F"].id)
			if ok != c.want || ok && secret != s.keys["F"].secret {
				t.Errorf("known to the gateway: %v, want %v", ok, c.want)
			}
			if _, ok := s.secret("AKIASOMEBODYELSE"); ok {
				t.Error("a key that is nobody's is known")
			}
		})
	}
}

// What was built is kept under a name that tells its content; what another stack may still run stays.
func TestKeep(t *testing.T) {
	folder := t.TempDir()
	built := func(content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "bootstrap"), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		binary, err := keep(folder)
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
		t.Error("the path does not tell the content")
	}
	long := time.Now().Add(-25 * time.Hour)
	for _, binary := range []string{first, second} {
		if err := os.Chtimes(filepath.Dir(binary), long, long); err != nil {
			t.Fatal(err)
		}
	}
	third := built("three")
	if _, err := os.Stat(second); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a stale one is left:", err)
	}
	if _, err := os.Stat(third); err != nil {
		t.Error("a new one is gone:", err)
	}
}
