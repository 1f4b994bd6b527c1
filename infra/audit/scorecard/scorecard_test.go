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

func good() check { return check{pkg: planted, test: "TestGood", shows: "a good check"} }

// newAudit returns an audit of these rows and its output.
func newAudit(t *testing.T, z size, rows ...row) (*audit, *strings.Builder) {
	t.Helper()
	out := &strings.Builder{}
	return &audit{rows: rows, size: z, only: regexp.MustCompile(""), root: moduleRoot, dir: t.TempDir(), out: out,
		log: io.Discard}, out
}

// written returns an audit's scorecard as data, and as a person sees it on the page and on the terminal.
func written(t *testing.T, a *audit, out *strings.Builder) (r report, text string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, "audit.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(a.dir, "audit.html"))
	if err != nil {
		t.Fatal(err)
	}
	return r, strings.Join(strings.Fields(out.String()+string(page)), " ")
}

func has(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not appear in %s", w, text)
		}
	}
}

func TestAudit_AllPass(t *testing.T) {
	a, out := newAudit(t, quick,
		row{id: "A1", claim: "one", checks: []check{good(), {pkg: planted, test: "TestCases", shows: "cases"}}},
		row{id: "C5", claim: "two", checks: []check{good(),
			{pkg: planted, test: "TestScaled", shows: "a number", amount: "1000"},
			{pkg: planted, test: "TestBad", shows: "left out", slow: true}}})
	status := a.run(t.Context())
	r, text := written(t, a, out)
	if status != 0 || r.Failed != 0 || r.Overall != 100 || len(r.Components) != 2 || r.Passed != 4 || r.Of != 4 {
		t.Fatalf("status %d, %+v", status, r)
	}
	if got := r.Components[0].Rows[0].Checks; got[0].Figures[0] != "0 of 3 things, size quick" ||
		got[1].Figures[0] != "2 cases" {
		t.Errorf("figures: %+v", got)
	}
	has(t, text, "All rows pass", "This size removes no guards", "40 things", "planted TestBad")
}

// Each way in which a check can fail turns its row and the exit status red, and appears with its reason.
func TestAudit_ChecksThatDoNotPass(t *testing.T) {
	cases := map[string]struct {
		pkg     string
		verdict verdict
		why     string
	}{
		"TestBad":         {planted, failed, "alice sees 2 events of bob's <script>"},
		"TestSkipped":     {planted, notRun, "no engine here"},
		"TestPartSkipped": {planted, notRun, "skipped: TestPartSkipped/not"},
		"TestSilent":      {planted, failed, "it reports none of its work"},
		"TestNobodyWrote": {planted, notRun, "has no test TestNobodyWrote"},
		"TestCases/c":     {planted, notRun, "has no test TestCases/c"},
		"TestPanics":      {broken, failed, "it failed"},
		"TestLater":       {broken, notRun, "its tests ended with exit status 1: panic: boom"},
		"TestIsFine":      {after, notRun, "TestIsFine broke off: its tests ended with exit status 1"},
		"TestOfNobody":    {"./infra/audit/scorecard/testdata/nowhere", notRun, "directory not found"},
	}
	red := func(name string) row {
		return row{id: "B2", claim: "all", checks: []check{good(),
			{pkg: cases[name].pkg, test: name, shows: "a bad check"}}}
	}
	var all []row
	for name := range cases {
		all = append(all, red(name))
	}
	runner, _ := newAudit(t, quick, all...)
	res := runner.runTests(t.Context())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, out := newAudit(t, quick, red(name), row{id: "C1", claim: "else", checks: []check{good()}})
			status := a.report(t.Context(), res, time.Now())
			r, text := written(t, a, out)
			b2, c1 := r.Components[0].Rows[0], r.Components[1].Rows[0]
			if got := b2.Checks[1]; got.Verdict != c.verdict || !strings.Contains(got.Why, c.why) {
				t.Errorf("%s: %s, want %s: %s", got.Verdict, got.Why, c.verdict, c.why)
			}
			if status != 1 || r.Failed != 1 || r.Overall >= 100 || b2.Passed || !c1.Passed {
				t.Errorf("status %d, %d failed, score %d", status, r.Failed, r.Overall)
			}
			has(t, text, "1 rows failed or were not run", "B2 **FAIL**", "B2 FAIL", string(c.verdict), name)
			if strings.Contains(text[strings.Index(text, "<!doctype"):], "<script") {
				t.Error("the page runs what a test printed")
			}
		})
	}
}

// A check that does less than its amount fails. A quick audit may do less.
func TestAudit_Amount(t *testing.T) {
	for amount, want := range map[string]verdict{"1000 things": passed, "100 things": failed, "10000 things": failed} {
		a, _ := newAudit(t, normal, row{id: "A2", checks: []check{{pkg: planted, test: "TestScaled", amount: amount}}})
		res := a.runTests(t.Context())
		if got := a.judgeRow(a.rows[0], res); got.Checks[0].Verdict != want || got.Passed != (want == passed) {
			t.Errorf("%s: %+v", amount, got)
		}
		a.size = quick
		if got := a.judgeRow(a.rows[0], res); !got.Passed {
			t.Errorf("a quick audit: %+v", got)
		}
	}
}

func TestAudit_RowNotSelected(t *testing.T) {
	a, out := newAudit(t, quick, row{id: "A1", checks: []check{good()}}, row{id: "A2", checks: []check{good()}})
	a.only = regexp.MustCompile("^(A1)")
	if status := a.run(t.Context()); status != 1 {
		t.Errorf("status %d", status)
	}
	has(t, out.String(), "A1 pass", "A2 **FAIL**", "its row was not selected")
}

func TestConfigure(t *testing.T) {
	for _, args := range [][]string{{"-size", "huge"}, {"-rows", "("}, {"A1"}, {"-wrong"}} {
		if _, err := configure(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	a, err := configure([]string{"-size", "full", "-rows", "A|C5"}, io.Discard)
	if err != nil || a.size != full || !a.only.MatchString("C5") || a.only.MatchString("B5") {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestScore_RoundsDown(t *testing.T) {
	for _, c := range []struct{ passed, of, want int }{{0, 0, 0}, {0, 3, 0}, {199, 200, 99}, {2, 3, 66}, {3, 3, 100}} {
		if got := score(c.passed, c.of); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.passed, c.of, got, c.want)
		}
	}
}

// TestAudit_Removals judges a row C5 with one good check beside a row A1, with these removals.
func TestAudit_Removals(t *testing.T) {
	noticed := removal{Row: "C5", Guard: "the owner is asked", File: "shared/emit/post.go", Test: planted + " TestGood",
		Noticed: true, Output: "bob sees it"}
	missed, elsewhere, other := noticed, noticed, noticed
	missed.Noticed, elsewhere.Test, other.Row = false, planted+" TestOther", "A1"
	otherMissed := other
	otherMissed.Noticed = false
	for name, c := range map[string]struct {
		removals   []removal
		unfinished bool
		silent     bool   // one more removal fails without a report
		why        string // "": the row passes
	}{
		"noticed":                   {removals: []removal{noticed, other}},
		"another row's is not":      {removals: []removal{noticed, otherMissed}},
		"none":                      {why: "so nothing shows that its checks can fail"},
		"another row's":             {removals: []removal{other}, why: "so nothing shows that its checks can fail"},
		"not noticed":               {removals: []removal{noticed, missed}, why: "no test failed"},
		"noticed by no check of C5": {removals: []removal{elsewhere}, why: "TestOther does not declare this row"},
		"removals broke off": {removals: []removal{noticed}, unfinished: true,
			why: "the removals did not finish"},
		"one failed without a report": {removals: []removal{noticed}, silent: true,
			why: "a removal failed without a report"},
	} {
		t.Run(name, func(t *testing.T) {
			res := noResults()
			for i, m := range c.removals {
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				res.of(mutantsPackage + " " + removalTest + "/" +
					string(rune('a'+i))).attrs["removal"] = []string{string(text)}
			}
			if c.silent {
				res.of(mutantsPackage + " " + removalTest + "/silent").status = "fail"
			}
			if !c.unfinished {
				res.of(mutantsPackage + " " + removalTest).status = "pass"
			}
			test := res.of(planted + " TestGood")
			test.status, test.attrs["figure"] = "pass", []string{"0 of 3"}
			a, out := newAudit(t, normal, row{id: "C5", claim: "nothing foreign", checks: []check{good()}})
			status := a.report(t.Context(), res, time.Now())
			r, text := written(t, a, out)
			if passed := c.why == ""; passed != r.Components[0].Rows[0].Passed || passed != (status == 0) ||
				passed != (r.Overall == 100) {
				t.Errorf("status %d: %+v", status, r)
			}
			has(t, text, c.why)
			if c.why == "" {
				has(t, text, "the owner is asked", "shared/emit/post.go", "bob sees it", "noticed: 1 of 1")
			}
			a.size = quick
			if a.report(t.Context(), res, time.Now()) != 0 {
				t.Error("a quick audit removes no guards, and fails")
			}
		})
	}
}
