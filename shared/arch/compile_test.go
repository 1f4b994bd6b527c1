package arch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// toolchain runs the go command over this module with extra files, and returns its output.
func toolchain(t *testing.T, files []txtar.File, args ...string) (string, error) {
	t.Helper()
	dir, root := t.TempDir(), "../.."
	replace := maskedFiles(t)
	for n, f := range files {
		there, err := filepath.Abs(filepath.Join(root, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		replace[there] = filepath.Join(dir, fmt.Sprint(n), path.Base(f.Name)) // errors name it
		if err := os.MkdirAll(filepath.Dir(replace[there]), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(replace[there], f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The flags are those of the local stack's builds, so that common packages are compiled once.
	args = append([]string{args[0], "-overlay", filepath.Join(dir, "overlay.json"), "-trimpath", "-tags",
		"lambda.norpc"}, args[1:]...)
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	return string(out), err
}

// maskedFiles returns the files that GOFLAGS already replaces, as infra/mutants does: of two -overlay flags only one
// would apply.
func maskedFiles(t *testing.T) map[string]string {
	t.Helper()
	given := struct{ Replace map[string]string }{map[string]string{}}
	if m := regexp.MustCompile(`-overlay=(\S+)`).FindStringSubmatch(os.Getenv("GOFLAGS")); m != nil {
		text, err := os.ReadFile(m[1])
		if err == nil {
			err = json.Unmarshal(text, &given)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return given.Replace
}

// TestUsers_ForgeriesDoNotCompile compiles every forgery, and one correct program.
func TestUsers_ForgeriesDoNotCompile(t *testing.T) {
	t.Attr("row", "B1: code that makes or smuggles a user does not compile")
	forgeries := judgeForgeries(t, "testdata/forgeries.txtar", "forge", "right")
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d ways to make or smuggle a user: none compiles", forgeries))
	}
}

// TestPosts_UncheckedDoNotCompile compiles code that posts messages which package lasthop did not check.
func TestPosts_UncheckedDoNotCompile(t *testing.T) {
	forgeries := judgeForgeries(t, "testdata/unchecked_posts.txtar", "unchecked", "checked")
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d ways to post without the check: none compiles", forgeries))
	}
}

// judgeForgeries compiles the files of an archive. In functions/<forged> the compiler must refuse each line with ERROR,
// with an error like that, and no other line. functions/<right> must compile. It returns the number of the refused
// lines.
func judgeForgeries(t *testing.T, file, forged, right string) (forgeries int) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := toolchain(t, archive.Files, "build", "-gcflags=-e", "./functions/"+forged)
	if err == nil {
		t.Fatal("the forgeries compile")
	}
	if out, err := toolchain(t, archive.Files, "build", "./functions/"+right); err != nil {
		t.Errorf("the correct program does not compile: %v\n%s", err, out)
	}
	refused := compiled(out)
	for _, f := range archive.Files {
		for n, line := range strings.Split(string(f.Data), "\n") {
			at := fmt.Sprintf("%s:%d", path.Base(f.Name), n+1)
			got := strings.Join(refused[at], "; ")
			code, want, forged := strings.Cut(line, "// ERROR ")
			code = strings.TrimSpace(code)
			switch {
			case forged && got == "":
				t.Errorf("%s: it compiles: %s", at, code)
			case forged && !regexp.MustCompile(want).MatchString(got):
				t.Errorf("%s: %s\nis refused for another reason: %s\nwant: %s", at, code, got, want)
			case !forged && got != "":
				t.Errorf("%s: %s\nis refused, but it is not marked as a forgery: %s", at, code, got)
			case forged:
				forgeries++
			}
		}
	}
	return forgeries
}

// compiled returns the compiler's errors by file and line.
func compiled(out string) map[string][]string {
	refused := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^\S*?(\w+\.go:\d+):(?:\d+:)? (.*)$`).FindAllStringSubmatch(out, -1) {
		refused[m[1]] = append(refused[m[1]], m[2])
	}
	return refused
}

// TestPrincipal_Internal lets the go command check which packages may import the package that makes users.
func TestPrincipal_Internal(t *testing.T) {
	const makes = "package forge\n\nimport . \"carrel/shared/internal/principal\"\n\nvar bob, _ = New(\"issuer\", " +
		"\"bob\")\n"
	places := map[string]bool{ // whether the compiler allows it; where it does, a rule of shared/arch refuses
		"functions/turn": false, "functions/forge": false, "infra/forge": false, "infra/local/forge": false,
		"web/forge": false,
		"docs":      false, "shared/tool/forge": true,
	}
	var files []txtar.File
	args := []string{"list", "-e", "-f", "{{.ImportPath}} {{with .Error}}{{.Err}}{{end}}"}
	for dir := range places {
		text := makes
		if dir == "functions/turn" {
			text = strings.Replace(makes, "package forge", "package main", 1)
		}
		files = append(files, txtar.File{Name: dir + "/forge.go", Data: []byte(text)})
		args = append(args, "./"+dir)
	}
	out, err := toolchain(t, files, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for dir, may := range places {
		line := regexp.MustCompile(`(?m)^carrel/` + dir + ` (.*)$`).FindStringSubmatch(out)
		switch {
		case line == nil:
			t.Errorf("the go command prints nothing about %s:\n%s", dir, out)
		case !may && !strings.Contains(line[1], "use of internal package carrel/shared/internal/principal not allowed"):
			t.Errorf("%s may import internal/principal: the go command prints %q", dir, line[1])
		case may && line[1] != "":
			t.Errorf("%s: %s", dir, line[1])
		}
	}
}
