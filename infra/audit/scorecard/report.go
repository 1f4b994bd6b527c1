package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// verdict is what became of a check.
type verdict string

const (
	passed verdict = "passed"
	failed verdict = "failed"  // it ran and failed, or reported none of its work
	notRun verdict = "not run" // the test is absent, was skipped, or broke off
)

// report is the scorecard, as audit.json holds it.
type report struct {
	Size             size
	Began            time.Time
	Seconds          float64
	Commit, Machine  string
	Overall, Seed    int // the lowest score of a component, here and in the seed
	Failed           int // rows that failed or were not run
	Passed, Of       int // checks
	Noticed, Removed int // guards
	Components       []scored
}

// scored is a component with its rows.
type scored struct {
	Letter, Name string
	Seed, Score  int
	Passed, Of   int // checks
	Green        int // rows that passed
	Rows         []line
}

// line is a row with its outcome.
type line struct {
	ID, Claim, Here string
	Passed          bool
	Good            int // checks that passed
	Why             []string
	Checks          []outcome
	Removals        []removal
	Left            []string // checks that an audit of this size leaves out
}

// outcome is what became of one check.
type outcome struct {
	Package, Test, Shows string
	Verdict              verdict
	Why                  string
	Figures              []string
	Seconds              float64
	Excerpt              string // from the output of a check that did not pass
}

// removal is a guard that was removed, as TestGuardsAreMissed reports it.
type removal struct {
	Row, Guard, File string
	Test             string // package and name
	Noticed          bool   // the test failed
	Output           string // the test's, without the guard
	Why              string // the removal itself failed
}

// judge makes the scorecard from the results of the tests.
func (a *audit) judge(res *results) *report {
	r := &report{Size: a.size, Seed: seedOverall, Overall: 100}
	removals, broken := res.removals()
	for _, c := range components() {
		s := scored{Letter: c.letter, Name: c.name, Seed: c.seed}
		for _, row := range a.rows {
			if !strings.HasPrefix(row.id, c.letter) {
				continue
			}
			l := a.judgeRow(row, res)
			switch {
			case a.size == quick:
			case !a.only.MatchString(row.id):
				l.addRemovals(row, nil, "its row was not selected")
			default:
				l.addRemovals(row, removals, broken)
			}
			for _, m := range l.Removals {
				r.Removed++
				if m.Noticed {
					r.Noticed++
				}
			}
			s.Passed, s.Of = s.Passed+l.Good, s.Of+len(l.Checks)
			if l.Passed {
				s.Green++
			}
			s.Rows = append(s.Rows, l)
		}
		if len(s.Rows) > 0 {
			s.Score = score(s.Passed, s.Of)
			r.Overall, r.Failed = min(r.Overall, s.Score), r.Failed+len(s.Rows)-s.Green
			r.Passed, r.Of = r.Passed+s.Passed, r.Of+s.Of
			r.Components = append(r.Components, s)
		}
	}
	return r
}

// score returns passed ÷ of as a percentage, rounded down: 100 only if all passed.
func score(passed, of int) int { return 100 * passed / max(of, 1) }

func (a *audit) judgeRow(r row, res *results) line {
	l := line{ID: r.id, Claim: r.claim, Here: r.here, Passed: true}
	for _, c := range r.checks {
		if c.slow && a.size == quick {
			l.Left = append(l.Left, c.pkg+" "+c.test)
		}
	}
	for _, c := range r.of(a.size) {
		out := res.outcome(c)
		if !a.only.MatchString(r.id) {
			out.Verdict, out.Why = notRun, "its row was not selected"
		}
		l.add(out)
	}
	if len(l.Checks) == 0 {
		l.add(outcome{Verdict: notRun, Why: "the row has no check"})
	}
	return l
}

// add adds a check. One that did not pass turns the row red.
func (l *line) add(out outcome) {
	l.Checks = append(l.Checks, out)
	if out.Verdict == passed {
		l.Good++
		return
	}
	l.Passed, l.Why = false, append(l.Why, out.Test+": "+out.Why)
}

// outcome judges a check.
func (r *results) outcome(c check) outcome {
	out := outcome{Package: c.pkg, Test: c.test, Shows: c.shows}
	seen, subtests := r.under(c.pkg+" "+c.test), 0
	for i, t := range seen {
		out.Figures = append(out.Figures, t.attrs["figure"]...)
		if i == 0 {
			out.Seconds = t.seconds
		} else if t.status == "pass" {
			subtests++
		}
	}
	if len(out.Figures) == 0 && subtests > 0 {
		out.Figures = append(out.Figures, plural(subtests, "case"))
	}
	large := func(figure string) bool { return strings.HasPrefix(figure, c.amount) }
	out.Verdict, out.Why = r.verdict(c)
	switch {
	case out.Verdict != passed:
		out.Excerpt = excerpt(seen)
	case len(out.Figures) == 0:
		out.Verdict, out.Why = failed, "it reports none of its work: no figure, no subtest"
	case !slices.ContainsFunc(out.Figures, large):
		out.Verdict, out.Why = failed, fmt.Sprintf("its row requires %s, and it did %s", c.amount,
			strings.Join(out.Figures, "; "))
	}
	return out
}

// removals returns the removals that TestGuardsAreMissed reported, and why some may be missing.
func (r *results) removals() (all []removal, broken string) {
	name := mutantsPackage + " " + removalTest
	for _, t := range r.under(name) {
		if t.status == "fail" && t.name != name && len(t.attrs["removal"]) == 0 {
			broken = "a removal failed without a report: " + firstComplaint([]*result{t})
		}
		for _, text := range t.attrs["removal"] {
			var m removal
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				broken = "decode the report of a removal: " + err.Error()
				continue
			}
			all = append(all, m)
		}
	}
	if t := r.byName[name]; t == nil || t.status == "" {
		broken = "the removals did not finish: " + r.broken[mutantsPackage]
	}
	return all, broken
}

// proves returns why a removal proves nothing for a row with these checks, or "".
func (m removal) proves(checks []check) string {
	own := slices.ContainsFunc(checks, func(c check) bool {
		name := c.pkg + " " + c.test
		return name == m.Test || strings.HasPrefix(name, m.Test+"/") || strings.HasPrefix(m.Test, name+"/")
	})
	switch {
	case !own:
		return m.Test + " does not declare this row"
	case !m.Noticed:
		return "no test failed: " + strings.TrimSpace(m.Why+" "+m.Output)
	}
	return ""
}

// addRemovals adds the row's removals as one more check: they show that the row's checks can fail.
func (l *line) addRemovals(r row, all []removal, broken string) {
	out := outcome{Package: mutantsPackage, Test: removalTest, Shows: "without its guards the row goes red",
		Verdict: passed}
	noticed := 0
	for _, m := range all {
		if m.Row != r.id {
			continue
		}
		if why := m.proves(r.checks); why != "" {
			m.Why, m.Noticed = why, false
			out.Verdict, out.Why = failed, m.Guard+": "+why
		} else {
			noticed++
		}
		l.Removals = append(l.Removals, m)
	}
	switch {
	case broken != "":
		out.Verdict, out.Why = notRun, broken
	case len(l.Removals) == 0:
		out.Verdict, out.Why = notRun, "no guard names this row, so nothing shows that its checks can fail"
	}
	out.Figures = []string{fmt.Sprintf("%d of %s noticed", noticed, plural(len(l.Removals), "removal"))}
	l.add(out)
}

// describe adds when and where the audit ran.
func (r *report) describe(ctx context.Context, a *audit, began time.Time) {
	r.Began, r.Seconds = began.UTC().Truncate(time.Second), time.Since(began).Seconds()
	git := exec.CommandContext(ctx, "git", "-C", a.root, "describe", "--always", "--dirty", "--abbrev=12")
	commit, _ := git.Output() // without git there is no commit to show
	r.Commit = strings.TrimSpace(string(commit))
	r.Machine = fmt.Sprintf("%s, %s/%s, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		plural(runtime.NumCPU(), "processor"))
	if a.race {
		r.Machine += ", race detector"
	}
}
