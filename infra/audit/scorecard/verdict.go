package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// verdict is what became of a check.
type verdict string

const (
	passed verdict = "passed"
	failed verdict = "failed"  // it ran and says no, or says nothing
	notRun verdict = "not run" // there is no such test, it was skipped, or it broke off
)

// outcome is what became of one check.
type outcome struct {
	Package string   `json:"package"`
	Test    string   `json:"test"`
	Shows   string   `json:"shows"`
	Verdict verdict  `json:"verdict"`
	Why     string   `json:"why,omitempty"`
	Figures []string `json:"figures,omitempty"`
	Seconds float64  `json:"seconds"`
	Excerpt string   `json:"excerpt,omitempty"` // of what a check that did not pass said
}

// removal is a guard that was taken away, as TestGuardsAreMissed tells it.
type removal struct {
	Row     string `json:"row"`
	Guard   string `json:"guard"`
	File    string `json:"file"`
	Test    string `json:"test"` // package and name
	Noticed bool   `json:"noticed"`
	Said    string `json:"said"` // by the test, without the guard
	Why     string `json:"why,omitempty"`
}

// lock is what one of the locks stopped while the others were off.
type lock struct {
	Lock    string `json:"lock"`
	Tried   string `json:"tried"`
	Off     string `json:"off"`
	Stopped string `json:"stopped"`
}

// look says what became of a check.
func (o *observations) look(c check) outcome {
	name := c.pkg + " " + c.test
	out := outcome{Package: c.pkg, Test: c.test, Shows: c.shows, Verdict: passed}
	seen := o.under(name)
	subtests := 0
	for _, s := range seen {
		out.Figures = append(out.Figures, s.figures...)
		if s.name == name {
			out.Seconds = s.seconds
		} else if s.status == "pass" {
			subtests++
		}
	}
	if out.Verdict, out.Why = o.verdict(name, seen); out.Verdict == passed {
		out.Verdict, out.Why = c.enough(out.Figures, subtests)
	}
	if len(out.Figures) == 0 && subtests > 0 {
		out.Figures = append(out.Figures, plural(subtests, "case"))
	}
	if out.Verdict != passed {
		out.Excerpt = excerpt(seen)
	}
	return out
}

// enough wants a check to say what it did, and to have done as much as its row says.
func (c check) enough(figures []string, cases int) (verdict, string) {
	switch {
	case len(figures)+cases == 0:
		return failed, "it says nothing of what it did: no figure, no case"
	case c.amount != "" && !slices.ContainsFunc(figures, func(f string) bool { return strings.HasPrefix(f, c.amount) }):
		return failed, fmt.Sprintf("its row asks for %s, and it did %s", c.amount, strings.Join(figures, "; "))
	}
	return passed, ""
}

// verdict is of a test and its subtests.
func (o *observations) verdict(name string, seen []*observation) (verdict, string) {
	pkg, test, _ := strings.Cut(name, " ")
	if len(seen) == 0 || seen[0].name != name {
		top, _, _ := strings.Cut(test, "/")
		above := o.byName[pkg+" "+top]
		switch why := o.broken[pkg]; {
		case above != nil && above.status != "": // it ended without such a subtest
		case why != "" && len(o.names[pkg]) == 0, why != "" && slices.Contains(o.names[pkg], top):
			return notRun, why
		case len(o.names[pkg]) == 0:
			return notRun, "its row was not selected"
		}
		return notRun, "there is no test " + test + " in " + pkg
	}
	for _, s := range seen {
		_, of, _ := strings.Cut(s.name, " ")
		switch s.status {
		case "skip":
			return notRun, "skipped: " + of + ": " + strings.TrimSpace(strings.Join(s.said, " "))
		case "":
			return notRun, of + " broke off: " + o.broken[pkg]
		}
	}
	if seen[0].status != "pass" {
		return failed, firstComplaint(seen)
	}
	return passed, ""
}

// removals are what TestGuardsAreMissed told, and why it may have told less than there is.
func (o *observations) removals() (all []removal, broken string) {
	test := mutantsPackage + " " + removalTest
	for _, s := range o.under(test) {
		if s.status == "fail" && s.name != test && len(s.told["removal"]) == 0 {
			broken = "a removal failed and told nothing: " + firstComplaint([]*observation{s})
		}
		for _, text := range s.told["removal"] {
			var r removal
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				broken = "what a removal says cannot be read: " + err.Error()
				continue
			}
			all = append(all, r)
		}
	}
	if seen := o.byName[test]; seen == nil || seen.status == "" {
		broken = "the removals were not run to their end: " + o.broken[mutantsPackage]
	}
	return all, broken
}

// locks are what TestEachLockAlone told: "lock | what was tried | what was off | what stopped it".
func (o *observations) locks() (all []lock) {
	for _, s := range o.all {
		for _, text := range s.told["lock"] {
			parts := strings.Split(text, " | ")
			for len(parts) < 4 {
				parts = append(parts, "")
			}
			all = append(all, lock{parts[0], parts[1], parts[2], strings.Join(parts[3:], " | ")})
		}
	}
	return all
}

// removalTest takes the guards away.
const removalTest = "TestGuardsAreMissed"

// notices says why a removal proves nothing for its row, or "".
func (r removal) notices(checks []check) string {
	if !slices.ContainsFunc(checks, func(c check) bool {
		name := c.pkg + " " + c.test
		return name == r.Test || strings.HasPrefix(name, r.Test+"/") || strings.HasPrefix(r.Test, name+"/")
	}) {
		return fmt.Sprintf("%s is no check of this row", r.Test)
	}
	if !r.Noticed {
		return "nobody noticed: " + strings.TrimSpace(r.Why+" "+r.Said)
	}
	return ""
}
