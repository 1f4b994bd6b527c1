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
	also  []edit // what else goes with it, where a guard stands in several places
	// spare says why the test is not to notice: another guard stands behind this one. Such a guard is tried as well, and
	// one that is noticed is not spare.
	spare string
}

// guards are all of them.
func guards() []guard {
	return slices.Concat(
		storeGuards(), deliveryGuards(), faultGuards(), soakGuards(), viewGuards(), iamGuards(), decisionGuards(), lockGuards(),
		auditGuards(), lastHopGuards(), typeGuards(), toolsGuards(), suitesGuards(), attackerGuards(), signInGuards(),
		idGuards(), headerGuards(), sessionGuards(), endedGuards(), evictionGuards(), frameRateGuards(),
		textGuards(), localGuards(),
		deployGuards(),
		kindGuards(), accessGuards(), originGuards(), issuerGuards(), eraseGuards(), noteGuards(),
	)
}

const testTime = 5 * time.Minute // of one test without one guard

// TestGuardsAreThere holds the list to the code: a guard that has gone, or that stands elsewhere now, is to be found again.
// It tells the guards of rows as a whole run would, for the audit's own tests.
func TestGuardsAreThere(t *testing.T) {
	seen, row := map[string]bool{}, regexp.MustCompile(`^[A-E][1-7]$`)
	tests := testsOf(t, "")
	for _, g := range guards() {
		if seen[g.name] {
			t.Errorf("two guards are called %q", g.name)
		}
		seen[g.name] = true
		if g.row != "" && !row.MatchString(g.row) {
			t.Errorf("%s: %q is no row of the audit", g.name, g.row)
		}
		var err error
		if g.test, err = tests.find(g.test); err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		g.report(t, true, "", nil)
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
// one.
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
	tests := testsOf(t, "")
	for _, g := range guards() {
		if !wanted.MatchString(g.name) || rows != "" && (g.row == "" || g.spare != "" || !row.MatchString(g.row)) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel() // as many as -parallel says
			var err error
			if g.test, err = tests.find(g.test); err != nil {
				t.Fatal(err)
			}
			red, said, err := g.try(t)
			g.report(t, red, said, err)
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

// report reports the removal of a guard to the audit.
func (g guard) report(t *testing.T, noticed bool, output string, err error) {
	t.Helper()
	if g.row == "" || g.spare != "" {
		return
	}
	why := ""
	if err != nil {
		why = err.Error()[:min(len(err.Error()), 600)]
	}
	report, err := json.Marshal(map[string]any{
		"row": g.row, "guard": g.name, "file": g.file, "test": g.test, "noticed": noticed, "output": output, "why": why,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Attr("removal", string(report))
}

const root = "../.."

// edit is one change of one file.
type edit struct {
	file     string // from the module's root
	from, to string // from stands in the file once; "": the file is a new one
}

// changed is the text of each file, by its path from the module's root, after all edits.
func changed(edits ...edit) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		text, seen := texts[e.file]
		if !seen && e.from != "" {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			if text, err = withoutComments(e.file, string(b), true); err != nil {
				return nil, err
			}
		}
		from, err := withoutComments(e.file, e.from, false)
		if err != nil {
			return nil, err
		}
		if from == "" {
			texts[e.file] = e.to
			continue
		}
		place, err := find(text, from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.file, err)
		}
		texts[e.file] = text[:place[0]] + e.to + text[place[1]:]
	}
	return texts, nil
}

// without are the texts of the files without the guard.
func (g guard) without() (map[string]string, error) {
	first := edit{g.file, g.from, g.to}
	if g.lapse != "" {
		text, err := os.ReadFile(filepath.Join(root, g.file))
		return map[string]string{g.file: string(text)}, err
	}
	texts, err := changed(append([]edit{first}, g.also...)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.name, err)
	}
	return texts, nil
}

// try runs the test without the guard. What does not compile is an error and no success.
func (g guard) try(t *testing.T) (red bool, said string, err error) {
	if pkg, name, _ := strings.Cut(g.test, " "); pkg == "web" {
		return g.tryWeb(t, name)
	}
	texts, err := g.without()
	if err != nil {
		return false, "", err
	}
	red, out, err := try(t, texts, g.test, "CARREL_FAULTS=1", "CARREL_LOCKS=1", "AUDIT=", "LAPSE="+g.lapse)
	if err != nil {
		return red, "", fmt.Errorf("%s: %w", g.name, err)
	}
	return red, summary(out), nil
}

// try runs a test, named by package and name, with other texts in place of files, in a process with more environment.
func try(t *testing.T, texts map[string]string, test string, env ...string) (red bool, out []byte, err error) {
	pkg, name, _ := strings.Cut(test, " ")
	if pkg == "./infra/soak" { // of whose schedules some ten go in a second, of the models' some thousand
		env = append(env, "SCHEDULES=200")
	}
	binary := filepath.Join(t.TempDir(), "test")
	overlay, err := overlay(t, texts)
	if err != nil {
		return false, nil, err
	}
	// Linking takes most of the time, and half of that is for debuggers.
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, nil, fmt.Errorf("without it nothing compiles: %w\n%s", err, out)
	}
	// The test may know nothing of a file, which is a function's that it starts as a process.
	owners := exec.CommandContext(t.Context(), "go", "list", "-export", "-overlay", overlay)
	for file := range texts {
		owners.Args = append(owners.Args, "./"+filepath.Dir(file))
	}
	owners.Dir = root
	if out, err := owners.CombinedOutput(); err != nil {
		return false, nil, fmt.Errorf("without it nothing compiles: %w\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTime+time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, binary, "-test.run", "^"+name+"$", "-test.v", "-test.timeout", testTime.String())
	run.Dir = filepath.Join(root, pkg)
	// A stack that the test starts builds its functions with the same texts.
	flags := strings.TrimSpace(os.Getenv("GOFLAGS") + " -overlay=" + overlay)
	run.Env = append(append(os.Environ(), "CARREL_CAMPAIGN=1", "CARREL_REQUIRE_ALL=1", "GOFLAGS="+flags), env...)
	out, err = run.CombinedOutput()
	if bytes.Contains(out, []byte("starting the stack:")) {
		return false, out, fmt.Errorf("the stack does not start: %w\n%s", cmp.Or(err, errors.New("and the test passes")), out)
	}
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+name)) {
		return false, out, fmt.Errorf("%s did not run:\n%s", test, out)
	}
	if err != nil && !bytes.Contains(out, []byte("--- FAIL: "+name)) {
		return false, out, fmt.Errorf("%s broke off: %w\n%s", test, err, out)
	}
	return err != nil, out, nil
}

// overlay writes other texts of files, and what go build is to be told of them.
func overlay(t *testing.T, texts map[string]string) (string, error) {
	dir := t.TempDir()
	replace := map[string]string{}
	for name, text := range texts {
		file, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		replace[file] = filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o600)
}

// summary is what the test said first, but for its seed.
func summary(out []byte) string {
	var said []string
	for _, line := range regexp.MustCompile(`(?m)^ +\w+\.go:\d+: .*$`).FindAllString(string(out), -1) {
		_, line, _ = strings.Cut(line, ": ")
		if len(said) == 2 || strings.Contains(strings.ToLower(line), "seed") {
			continue
		}
		said = append(said, line[:min(len(line), 240)])
	}
	return strings.Join(said, "; ")
}
