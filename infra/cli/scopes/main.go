// Command scopes writes the grants of agents.Grants into template.yaml and docs/deploying.md. A test of this package
// fails while one of the files does not hold them.
//
//	go run ./infra/cli/scopes      (or: make scopes)
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"carrel/agents"
	"carrel/shared/catalog"
)

func main() {
	for name, places := range files() {
		if err := update(".", name, places); err != nil {
			fmt.Fprintln(os.Stderr, "scopes:", err)
			os.Exit(1)
		}
		fmt.Println("scopes:", name, "holds the grants of agents.Grants")
	}
}

// place is text that lists the grants. The pattern's first group is kept, and text replaces the rest of the match.
type place struct {
	pattern string
	text    string
	times   int // how often the pattern must match
}

// files are the files that list the grants, with their places.
func files() map[string][]place {
	scopes := catalog.Scopes(agents.Grants())
	plain := strings.Join(scopes, " ")
	pool := func(separator string) string { return "carrel/" + strings.Join(scopes, separator+"carrel/") }
	var described strings.Builder
	for _, g := range agents.Grants() {
		fmt.Fprintf(&described, "        - {ScopeName: %s, ScopeDescription: %s}\n", g.Name, g.Title)
	}
	return map[string][]place{
		"template.yaml": {
			{`(  PageScope:\n    Type: String\n    Default: openid profile ).*`, plain, 1},
			{`(      Scopes:\n)(?:        - \{ScopeName: .*\n)+`, described.String(), 1},
			{`(AllowedOAuthScopes: \[(?:openid, profile, )?)carrel/[^\]]*`, pool(", "), 3},
			{`(\[OwnPool, openid profile )carrel/[^,]*`, pool(" "), 1},
		},
		"docs/deploying.md": {{"(\\| `PageScope` \\| `openid profile )[^`]*", plain, 1}},
	}
}

// update writes the grants into one file below root.
func update(root, name string, places []place) error {
	path := filepath.Join(root, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	updated, err := render(text, places)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if bytes.Equal(text, updated) {
		return nil
	}
	return os.WriteFile(path, updated, 0o600) // an existing file keeps its mode
}

// render returns a file's text with the grants in its places.
func render(text []byte, places []place) ([]byte, error) {
	for _, p := range places {
		pattern := regexp.MustCompile(p.pattern)
		if n := len(pattern.FindAll(text, -1)); n != p.times {
			return nil, fmt.Errorf("%d places match %s, want %d", n, p.pattern, p.times)
		}
		text = pattern.ReplaceAll(text, []byte("${1}"+p.text))
	}
	return text, nil
}
