package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

func TestFiles_HoldTheCatalogsGrants(t *testing.T) {
	for name, places := range files() {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		updated, err := render(text, places)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(updated) != string(text) {
			t.Errorf("%s lists other grants than agents.Grants: run `make scopes`", name)
		}
	}
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	places := []place{{`(scopes: )[a-z ]*`, "a b", 1}}
	path := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(path, []byte("scopes: a\nnext: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing changes
		if err := update(dir, "x.yaml", places); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "scopes: a b\nnext: 1\n" {
			t.Errorf("the file is %q, %v", got, err)
		}
	}
	places[0].times = 2
	if err := update(dir, "x.yaml", places); err == nil || !strings.Contains(err.Error(), "want 2") {
		t.Errorf("a missing place: %v", err)
	}
}
