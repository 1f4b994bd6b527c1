package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// told is what a run of tests and removals says, as test2json does.
func told(t *testing.T, removals []removal, ended bool) *observations {
	t.Helper()
	o := nothingSeen()
	o.names[planted] = []string{"TestGood"}
	var b strings.Builder
	say := func(e event) {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, string(text))
	}
	for i, r := range removals {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		say(event{Action: "attr", Test: fmt.Sprintf("%s/%d", removalTest, i), Key: "removal", Value: string(text)})
	}
	say(event{Action: "run", Test: removalTest})
	if ended {
		say(event{Action: "pass", Test: removalTest})
	}
	if _, err := o.read(mutantsPackage, strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	good := o.of(planted + " TestGood")
	good.status, good.figures = "pass", []string{"0 of 3"}
	return o
}

// A row can go red, or it is none.
func TestRemovals(t *testing.T) {
	noticed := removal{Row: "C5", Guard: "the owner is asked", File: "shared/emit/post.go", Test: planted + " TestGood", Noticed: true, Said: "bob sees it"}
	missed, elsewhere, other := noticed, noticed, noticed
	missed.Noticed, elsewhere.Test, other.Row = false, planted+" TestOther", "A1"
	for name, c := range map[string]struct {
		removals []removal
		cut      bool
		why      string // "": the row passes
	}{
		"noticed":                           {removals: []removal{noticed}},
		"noticed, and another row's is not": {removals: []removal{noticed, func() removal { r := missed; r.Row = "A1"; return r }()}},
		"none":                              {why: "a row that cannot go red is no row"},
		"another row's":                     {removals: []removal{other}, why: "a row that cannot go red is no row"},
		"nobody noticed":                    {removals: []removal{noticed, missed}, why: "nobody noticed"},
		"noticed by no check of the row":    {removals: []removal{elsewhere}, why: "TestOther is no check of this row"},
		"the removals broke off":            {removals: []removal{noticed}, cut: true, why: "not run to their end"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := []row{{id: "C5", claim: "nothing foreign", checks: []check{good()}}}
			r := judge(rows, normal, told(t, c.removals, !c.cut))
			r.Environment.Size = normal
			if passed := c.why == ""; passed != r.Rows[0].Passed || passed != (r.Failed == 0) || passed != (r.Overall == 100) {
				t.Errorf("%+v", r.Rows[0])
			}
			page, err := r.html()
			if err != nil {
				t.Fatal(err)
			}
			has(t, page, c.why)
			if c.why == "" {
				has(t, page, "the owner is asked", "shared/emit/post.go", "bob sees it", "1 of 1 noticed")
			}
			if quick := judge(rows, "quick", told(t, nil, false)); !quick.Rows[0].Passed {
				t.Errorf("a quick audit takes no guards away: %+v", quick.Rows[0])
			}
		})
	}
}

// The audit runs each guard's test without the guard as a check of the guard's row: it must be one, and each row must have
// a guard. The audit itself would tell only after minutes.
func TestEachRowHasGuardsThatItsChecksNotice(t *testing.T) {
	const list = "TestGuardsAreThere"
	out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-json", "-run", "^"+list+"$", "carrel/infra/mutants").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := nothingSeen()
	if _, err := o.read(mutantsPackage, bytes.NewReader(out)); err != nil {
		t.Fatal(err)
	}
	guards, all := map[string]int{}, allRows(t)
	for _, text := range o.of(mutantsPackage + " " + list).told["removal"] {
		var r removal
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		guards[r.Row]++
		i := slices.IndexFunc(all, func(row row) bool { return row.id == r.Row })
		if i < 0 {
			t.Errorf("%s: there is no row %s", r.Guard, r.Row)
		} else if why := r.notices(all[i].of(normal)); why != "" {
			t.Errorf("row %s, guard %q: %s", r.Row, r.Guard, why)
		}
	}
	for _, row := range all {
		if guards[row.id] == 0 {
			t.Errorf("row %s has no guard: a row that cannot go red is no row", row.id)
		}
	}
}

// A removal that fails without a word of what it took away is none that went well.
func TestARemovalThatTellsNothing(t *testing.T) {
	o := told(t, []removal{{Row: "C5", Guard: "g", Test: planted + " TestGood", Noticed: true}}, true)
	o.of(mutantsPackage + " " + removalTest + "/spare").status = "fail"
	if r := judge([]row{{id: "C5", checks: []check{good()}}}, normal, o); r.Failed != 1 || !strings.Contains(r.Rows[0].Why[0], "told nothing") {
		t.Errorf("%+v", r.Rows[0])
	}
}

// One that nobody noticed turns its own row red, and no other, although all removals are subtests of one test.
func TestARemovalThatIsMissedIsItsRowsAlone(t *testing.T) {
	noticed := removal{Row: "C5", Guard: "g", Test: planted + " TestGood", Noticed: true}
	missed := removal{Row: "A1", Guard: "h", Test: planted + " TestGood"}
	o := told(t, []removal{noticed, missed}, true)
	for i, status := range []string{"pass", "fail"} {
		o.of(fmt.Sprintf("%s %s/%d", mutantsPackage, removalTest, i)).status = status
	}
	o.of(mutantsPackage + " " + removalTest).status = "fail"
	r := judge([]row{{id: "A1", checks: []check{good()}}, {id: "C5", checks: []check{good()}}}, normal, o)
	if r.Rows[0].Passed || !r.Rows[1].Passed {
		t.Errorf("A1: %v, C5: %v", r.Rows[0].Why, r.Rows[1].Why)
	}
}

func TestLocksAreShown(t *testing.T) {
	o := told(t, nil, true)
	o.of(planted + " TestGood").told["lock"] = []string{"3 last hop | a forged mapping | 1, 2, 4, 5 | nothing was posted"}
	r := judge([]row{{id: "C5", checks: []check{good()}}}, normal, o)
	page, err := r.html()
	if err != nil {
		t.Fatal(err)
	}
	has(t, page, "Each lock alone", "3 last hop", "a forged mapping", "1, 2, 4, 5", "nothing was posted")
}

// The table names each row once, in order, and asks nothing twice of one row.
func TestTheTable(t *testing.T) {
	want := map[string]int{"A": 7, "B": 6, "C": 5, "D": 4, "E": 7}
	n, all := 0, allRows(t)
	for _, c := range components() {
		for i := range want[c.letter] {
			if id := fmt.Sprintf("%s%d", c.letter, i+1); n >= len(all) || all[n].id != id {
				t.Fatalf("row %d is not %s", n, id)
			}
			n++
		}
	}
	if len(all) != n {
		t.Errorf("%d rows, want %d", len(all), n)
	}
	for _, r := range all {
		seen := map[string]bool{}
		for _, c := range r.checks {
			if seen[c.pkg+c.test] || c.shows == "" {
				t.Errorf("%s declares row %s twice, or without saying what it shows", c.test, r.id)
			}
			seen[c.pkg+c.test] = true
		}
		if r.claim == "" || r.here == "" || len(r.of(quick)) == 0 {
			t.Errorf("%s asks for nothing", r.id)
		}
	}
}

func TestScoresAreRoundedDown(t *testing.T) {
	for _, c := range []struct{ passed, of, want int }{{0, 0, 0}, {0, 3, 0}, {199, 200, 99}, {2, 3, 66}, {3, 3, 100}} {
		if got := score(c.passed, c.of); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.passed, c.of, got, c.want)
		}
	}
}
