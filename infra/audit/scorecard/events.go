package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// observation is what was seen of one test.
type observation struct {
	name    string // package and test, as "./shared/desk TestAdmit"
	status  string // pass, fail or skip; "": it began and did not end
	seconds float64
	figures []string
	said    []string            // its lines, without the test runner's own
	told    map[string][]string // its other attributes
}

// observations are in the order in which the tests began.
type observations struct {
	all    []*observation
	byName map[string]*observation
	names  map[string][]string // the tests that there are, by package
	broken map[string]string   // why tests of a package may not have begun or ended
}

func nothingSeen() *observations {
	return &observations{byName: map[string]*observation{}, names: map[string][]string{}, broken: map[string]string{}}
}

// event is a line of go tool test2json.
type event struct {
	Action, Test, Output, Key, Value string
	Elapsed                          float64
}

// read takes in the events of a process and returns what no test said.
func (o *observations) read(pkg string, from io.Reader) (loose string, err error) {
	frame := regexp.MustCompile(`^\s*(=== |--- (PASS|SKIP|FAIL))`)
	var rest strings.Builder
	for d := json.NewDecoder(from); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return rest.String(), nil
		} else if err != nil {
			return rest.String(), fmt.Errorf("what the tests of %s say cannot be read: %w", pkg, err)
		}
		if e.Test == "" {
			rest.WriteString(e.Output)
			continue
		}
		seen := o.of(pkg + " " + e.Test)
		switch {
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			seen.status, seen.seconds = e.Action, e.Elapsed
		case e.Action == "attr" && e.Key == "figure":
			seen.figures = append(seen.figures, e.Value)
		case e.Action == "attr":
			seen.told[e.Key] = append(seen.told[e.Key], e.Value)
		case e.Action == "output" && !frame.MatchString(e.Output):
			seen.said = append(seen.said, strings.TrimRight(e.Output, "\n"))
		}
	}
}

func (o *observations) of(name string) *observation {
	if o.byName[name] == nil {
		o.byName[name] = &observation{name: name, told: map[string][]string{}}
		o.all = append(o.all, o.byName[name])
	}
	return o.byName[name]
}

// fell takes in that a process of tests ended badly. If none of them says so itself it was something around them, as a stack
// that could not be stopped: then none has passed.
func (o *observations) fell(b batch) {
	var all []*observation
	for _, t := range b.tests {
		all = append(all, o.under(b.pkg+" "+t)...)
	}
	if slices.ContainsFunc(all, func(s *observation) bool { return s.status == "fail" || s.status == "" }) {
		return
	}
	for _, s := range all {
		s.status = ""
	}
}

// under are a test and its subtests; none if it did not begin.
func (o *observations) under(name string) (found []*observation) {
	for _, s := range o.all {
		if s.name == name || strings.HasPrefix(s.name, name+"/") {
			found = append(found, s)
		}
	}
	return found
}
