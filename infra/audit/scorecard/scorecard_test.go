package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	planted = "./infra/audit/scorecard/testdata/planted"
	broken  = "./infra/audit/scorecard/testdata/guards"
	after   = "./infra/audit/scorecard/testdata/after"
)

func good() check { return check{pkg: planted, test: "TestGood", shows: "what is good"} }

// auditOf is an audit of these rows, which says what it has to say to out.
func auditOf(t *testing.T, z size, out *strings.Builder, rows []row) *audit {
	t.Helper()
	return &audit{rows: rows, size: z, only: regexp.MustCompile(""), root: "../../..", dir: t.TempDir(), out: out, log: io.Discard, terminal: terminal{width: 100}}
}

// written is an audit's scorecard as data, and what a person sees of it.
func written(t *testing.T, a *audit, out string) (*report, string) {
	t.Helper()
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(a.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var r report
	if err := json.Unmarshal([]byte(text("audit.json")), &r); err != nil {
		t.Fatal(err)
	}
	return &r, out + text("audit.md") + text("audit.html")
}

func has(t *testing.T, text string, wanted ...string) {
	t.Helper()
	text = strings.Join(strings.Fields(text), " ") // the terminal breaks lines
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("nothing says %q", w)
		}
	}
}

func TestAllPass(t *testing.T) {
	var out strings.Builder
	a := auditOf(t, quick, &out, []row{
		{id: "A1", claim: "one", checks: []check{good(), {pkg: planted, test: "TestCases", shows: "cases"}}},
		{id: "C5", claim: "two", checks: []check{good(), {pkg: planted, test: "TestScaled", shows: "a number"},
			{pkg: planted, test: "TestBad", shows: "is left out", slow: true}}},
	})
	status := a.run(t.Context())
	r, text := written(t, a, out.String())
	if status != 0 || r.Failed != 0 || r.Overall != 100 || len(r.Components) != 2 {
		t.Errorf("status %d, %+v", status, r)
	}
	if got := r.Rows[0].Checks; got[0].Figures[0] != "0 of 3 things, size quick" || got[1].Figures[0] != "2 cases" {
		t.Errorf("figures: %+v", got)
	}
	if got := r.Rows[1]; got.Checks[1].Figures[0] != "40 things" || len(got.Left) != 1 {
		t.Errorf("figures: %+v", got)
	}
	has(t, text, "All 2 rows pass", "The guards were not taken away", "40 things", "planted TestBad")
}

// Each way in which a check can fail to pass turns its row red, and the exit status with it, and everybody is told why.
func TestWhatDoesNotPass(t *testing.T) {
	cases := map[string]struct {
		pkg     string
		verdict verdict
		why     string
	}{
		"TestBad":         {planted, failed, "alice sees 2 events of bob's <script>"},
		"TestSkipped":     {planted, notRun, "no engine here"},
		"TestPartSkipped": {planted, notRun, "skipped: TestPartSkipped/not"},
		"TestSilent":      {planted, failed, "it says nothing of what it did"},
		"TestNobodyWrote": {planted, notRun, "there is no test TestNobodyWrote"},
		"TestCases/c":     {planted, notRun, "there is no test TestCases/c"},
		"TestPanics":      {broken, notRun, "broke off: its tests ended with exit status 2: panic: boom"},
		"TestLater":       {broken, notRun, "panic: boom"},
		"TestIsFine":      {after, notRun, "TestIsFine broke off: its tests ended with exit status 3"},
		"TestOfNobody":    {"./infra/audit/scorecard/testdata/nowhere", notRun, "cannot be built"},
	}
	red := func(name string) row {
		return row{id: "B2", claim: "all of it", checks: []check{good(), {pkg: cases[name].pkg, test: name, shows: "what is not"}}}
	}
	var all []row
	for name := range cases {
		all = append(all, red(name))
	}
	found, err := auditOf(t, quick, nil, all).observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			a := auditOf(t, quick, &out, []row{red(name), {id: "C1", claim: "else", checks: []check{good()}}})
			status := a.conclude(t.Context(), found, time.Now())
			r, text := written(t, a, out.String())
			got := r.Rows[0].Checks[1]
			if status != 1 || r.Failed != 1 || r.Overall >= 100 || r.Rows[0].Passed || !r.Rows[1].Passed {
				t.Errorf("status %d, %d failed, score %d", status, r.Failed, r.Overall)
			}
			if got.Verdict != c.verdict || !strings.Contains(got.Why, c.why) {
				t.Errorf("%s: %s, want %s: %s", got.Verdict, got.Why, c.verdict, c.why)
			}
			has(t, text, "B2 FAIL", "1 of 2 rows failed or were not run", "| B2 | **FAIL**", string(c.verdict), name)
			if strings.Contains(text[strings.Index(text, "<!doctype"):], "<script") {
				t.Error("the page runs what a test said")
			}
		})
	}
}

// A check that does less than its row says has not passed, however well it went. A quick audit may do less.
func TestLessThanTheRowAsksFor(t *testing.T) {
	for amount, want := range map[string]verdict{"1000 things": passed, "100 things": failed, "10000 things": failed} {
		rows := []row{{id: "A2", claim: "c", checks: []check{{pkg: planted, test: "TestScaled", shows: "a number", amount: amount}}}}
		found, err := auditOf(t, normal, nil, rows).observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := rows[0].judge(normal, found); got.Checks[0].Verdict != want || got.Passed != (want == passed) {
			t.Errorf("%s: %+v", amount, got)
		}
		if got := rows[0].judge(quick, found); !got.Passed {
			t.Errorf("a quick audit: %+v", got)
		}
	}
}

// What a size leaves out, or a selection of rows, is not passed.
func TestRowsThatAreNotSelected(t *testing.T) {
	var out strings.Builder
	a := auditOf(t, quick, &out, []row{{id: "A1", checks: []check{good()}}, {id: "A2", checks: []check{{pkg: broken, test: "TestGood"}}}})
	a.only = regexp.MustCompile("^(A1)")
	if status := a.run(t.Context()); status != 1 {
		t.Errorf("status %d", status)
	}
	has(t, out.String(), "its row was not selected")
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-size", "huge"}, {"-rows", "("}, {"A1"}, {"-wrong"}} {
		if _, err := configure(args, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if a, err := configure([]string{"-size", "full", "-rows", "A|C5"}, io.Discard); err != nil || a.size != full || !a.only.MatchString("C5") || a.only.MatchString("B5") {
		t.Errorf("%+v, %v", a, err)
	}
}
