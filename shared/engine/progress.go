package engine

import (
	"context"

	"carrel/shared/agui"
)

// await returns the result of a call. Until it is there, it emits the progress of all calls.
func (r *run) await(result <-chan called, reports <-chan agui.Event) (called, error) {
	for {
		select {
		case got := <-result:
			return got, nil
		case e := <-reports:
			if err := r.emit(e); err != nil {
				return called{}, err
			}
		}
	}
}

// reporter returns a function that hands a call's progress to the run. It gives up when ctx ends, because the run waits
// for the calls then and emits nothing more.
func reporter(ctx context.Context, reports chan<- agui.Event) func(agui.Event) {
	return func(e agui.Event) {
		select {
		case reports <- e:
		case <-ctx.Done():
		}
	}
}
