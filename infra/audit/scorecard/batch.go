package main

import (
	"regexp"
	"slices"
	"strings"
)

// batch is what one process of a package's tests runs.
type batch struct {
	pkg   string
	tests []string
	env   string // a setting of its own, or ""
}

// batches puts together the checks of a package that may run in one process. A check that stands in two rows runs once.
func batches(rows []row, z size) (all []batch) {
	for _, r := range rows {
		for _, c := range r.of(z) {
			i := slices.IndexFunc(all, func(b batch) bool {
				together := !b.nested() && !strings.Contains(c.test, "/")
				return b.pkg == c.pkg && (together || b.tests[0] == c.test)
			})
			switch {
			case i < 0:
				all = append(all, batch{pkg: c.pkg, tests: []string{c.test}})
			case !slices.Contains(all[i].tests, c.test):
				all[i].tests = append(all[i].tests, c.test)
			}
		}
	}
	return all
}

// nested reports whether the batch is one subtest.
func (b batch) nested() bool { return strings.Contains(b.tests[0], "/") }

// pattern is what -test.run is told.
func (b batch) pattern() string {
	if !b.nested() {
		quoted := make([]string, len(b.tests))
		for i, t := range b.tests {
			quoted[i] = regexp.QuoteMeta(t)
		}
		return "^(" + strings.Join(quoted, "|") + ")$"
	}
	var parts []string
	for part := range strings.SplitSeq(b.tests[0], "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return strings.Join(parts, "/")
}

// heavy reports whether the batch starts the whole stack, and waits with it. The removals build most of their time: they
// are none.
func (b batch) heavy() bool {
	return b.pkg == auditPackage || strings.HasPrefix(b.pkg, auditPackage+"/") || b.pkg == mutantsPackage && b.tests[0] != removalTest || strings.HasPrefix(b.pkg, "./infra/soak") || strings.HasPrefix(b.pkg, "./infra/cli")
}
