package mutants

import (
	"fmt"
	"slices"
)

// fault is a guard against one of the faults of docs/faults.md, with its number there.
type fault struct {
	number    int
	clause    string // what the guard does
	file      string // from the module's root
	from, to  string
	pkg, test string // the test that must notice
}

// faultGuards are the guards that the tests TestFault01… must notice.
func faultGuards() []guard {
	var all []guard
	for _, f := range slices.Concat(firstFaults(), laterFaults()) {
		all = append(all, guard{
			name: fmt.Sprintf("fault %02d: %s", f.number, f.clause), file: f.file, from: f.from, to: f.to,
			test: f.pkg + " " + f.test,
		})
	}
	return all
}
