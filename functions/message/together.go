package main

import (
	"errors"

	"carrel/shared/parallel"
)

// together makes calls that do not depend on each other at the same time, and returns when all have ended. The error
// joins those of the calls, in their order.
func together(calls ...func() error) error {
	errs := make([]error, len(calls))
	functions := make([]func(), len(calls))
	for i, call := range calls {
		functions[i] = func() { errs[i] = call() }
	}
	parallel.Do(functions...)
	return errors.Join(errs...)
}
