package parallel_test

import (
	"testing"

	"carrel/shared/parallel"
)

// Each function waits for the other, so Do returns only if they run at the same time, and only once both have returned.
func TestDo_AtTheSameTime(t *testing.T) {
	a, b := make(chan int), make(chan int)
	first, second := 0, 0
	parallel.Do(
		func() { a <- 1; first = <-b },
		func() { second = <-a; b <- 2 },
	)
	if first != 2 || second != 1 {
		t.Errorf("the functions received %d and %d", first, second)
	}
}
