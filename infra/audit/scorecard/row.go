package main

import "slices"

// size is how much an audit does: it is told to the tests as AUDIT.
type size string

const (
	quick  size = "quick"  // 10 users, no removals
	normal size = "normal" // 50 users
	full   size = "full"   // 50 users, and a million events
)

// row is a line of the seed's audit.
type row struct {
	id     string // A1 to E7; its letter is the component
	claim  string // of the seed
	here   string // what is asked of Carrel, with its number
	checks []check
}

// check is a Go test that shows a part of what a row asks.
type check struct {
	pkg   string // from the module's root
	test  string // its name; behind a slash that of a subtest
	shows string
	scale scale
	slow  bool // it is not among the checks of a quick audit
	// amount is how much of it the row asks for, as "50 users": a figure must begin so, in a quick audit any will do.
	amount string
}

// scale is an environment variable that tells a test how much to do.
type scale struct {
	variable            string
	quick, normal, full string
}

// env is the setting for a size, or "".
func (s scale) env(z size) string {
	switch {
	case s.variable == "":
		return ""
	case z == quick:
		return s.variable + "=" + s.quick
	case z == normal:
		return s.variable + "=" + s.normal
	}
	return s.variable + "=" + s.full
}

// of are the row's checks in an audit of this size.
func (r row) of(z size) (all []check) {
	for _, c := range r.checks {
		if c.slow && z == quick {
			continue
		}
		if z == quick {
			c.amount = ""
		}
		all = append(all, c)
	}
	return all
}

// component is a part of the seed's scorecard.
type component struct {
	letter, name string
	seed         int // the score that the seed gave itself; 0: none
}

// seedOverall is the seed's score of the whole.
const seedOverall = 83

func components() []component {
	return []component{
		{"A", "Factory Patterns", 95}, {"B", "Execution Engine Isolation", 89}, {"C", "WebSocket Isolation", 78},
		{"D", "Tool Dispatcher Scoping", 92}, {"E", "Recommendations", 0},
	}
}

// rows are all of them, in order.
func rows() []row {
	return slices.Concat(factories(), engines(), websockets(), tools(), recommendations())
}

// Packages that many checks are in.
const (
	mutantsPackage = "./infra/mutants"
	auditPackage   = "./infra/audit"
	userContext    = "./shared/usercontext"
	emitPackage    = "./shared/emit"
	enginePackage  = "./shared/engine"
	storePackage   = "./shared/store"
	toolPackage    = "./shared/tool"
	turnPackage    = "./functions/turn"
	messagePackage = "./functions/message"
)
