package arch_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// ratchet is a rule that the repository does not keep everywhere yet. baseline.txt holds the number of violations in
// each folder; a number may fall and never rises.
type ratchet struct {
	name  string // the first word of its lines in baseline.txt
	rule  func(tree) findings
	limit func(words int) int // a folder with this many words of prose needs no baseline up to this number
	fix   string              // how to correct a violation
}

// findings are the places of violations and the number of words of prose, by folder.
type findings struct {
	places map[string][]string
	words  map[string]int
}

func ratchets() []ratchet {
	return []ratchet{
		{"prose", proseRule, func(words int) int { return words * 15 / 10_000 },
			"Rewrite one of these sentences: subject, verb, object, with the field's noun"},
		{"width", widthRule, func(int) int { return 0 }, "Wrap one of these lines"},
	}
}

const (
	baselineFile  = "shared/arch/baseline.txt"
	lowerBaseline = "BASELINE=lower go test -count=1 -run TestRatchets ./shared/arch"
)

// readBaseline returns the numbers of baseline.txt by "ratchet folder".
func readBaseline(tr tree) (map[string]int, error) {
	text, err := fs.ReadFile(tr.fsys, baselineFile)
	if err != nil {
		return nil, err
	}
	base := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var name, folder string
		var n int
		if _, err := fmt.Sscan(line, &name, &folder, &n); err != nil {
			return nil, fmt.Errorf("read the line %q: %w", line, err)
		}
		base[name+" "+folder] = n
	}
	return base, nil
}

// compare returns the folders with more violations than the baseline allows, and those with fewer.
func (r ratchet) compare(f findings, base map[string]int) (more, fewer []string) {
	for _, folder := range slices.Sorted(maps.Keys(f.places)) {
		n, most := len(f.places[folder]), max(base[r.name+" "+folder], r.limit(f.words[folder]))
		if n > most {
			more = append(more, fmt.Sprintf("%s: %s has %d violations, and at most %d are allowed. %s. "+
				"They begin with:\n\t%s", r.name, folder, n, most, r.fix,
				strings.Join(f.places[folder][:min(n, 20)], "\n\t")))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(base)) {
		if folder, own := strings.CutPrefix(key, r.name+" "); own && len(f.places[folder]) < base[key] {
			fewer = append(fewer, fmt.Sprintf("%s: %s has %d violations, and %s allows %d. Lower the number: %s",
				r.name, folder, len(f.places[folder]), baselineFile, base[key], lowerBaseline))
		}
	}
	return more, fewer
}

// lower returns the lines of a new baseline. No number rises; without an old baseline each is the number of now.
func (r ratchet) lower(f findings, base map[string]int) (lines []string) {
	for folder, places := range f.places {
		n := len(places)
		if base != nil {
			n = min(n, base[r.name+" "+folder])
		}
		if n > r.limit(f.words[folder]) {
			lines = append(lines, fmt.Sprintf("%s %s %d\n", r.name, folder, n))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestRatchets compares the repository with baseline.txt. BASELINE=lower rewrites the file instead.
func TestRatchets(t *testing.T) {
	tr := repository(t)
	base, err := readBaseline(tr)
	lower := os.Getenv("BASELINE") == "lower"
	if err != nil && !lower {
		t.Skipf("no baseline (%v): write it: %s", err, lowerBaseline)
	}
	var lines []string
	for _, r := range ratchets() {
		f := r.rule(tr)
		lines = append(lines, r.lower(f, base)...)
		more, fewer := r.compare(f, base)
		for _, m := range more {
			if base != nil {
				t.Error(m)
			}
		}
		for _, m := range fewer {
			if t.Log(m); os.Getenv("CARREL_REQUIRE_ALL") != "" && !lower {
				t.Fail()
			}
		}
	}
	if lower {
		if err := os.WriteFile("../../"+baselineFile, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRatchet_Compare(t *testing.T) {
	r := ratchet{name: "r", limit: func(words int) int { return words / 100 }, fix: "Fix it"}
	f := findings{map[string][]string{"a": {"a:1", "a:2"}, "b": {"b:1"}, "c": {"c:1"}}, map[string]int{"b": 100}}
	for base, want := range map[string]string{
		"":            "a has 2 violations, and at most 0|c has 1 violations, and at most 0",
		"a 1 c 1":     "a has 2 violations, and at most 1",
		"a 2 c 1":     "",
		"a 3 c 1 d 1": "a allows 3|d allows 1",
	} {
		numbers := map[string]int{}
		var folder string
		for i, field := range strings.Fields(base) {
			if i%2 == 0 {
				folder = field
			} else {
				numbers["r "+folder] = int(field[0] - '0')
			}
		}
		more, fewer := r.compare(f, numbers)
		got := append(more, fewer...)
		if want == "" && len(got) > 0 || want != "" && len(got) != strings.Count(want, "|")+1 {
			t.Errorf("baseline %q: %q", base, got)
		}
	}
	if got := strings.Join(r.lower(f, map[string]int{"r a": 1, "r c": 5}), ""); got != "r a 1\nr c 1\n" {
		t.Errorf("lowered: %q", got)
	}
}
