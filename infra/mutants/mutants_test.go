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

// guard is a place in the code that keeps a promise of docs/.
type guard struct {
	name string // the rule that the guard keeps
	file string // relative to the module's root
	from string // the guard's text, which stands in the file once
	to   string // replaces it; the file still compiles
	// test must notice the removal: its package and name, as in ./shared/store TestModel; or "web" and a test file.
	test string
	row  string // of the audit, A1 to E7, that turns red without the guard, or ""
	// lapse replaces from and to: it names a rule that the test itself omits if LAPSE names it. The file stays.
	lapse string
	also  []edit // further edits, where a guard stands in several places
	// spare is the reason why the test does not notice: another guard does the same. A spare guard is removed too, and
	// it is an error if the test notices.
	spare string
}

// guards returns all of them.
func guards() []guard {
	return slices.Concat(
		storeGuards(), deliveryGuards(), faultGuards(), soakGuards(), viewGuards(), iamGuards(), decisionGuards(),
		lockGuards(), ownerGuards(),
		auditGuards(), lastHopGuards(), typeGuards(), toolsGuards(), modelGuards(),
		outputGuards(), handOverGuards(), handOverWorkGuards(), suitesGuards(), attackerGuards(),
		signInGuards(),
		idGuards(), headerGuards(), agentGuards(), sessionGuards(), endedGuards(), evictionGuards(), frameRateGuards(),
		repeatGuards(),
		textGuards(), localGuards(),
		deployGuards(),
		kindGuards(), accessGuards(), originGuards(), issuerGuards(), eraseGuards(), noteGuards(),
	)
}

const testTime = 5 * time.Minute // for one test without one guard

// TestGuardsAreThere compares the list with the code: each guard stands in its file, and each test exists. It reports
// the guards of the audit's rows as a whole run would, for the scorecard's own tests.
func TestGuardsAreThere(t *testing.T) {
	seen, row := map[string]bool{}, regexp.MustCompile(`^[A-E][1-7]$`)
	tests := testsOf(t, "")
	for _, g := range guards() {
		if seen[g.name] {
			t.Errorf("two guards have the name %q", g.name)
		}
		seen[g.name] = true
		if g.row != "" && !row.MatchString(g.row) {
			t.Errorf("%s: the audit has no row %q", g.name, g.row)
		}
		var err error
		if g.test, err = tests.find(g.test); err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		g.report(t, true, "", nil)
		if g.lapse != "" {
			continue // the test refuses an unknown name
		}
		if _, err := g.without(); err != nil {
			t.Error(err)
		}
	}
}

// TestGuardsAreMissed runs each guard's test without the guard. It takes minutes. MUTANTS selects guards by a regular
// expression of their names; "." selects all. MUTANTS_ROWS selects guards by rows of the audit, and only guards that
// have one.
func TestGuardsAreMissed(t *testing.T) {
	which, rows := os.Getenv("MUTANTS"), os.Getenv("MUTANTS_ROWS")
	if which == "" && rows == "" {
		t.Skip("make mutants runs it")
	}
	selected, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	row, err := regexp.Compile(rows)
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOf(t, "")
	for _, g := range guards() {
		if !selected.MatchString(g.name) || rows != "" && (g.row == "" || g.spare != "" || !row.MatchString(g.row)) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel() // as many as -parallel says
			var err error
			if g.test, err = tests.find(g.test); err != nil {
				t.Fatal(err)
			}
			noticed, output, err := g.try(t)
			g.report(t, noticed, output, err)
			switch {
			case err != nil:
				t.Error(err)
			case noticed && g.spare != "":
				t.Errorf("the test notices, so the guard is not spare: %s", output)
			case !noticed && g.spare == "":
				t.Errorf("%s does not notice the removal: %s", g.test, output)
			case noticed:
				t.Logf("noticed: %s", output)
			default:
				t.Logf("spare: %s. %s", g.spare, output)
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
	from, to string // from stands in the file once; if it is "", the file is new
}

// changed returns the text of each file after all edits, by its path from the module's root.
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
		switch {
		case e.from == "":
			texts[e.file] = e.to
			continue
		case strings.TrimSpace(from) == "":
			return nil, fmt.Errorf("%s: the guard is only a comment, and guards are searched without comments: %s",
				e.file, e.from)
		}
		place, err := find(text, from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.file, err)
		}
		texts[e.file] = text[:place[0]] + e.to + text[place[1]:]
	}
	return texts, nil
}

// without returns the texts of the files without the guard.
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

// try runs the guard's test without the guard. A program that does not compile is an error, not a success.
func (g guard) try(t *testing.T) (noticed bool, output string, err error) {
	if pkg, name, _ := strings.Cut(g.test, " "); pkg == "web" {
		return g.tryWeb(t, name)
	}
	texts, err := g.without()
	if err != nil {
		return false, "", err
	}
	red, out, err := try(t, texts, g.test, "AUDIT=", "LAPSE="+g.lapse)
	if err != nil {
		return red, "", fmt.Errorf("%s: %w", g.name, err)
	}
	return red, summary(out), nil
}

// try runs a test, named by package and name, with other texts in place of files, in a process with more environment.
// It runs tests of make campaign too.
func try(t *testing.T, texts map[string]string, test string, env ...string) (red bool, out []byte, err error) {
	pkg, name, _ := strings.Cut(test, " ")
	if pkg == "./infra/soak" { // it plays some ten schedules a second, a model some thousand
		env = append(env, "SCHEDULES=200")
	}
	binary := filepath.Join(t.TempDir(), "test")
	overlay, err := overlay(t, texts)
	if err != nil {
		return false, nil, err
	}
	// Linking takes most of the time, and half of that is for debuggers.
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay,
		"-o", binary, pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, nil, fmt.Errorf("without the guard the program does not compile: %w\n%s", err, out)
	}
	// The test's package may not import the file's: the file may belong to a function that the test starts as a
	// process.
	owners := exec.CommandContext(t.Context(), "go", "list", "-export", "-overlay", overlay)
	for file := range texts {
		owners.Args = append(owners.Args, "./"+filepath.Dir(file))
	}
	owners.Dir = root
	if out, err := owners.CombinedOutput(); err != nil {
		return false, nil, fmt.Errorf("without the guard the program does not compile: %w\n%s", err, out)
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
		return false, out, fmt.Errorf("the stack does not start: %w\n%s",
			cmp.Or(err, errors.New("and the test passes")), out)
	}
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+name)) {
		return false, out, fmt.Errorf("%s did not run:\n%s", test, out)
	}
	if err != nil && !bytes.Contains(out, []byte("--- FAIL: "+name)) {
		return false, out, fmt.Errorf("%s broke off: %w\n%s", test, err, out)
	}
	return err != nil, out, nil
}

// overlay writes files with other texts, and the overlay file for go build.
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

// summary returns the first lines that the test printed, without the line of its seed.
func summary(out []byte) string {
	var lines []string
	for _, line := range regexp.MustCompile(`(?m)^ +\w+\.go:\d+: .*$`).FindAllString(string(out), -1) {
		_, line, _ = strings.Cut(line, ": ")
		if len(lines) == 2 || strings.Contains(strings.ToLower(line), "seed") {
			continue
		}
		lines = append(lines, line[:min(len(line), 240)])
	}
	return strings.Join(lines, "; ")
}
