package main

import (
	"fmt"
	"slices"

	"carrel/shared/wire"
)

// afterwards stands in place of a type for leaks that belong to no single attempt.
const afterwards wire.Type = "then"

// answers stands in place of a type for a run that answers the victim's question. It is not tried if no tool asks.
const answers wire.Type = "resume"

// report counts attempts and leaks by type.
type report map[wire.Type]*tally

type tally struct {
	tries int
	leaks []string
}

func (r report) of(typ wire.Type) *tally {
	if r[typ] == nil {
		r[typ] = &tally{}
	}
	return r[typ]
}

func (r report) tried(typ wire.Type) { r.of(typ).tries++ }

// leak records a leak once.
func (r report) leak(typ wire.Type, what string) {
	if t := r.of(typ); !slices.Contains(t.leaks, what) {
		t.leaks = append(t.leaks, what)
	}
}

// leaks returns all leaks.
func (r report) leaks() (all []string) {
	for _, t := range r {
		all = append(all, t.leaks...)
	}
	return all
}

// lines returns the report for a person: one line for each type, and one for each leak.
func (r report) lines() (all []string) {
	for _, typ := range append(order(), answers, afterwards) {
		t := r.of(typ)
		switch {
		case len(t.leaks) > 0:
			for _, leak := range t.leaks {
				all = append(all, fmt.Sprintf("%-8s LEAK: %s", typ, leak))
			}
		case t.tries == 0:
			all = append(all, fmt.Sprintf("%-8s was not tried", typ))
		default:
			all = append(all, fmt.Sprintf("%-8s no leak (attempts: %d)", typ, t.tries))
		}
	}
	return all
}
