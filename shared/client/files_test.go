package client_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// goOnly and tsOnly are the files that exist in one client only, each with the reason.
func goOnly() map[string]string {
	return map[string]string{"calls": "the TypeScript client has these methods in client.ts"}
}

func tsOnly() map[string]string {
	return map[string]string{
		"index":           "the exports of the npm package",
		"agui":            "an adapter: only front ends need one",
		"ai":              "an adapter",
		"ai-chunks":       "an adapter",
		"ai-messages":     "an adapter",
		"assistant-ui":    "an adapter",
		"react":           "an adapter",
		"tanstack":        "an adapter",
		"tanstack-peer.d": "an adapter",
		"follow":          "what the adapters share",
		"pushed":          "what the adapters share",
		"restate":         "what the adapters share",
		"stock-ids":       "what the adapters share",
		"stock-input":     "what the adapters share",
		"chars":           "in Go: shared/chars",
		"visible":         "in Go: shared/visible",
		"codec":           "in Go: shared/wire/codec.go",
		"parts":           "in Go: shared/wire/parts.go",
		"protocol":        "in Go: shared/wire/wire.go",
		"client-frames":   "in Go: shared/wire",
		"server-frames":   "in Go: shared/wire",
		"events":          "in Go: shared/agui",
		"fold":            "in Go: shared/agui/fold.go",
		"contract":        "the types of the client's options and state; in Go: client.go and state.go",
		"port":            "the view's callbacks; a Go view returns Actions instead",
		"threadviews":     "in Go: fields of View",
		"tries":           "the messages that a page folds away; a terminal prints what arrives",
		"wake":            "events of a browser's page",
	}
}

// TestFiles_SameNames compares the files of the two clients: a part has the same file name in both.
func TestFiles_SameNames(t *testing.T) {
	inGo, inTS := parts(t, "*.go"), parts(t, "../../web/client/src/*.ts")
	compare := func(have, other map[string]bool, only map[string]string, where string) {
		for name := range have {
			if !other[name] && only[name] == "" {
				t.Errorf("the other client has no file %s: %s, or give the reason in shared/client/files_test.go",
					name, where)
			}
			if other[name] && only[name] != "" {
				t.Errorf("%s is in both clients: take it off the list in shared/client/files_test.go", name)
			}
		}
		for name := range only {
			if !have[name] {
				t.Errorf("the client has no file %s: take it off the list in shared/client/files_test.go", name)
			}
		}
	}
	compare(inGo, inTS, goOnly(), "name the same part in web/client/src likewise")
	compare(inTS, inGo, tsOnly(), "name the same part in shared/client likewise")
}

// parts returns the names of the files that match, without extension and without tests.
func parts(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if name := filepath.Base(file); !strings.HasSuffix(name, "_test.go") {
			names[strings.TrimSuffix(name, filepath.Ext(name))] = true
		}
	}
	return names
}
