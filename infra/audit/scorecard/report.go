package main

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report is the scorecard: what audit.json holds.
type report struct {
	Overall     int         `json:"overall"` // the lowest score of a component
	Seed        int         `json:"seed"`
	Failed      int         `json:"failed"` // rows that failed or were not run
	Components  []scored    `json:"components"`
	Rows        []line      `json:"rows"`
	Locks       []lock      `json:"locks"`
	Environment environment `json:"environment"`
}

// scored is a component's score.
type scored struct {
	Letter string `json:"letter"`
	Name   string `json:"name"`
	Seed   int    `json:"seed,omitempty"`
	Score  int    `json:"score"`
	Passed int    `json:"passed"`
	Of     int    `json:"of"`
	Rows   int    `json:"rows"`
	Red    int    `json:"red"` // rows that failed or were not run
}

// line is a row with what became of it.
type line struct {
	ID       string    `json:"id"`
	Claim    string    `json:"claim"`
	Here     string    `json:"here"`
	Passed   bool      `json:"passed"`
	Why      []string  `json:"why,omitempty"`
	Checks   []outcome `json:"checks"`
	Removals []removal `json:"removals,omitempty"`
	Left     []string  `json:"left,omitempty"` // checks that an audit of this size leaves out
}

// environment is where and how the audit was made.
type environment struct {
	Size    size      `json:"size"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Commit  string    `json:"commit"`
	Changed bool      `json:"changed"` // the tree has changes that are in no commit
	Go      string    `json:"go"`
	Machine string    `json:"machine"`
	Race    bool      `json:"race"`
}

// judge makes the scorecard of what was seen.
func judge(rows []row, z size, o *observations) *report {
	r := &report{Seed: seedOverall, Overall: 100, Locks: o.locks()}
	removals, broken := o.removals()
	for _, c := range components() {
		s := scored{Letter: c.letter, Name: c.name, Seed: c.seed}
		for _, w := range rows {
			if !strings.HasPrefix(w.id, c.letter) {
				continue
			}
			l := w.judge(z, o)
			if z != quick {
				l.goesRed(w, removals, broken)
			}
			s.add(&l)
			r.Rows = append(r.Rows, l)
		}
		if s.Rows == 0 {
			continue
		}
		s.Score = score(s.Passed, s.Of)
		r.Overall, r.Failed = min(r.Overall, s.Score), r.Failed+s.Red
		r.Components = append(r.Components, s)
	}
	return r
}

// score is passed ÷ of as a number out of 100, which is 100 only if all passed.
func score(passed, of int) int {
	if of == 0 {
		return 0
	}
	return int(math.Floor(100 * float64(passed) / float64(of)))
}

func (w row) judge(z size, o *observations) line {
	l := line{ID: w.id, Claim: w.claim, Here: w.here, Passed: true}
	for _, c := range w.checks {
		if c.slow && z == quick {
			l.Left = append(l.Left, c.pkg+" "+c.test)
		}
	}
	for _, c := range w.of(z) {
		out := o.look(c)
		l.Checks = append(l.Checks, out)
		if out.Verdict != passed {
			l.red(out.Test + ": " + out.Why)
		}
	}
	if len(l.Checks) == 0 {
		l.red("the row has no check")
	}
	return l
}

func (l *line) red(why string) { l.Passed, l.Why = false, append(l.Why, why) }

// goesRed adds the row's planted defects as a check of its own: a row that cannot go red is no row.
func (l *line) goesRed(w row, all []removal, broken string) {
	out := outcome{Package: mutantsPackage, Test: removalTest, Shows: "without its guards the row goes red", Verdict: passed}
	for _, r := range all {
		if r.Row != w.id {
			continue
		}
		if why := r.notices(w.checks); why != "" {
			r.Why, r.Noticed = why, false
			out.Verdict, out.Why = failed, fmt.Sprintf("%s: %s", r.Guard, why)
		}
		l.Removals = append(l.Removals, r)
	}
	switch {
	case broken != "":
		out.Verdict, out.Why = notRun, broken
	case len(l.Removals) == 0:
		out.Verdict, out.Why = notRun, "no defect is planted for it: a row that cannot go red is no row"
	}
	if out.Verdict != passed {
		l.red(out.Why)
	}
	noticed := 0
	for _, r := range l.Removals {
		if r.Noticed {
			noticed++
		}
	}
	out.Figures = []string{fmt.Sprintf("%d of %s noticed", noticed, plural(len(l.Removals), "removal"))}
	l.Checks = append(l.Checks, out)
}

// Good is how many rows passed.
func (s scored) Good() int { return s.Rows - s.Red }

func (s *scored) add(l *line) {
	s.Rows++
	if !l.Passed {
		s.Red++
	}
	for _, c := range l.Checks {
		s.Of++
		if c.Verdict == passed {
			s.Passed++
		}
	}
}

// surroundings are where and how an audit was made.
func surroundings(ctx context.Context, a *audit, began time.Time) environment {
	git := func(arguments ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", a.root}, arguments...)...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	return environment{
		Size: a.size, Began: began.UTC().Truncate(time.Second), Seconds: time.Since(began).Seconds(),
		Commit: git("rev-parse", "--short=12", "HEAD"), Changed: git("status", "--porcelain") != "",
		Go: runtime.Version(), Machine: fmt.Sprintf("%s/%s, %s", runtime.GOOS, runtime.GOARCH, plural(runtime.NumCPU(), "processor")), Race: a.race,
	}
}
