package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// row is one line of the audit: a claim of the seed, and the checks of it in Carrel.
type row struct {
	id     string // A1 to E7; the letter names the component
	claim  string // the seed's
	here   string // what the row requires of Carrel, with its number
	count  int    // how many tests must declare the row, so that a lost declaration fails a test
	checks []check
}

// component is a part of the seed's scorecard.
type component struct {
	letter, name string
	seed         int // the score that the seed gave itself; 0: none
}

// seedOverall is the seed's overall score.
const seedOverall = 83

func components() []component {
	return []component{
		{"A", "Factory Patterns", 95}, {"B", "Execution Engine Isolation", 89}, {"C", "WebSocket Isolation", 78},
		{"D", "Tool Dispatcher Scoping", 92}, {"E", "Recommendations", 0},
	}
}

// rowsText holds the rows in order: a line "A1 3: claim" with the number of the row's checks, then what the row
// requires.
//
//go:embed rows.txt
var rowsText string

// rows returns all rows with the checks that the tests of the module in root declare.
func rows(root string) ([]row, error) {
	checks, err := declared(root)
	if err != nil {
		return nil, err
	}
	var all []row
	for line := range strings.Lines(rowsText) {
		var r row
		head, claim, found := strings.Cut(strings.TrimSpace(line), ": ")
		if n, _ := fmt.Sscanf(head, "%2s %d", &r.id, &r.count); n == 2 && found {
			r.claim, r.checks = claim, checks[r.id]
			all = append(all, r)
			delete(checks, r.id)
		} else if head != "" {
			last := &all[len(all)-1]
			last.here = strings.TrimSpace(last.here + " " + strings.TrimSpace(line))
		}
	}
	for id, of := range checks {
		return nil, fmt.Errorf("%s %s declares the row %q, which is not in infra/audit/scorecard/rows.txt",
			of[0].pkg, of[0].test, id)
	}
	return all, nil
}
