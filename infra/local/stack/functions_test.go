package stack

import (
	"testing"

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
		{"named", []template.Statement{statement("Allow", "dynamodb:*"), statement("Allow", "execute-api:ManageConnections")}, true},
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
