package token

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// grantsShape says how to read a claim that holds grants.
type grantsShape struct {
	path []string // the names of nested members
	// words is true if a single string holds several names separated by spaces. If it is false, a single string is one
	// name, which may hold spaces: some issuers write a list of one role or group as a string.
	words bool
}

// grantsShapes returns the claims that common issuers use for grants.
func grantsShapes() map[string]grantsShape {
	return map[string]grantsShape{
		"scope":              {path: []string{"scope"}, words: true},
		"scp":                {path: []string{"scp"}, words: true}, // Entra ID, Okta
		"permissions":        {path: []string{"permissions"}, words: true},
		"roles":              {path: []string{"roles"}},
		"groups":             {path: []string{"groups"}},
		"cognito:groups":     {path: []string{"cognito:groups"}},
		"realm_access.roles": {path: []string{"realm_access", "roles"}}, // Keycloak
	}
}

// grantsNames lists the claims for an error message.
func grantsNames() string {
	return strings.Join(slices.Sorted(maps.Keys(grantsShapes())), ", ")
}

// grants returns the grants of the configured claim, without the configured prefix. It reads no other claim.
func (config Config) grants(c claims) ([]string, error) {
	shape := grantsShapes()[config.GrantsClaim]
	for _, name := range shape.path[:len(shape.path)-1] {
		if !c.has(name) {
			return nil, nil
		}
		var inner claims
		if err := json.Unmarshal(c[name], &inner); err != nil {
			return nil, fmt.Errorf("token: %s is not an object", name)
		}
		c = inner
	}
	all, single, err := c.list(shape.path[len(shape.path)-1])
	if err != nil {
		return nil, err
	}
	if single && shape.words {
		all = strings.Fields(all[0])
	}
	if config.GrantsPrefix == "" {
		return all, nil
	}
	var grants []string
	for _, g := range all {
		if grant, ok := strings.CutPrefix(g, config.GrantsPrefix); ok && grant != "" {
			grants = append(grants, grant)
		}
	}
	return grants, nil
}
