package main

import (
	"fmt"
	"slices"

	"carrel/shared/wire"
)

// afterwards stands for a type where what came through is of no one try.
const afterwards wire.Type = "then"

// answers stands for a run that answers the other's question. There is none if no tool asks: then it is not tried.
const answers wire.Type = "resume"

// report is what came of the tries, by type.
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

// leak notes what came through, once.
func (r report) leak(typ wire.Type, what string) {
	if t := r.of(typ); !slices.Contains(t.leaks, what) {
		t.leaks = append(t.leaks, what)
	}
}

// leaks are all that came through.
func (r report) leaks() (all []string) {
	for _, t := range r {
		all = append(all, t.leaks...)
	}
	return all
}

// lines are for a person: one a type, and one for each thing that came through.
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
			all = append(all, fmt.Sprintf("%-8s nothing came through (tries: %d)", typ, t.tries))
		}
	}
	return all
}
