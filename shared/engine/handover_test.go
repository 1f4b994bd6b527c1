package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
)

// until returns answers that take some time before their stop.
func until(d time.Duration, deltas ...engine.Delta) func(context.Context, func(engine.Delta, error) bool) {
	return func(ctx context.Context, yield func(engine.Delta, error) bool) {
		last := len(deltas) - 1
		for _, delta := range deltas[:last] {
			if !yield(delta, nil) {
				return
			}
		}
		for ; d > 0; d -= 5 * time.Second { // alive
			select {
			case <-time.After(min(d, 5*time.Second)):
				if !yield(engine.Delta{}, nil) {
					return
				}
			case <-ctx.Done():
				yield(engine.Delta{}, ctx.Err())
				return
			}
		}
		yield(deltas[last], nil)
	}
}

// A run is handed over before a model call or a tool call that does not fit into the worker's time, and in the middle
// of an answer that takes too long. Nothing is left open, no result is invented, and no call is in progress.
func TestRun_HandOver(t *testing.T) {
	call := []engine.Delta{start("echo"), args(`{"say":"x"}`), stop(engine.StopTools)}
	for name, c := range map[string]struct {
		first   time.Duration // the time of the first answer
		deltas  []engine.Delta
		pending bool // the calls are left to the next worker
		again   bool // the answer is requested again
		asked   int
	}{
		"before the tools":           {first: 90 * time.Second, deltas: call, pending: true, asked: 1},
		"before the next model call": {first: 55 * time.Second, deltas: call, asked: 1},
		"after the next model call":  {first: time.Second, deltas: call, asked: 2, pending: true},
		"in the middle of an answer": {first: 2 * time.Minute, deltas: []engine.Delta{text("half"), stop("end")},
			again: true, asked: 1},
		"before the answer has begun": {first: 2 * time.Minute, deltas: []engine.Delta{{}, stop("end")}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &model{}
				m.answers = append(m.answers, until(c.first, c.deltas...), until(70*time.Second, call...))
				f := setUp(t, m, chat.Limits{RunTime: 14 * time.Minute})
				f.config.HandOver = engine.HandOver{At: time.Now().Add(100 * time.Second), Start: 50 * time.Second,
					Close: 5 * time.Second}
				if _, err := engine.Run(f.ctx, f.config); !errors.Is(err, engine.ErrHandOver) {
					t.Fatalf("ended with %v", err)
				}
				if len(m.asked) != c.asked {
					t.Errorf("%d model calls, want %d", len(m.asked), c.asked)
				}
				closing, open := agui.CloseAttempt(f.sink.events)
				if len(closing) > 0 || (len(open) > 0) != c.pending {
					t.Errorf("left open: %v, the calls %v\n%s", closing, open, f.types())
				}
				if again := strings.Contains(f.types(), "half"); again != c.again {
					t.Errorf("the log is\n%s", f.types())
				}
				for _, m := range f.messages() {
					if marks := agui.MarksOf(m.Metadata); m.Content == "half" && !(marks.Again && marks.Incomplete) {
						t.Errorf("the half answer has the marks %+v", marks)
					}
				}
				if err := f.uc.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
