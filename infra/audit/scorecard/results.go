package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// result is what a run reported of one test.
type result struct {
	name    string // package and test: "./shared/runqueue TestAdmit"
	status  string // pass, fail or skip; "": it began and did not end
	seconds float64
	lines   []string            // its output, without the lines of the test runner
	attrs   map[string][]string // set by t.Attr
}

// results holds the tests of all processes, in the order in which they began.
type results struct {
	mu     sync.Mutex
	all    []*result
	byName map[string]*result
	broken map[string]string // why tests of a package may not have begun or ended
}

func noResults() *results { return &results{byName: map[string]*result{}, broken: map[string]string{}} }

// event is a line of go test -json.
type event struct {
	Action, Test, Output, Key, Value string
	Elapsed                          float64
}

// add reads the output of a process that ended with err.
func (r *results) add(p process, out []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	runner := regexp.MustCompile(`^\s*(=== |--- (PASS|SKIP|FAIL))`)
	var text, loose strings.Builder // all output, and the output of no test
	for line := range strings.Lines(string(out)) {
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			e = event{Output: line}
		}
		text.WriteString(e.Output)
		if e.Test == "" {
			loose.WriteString(e.Output)
			continue
		}
		test := r.of(p.pkg + " " + e.Test)
		switch {
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			test.status, test.seconds = e.Action, e.Elapsed
		case e.Action == "attr":
			test.attrs[e.Key] = append(test.attrs[e.Key], e.Value)
		case e.Action == "output" && !runner.MatchString(e.Output):
			test.lines = append(test.lines, strings.TrimRight(e.Output, "\n"))
		}
	}
	if err != nil {
		r.end(p, err, text.String(), loose.String())
	}
}

// end explains a process that failed. If no test of it failed, something around them did, for example a stack that did
// not stop: then none of them has passed.
func (r *results) end(p process, err error, text, loose string) {
	var own []*result
	for _, test := range p.tests {
		own = append(own, r.under(p.pkg+" "+strings.TrimPrefix(p.parent+"/"+test, "/"))...)
	}
	crash := regexp.MustCompile(`(?m)^.{0,2}((?:panic|fatal error|signal): .*)$`).FindStringSubmatch(text)
	status := func(want string) bool {
		return slices.ContainsFunc(own, func(t *result) bool { return t.status == want })
	}
	switch {
	case crash != nil:
		r.broken[p.pkg] = fmt.Sprintf("its tests ended with %v: %s", err, crash[1])
	case status("") || !status("fail"):
		r.broken[p.pkg] = fmt.Sprintf("its tests ended with %v: %s", err, tail(loose))
	}
	if !status("fail") && !status("") {
		for _, test := range own {
			test.status = ""
		}
	}
}

func (r *results) of(name string) *result {
	if r.byName[name] == nil {
		r.byName[name] = &result{name: name, attrs: map[string][]string{}}
		r.all = append(r.all, r.byName[name])
	}
	return r.byName[name]
}

// under returns a test and its subtests: none if the test did not begin.
func (r *results) under(name string) (found []*result) {
	for _, t := range r.all {
		if t.name == name || strings.HasPrefix(t.name, name+"/") {
			found = append(found, t)
		}
	}
	return found
}

// verdict returns what became of a test and its subtests, and why.
func (r *results) verdict(c check) (verdict, string) {
	name := c.pkg + " " + c.test
	seen := r.under(name)
	if len(seen) == 0 || seen[0].name != name {
		if why := r.broken[c.pkg]; why != "" {
			return notRun, why
		}
		return notRun, c.pkg + " has no test " + c.test
	}
	for _, t := range seen {
		switch _, test, _ := strings.Cut(t.name, " "); t.status {
		case "skip":
			return notRun, "skipped: " + test + ": " + strings.TrimSpace(strings.Join(t.lines, " "))
		case "":
			return notRun, test + " broke off: " + r.broken[c.pkg]
		}
	}
	if seen[0].status != "pass" {
		return failed, firstComplaint(seen)
	}
	return passed, ""
}

// firstComplaint returns the first line that a failed test wrote with its place, without the place. Seeds come earlier.
func firstComplaint(seen []*result) string {
	place := regexp.MustCompile(`^\s*\w+\.go:\d+: `)
	for _, t := range seen {
		for _, l := range t.lines {
			at := place.FindStringIndex(l)
			if t.status != "pass" && at != nil && !strings.Contains(strings.ToLower(l), "seed") {
				return l[at[1]:]
			}
		}
	}
	return "it failed"
}

// excerpt returns the output of the tests that did not pass: its last lines.
func excerpt(seen []*result) string {
	var lines []string
	for _, t := range seen {
		if t.status != "pass" {
			lines = append(lines, t.lines...)
		}
	}
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// tail returns the last lines of a text as one line.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], " ⏎ ")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
