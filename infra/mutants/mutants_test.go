package mutants

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// guard is a place in the code without which something that docs/ promises would be broken.
type guard struct {
	name string // the clause, in the words of the document that it stands in
	file string // from the module's root
	from string // the guard; it stands in the file once
	to   string // the file without it, which compiles
	test string // the one that must notice, as package and name: ./shared/store TestModel; of the page: web and its file
	row  string // of the audit, A1 to E7, that turns red without it; "": it is none of the audit's
	// lapse is, in place of from and to, a clause that the test itself leaves out if LAPSE names it; the file stays.
	lapse string
	// spare says why the test is not to notice: another guard stands behind this one. Such a guard is tried as well, and
	// one that is noticed is not spare.
	spare string
}

// guards are all of them.
func guards() []guard {
	return slices.Concat(storeGuards(), deliveryGuards(), faultGuards(), soakGuards(), viewGuards(), iamGuards(), auditGuards())
}

const testTime = 5 * time.Minute // of one test without one guard

// TestGuardsAreThere holds the list to the code: a guard that has gone, or that stands elsewhere now, is to be found again.
func TestGuardsAreThere(t *testing.T) {
	seen, row := map[string]bool{}, regexp.MustCompile(`^[A-E][1-7]$`)
	for _, g := range guards() {
		if seen[g.name] {
			t.Errorf("two guards are called %q", g.name)
		}
		seen[g.name] = true
		if g.row != "" && !row.MatchString(g.row) {
			t.Errorf("%s: %q is no row of the audit", g.name, g.row)
		}
		if g.lapse != "" {
			continue // its test refuses one that there is not
		}
		if _, err := g.without(); err != nil {
			t.Error(err)
		}
	}
}

// TestGuardsAreMissed runs each guard's test without the guard. It takes minutes: MUTANTS says which guards, as a regular
// expression of their names, and "." all of them. MUTANTS_ROWS says which rows of the audit, which runs those alone that have
// one, side by side.
func TestGuardsAreMissed(t *testing.T) {
	which, rows := os.Getenv("MUTANTS"), os.Getenv("MUTANTS_ROWS")
	if which == "" && rows == "" {
		t.Skip("make mutants runs it")
	}
	wanted, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	row, err := regexp.Compile(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guards() {
		if !wanted.MatchString(g.name) || rows != "" && (g.row == "" || !row.MatchString(g.row)) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			if rows != "" {
				t.Parallel()
			}
			red, said, err := g.try(t)
			g.tell(t, red, said, err)
			switch {
			case err != nil:
				t.Error(err)
			case red && g.spare != "":
				t.Errorf("noticed, so it is not spare: %s", said)
			case !red && g.spare == "":
				t.Errorf("%s does not notice: %s", g.test, said)
			case red:
				t.Logf("noticed: %s", said)
			default:
				t.Logf("spare: %s. %s", g.spare, said)
			}
		})
	}
}

// tell tells the audit what became of the removal of a guard.
func (g guard) tell(t *testing.T, red bool, said string, err error) {
	t.Helper()
	if g.row == "" {
		return
	}
	why := ""
	if err != nil {
		why = err.Error()[:min(len(err.Error()), 600)]
	}
	told, err := json.Marshal(map[string]any{"row": g.row, "guard": g.name, "file": g.file, "test": g.test, "noticed": red, "said": said, "why": why})
	if err != nil {
		t.Fatal(err)
	}
	t.Attr("removal", string(told))
}

const root = "../.."

// without is the file's text without the guard.
func (g guard) without() (string, error) {
	text, err := os.ReadFile(filepath.Join(root, g.file))
	if err != nil {
		return "", fmt.Errorf("%s: %w", g.name, err)
	}
	if n := strings.Count(string(text), g.from); n != 1 && g.lapse == "" {
		return "", fmt.Errorf("%s: it stands in %s %d times, not once:\n%s", g.name, g.file, n, g.from)
	}
	return strings.Replace(string(text), g.from, g.to, 1), nil
}

// try runs the test without the guard. What does not compile is an error and no success.
func (g guard) try(t *testing.T) (red bool, said string, err error) {
	pkg, name, _ := strings.Cut(g.test, " ")
	if pkg == "web" {
		return g.tryWeb(t, name)
	}
	binary := filepath.Join(t.TempDir(), "test")
	overlay, err := g.overlay(t)
	if err != nil {
		return false, "", err
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", binary, pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, "", fmt.Errorf("%s: without it nothing compiles: %w\n%s", g.name, err, out)
	}
	// The test may know nothing of the file, which is a function's that it starts as a process.
	owner := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", os.DevNull, "./"+filepath.Dir(g.file))
	owner.Dir = root
	if out, err := owner.CombinedOutput(); err != nil {
		return false, "", fmt.Errorf("%s: without it nothing compiles: %w\n%s", g.name, err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTime+time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, binary, "-test.run", "^"+name+"$", "-test.v", "-test.timeout", testTime.String())
	run.Dir = filepath.Join(root, pkg)
	// A stack that the test starts builds its functions without the guard too.
	flags := strings.TrimSpace(os.Getenv("GOFLAGS") + " -overlay=" + overlay)
	run.Env = append(os.Environ(), "CARREL_REQUIRE_ALL=1", "CARREL_FAULTS=1", "GOFLAGS="+flags, "LAPSE="+g.lapse)
	out, err := run.CombinedOutput()
	if bytes.Contains(out, []byte("starting the stack:")) {
		return false, "", fmt.Errorf("%s: the stack does not start: %w\n%s", g.name, cmp.Or(err, errors.New("and the test passes")), out)
	}
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+name)) {
		return false, "", fmt.Errorf("%s: %s did not run:\n%s", g.name, g.test, out)
	}
	if err != nil && !bytes.Contains(out, []byte("--- FAIL: "+name)) {
		return false, "", fmt.Errorf("%s: %s broke off: %w\n%s", g.name, g.test, err, out)
	}
	return err != nil, summary(out), nil
}

// overlay writes the file without the guard, and what go test is to be told of it.
func (g guard) overlay(t *testing.T) (string, error) {
	text, err := g.without()
	if err != nil {
		return "", err
	}
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, g.file))
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{changed: []byte(text), overlay: replace} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return "", err
		}
	}
	return overlay, nil
}

// summary is what the test said first, and how much it did.
func summary(out []byte) string {
	var said []string
	for _, line := range regexp.MustCompile(`(?m)^ +\w+\.go:\d+: .*$`).FindAllString(string(out), 2) {
		_, line, _ = strings.Cut(line, ": ")
		said = append(said, line[:min(len(line), 240)])
	}
	return strings.Join(said, "; ")
}
