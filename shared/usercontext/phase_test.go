package usercontext_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"carrel/shared/usercontext"
)

func phaseIs(t *testing.T, uc *usercontext.Context, want usercontext.Phase) {
	t.Helper()
	if got := uc.Phase(); got != want {
		t.Errorf("the phase is %s, want %s", got, want)
	}
}

func TestPhase_WholeLife(t *testing.T) {
	for want, failed := range map[usercontext.Phase]error{usercontext.Completed: nil,
		usercontext.Failed: errors.New("model")} {
		uc := open(t, config(t))
		phaseIs(t, uc, usercontext.Active)
		ended, err := uc.Execute()
		must(t, err)
		phaseIs(t, uc, usercontext.Executing)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a second run during the first: %v", err)
		}
		ended(failed)
		phaseIs(t, uc, want)
		ended(errors.New("again"))
		phaseIs(t, uc, want)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a second run after the first: %v", err)
		}
		must(t, uc.OnClose("look", func(context.Context) error { phaseIs(t, uc, want); return nil }))
		must(t, uc.Close(context.Background()))
		phaseIs(t, uc, usercontext.Cleaned)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a run after Close: %v", err)
		}
	}
}

func TestPhase_ClosedWhileExecuting(t *testing.T) {
	uc := open(t, config(t))
	ended, err := uc.Execute()
	must(t, err)
	must(t, uc.OnClose("look", func(context.Context) error {
		phaseIs(t, uc, usercontext.Failed)
		ended(nil) // Close has already marked the work as failed
		phaseIs(t, uc, usercontext.Failed)
		return nil
	}))
	must(t, uc.Close(context.Background()))
	phaseIs(t, uc, usercontext.Cleaned)
}

// A context is not cleaned before its last residue has ended, whichever ends last.
func TestPhase_ResidueBeforeCleaned(t *testing.T) {
	t.Attr("row", "E1: a context with leftovers is not cleaned")
	for _, last := range []string{"goroutine", "clean-up"} {
		synctest.Test(t, func(t *testing.T) {
			c := config(t)
			c.Gauge = &usercontext.Gauge{}
			uc := open(t, c)
			stuck, hung := make(chan struct{}), make(chan struct{})
			must(t, uc.Go("stubborn", func(context.Context) { <-stuck }))
			must(t, uc.OnClose("hangs", func(context.Context) error { <-hung; return nil }))
			err := uc.Close(context.Background())
			var residue *usercontext.ResidueError
			if !errors.As(err, &residue) || residue.Count() != 2 ||
				!slices.Equal(residue.Goroutines, []string{"stubborn"}) || len(residue.Callbacks) != 1 {
				t.Fatalf("the residue is %v", err)
			}
			order := []chan struct{}{stuck, hung}
			if last == "goroutine" {
				slices.Reverse(order)
			}
			for _, remaining := range order {
				phaseIs(t, uc, usercontext.Failed)
				if n := c.Gauge.Counts(); n.Active != 1 || n.Cleaned != 0 {
					t.Errorf("counted as cleaned before the %s had ended: %+v", last, n)
				}
				close(remaining)
				synctest.Wait()
			}
			phaseIs(t, uc, usercontext.Cleaned)
			if n := c.Gauge.Counts(); n != (usercontext.Counts{Made: 1, Cleaned: 1, Peak: 1}) {
				t.Errorf("after the last residue: %+v", n)
			}
			t.Attr("figure", fmt.Sprintf("%d pieces of residue, then %+v", residue.Count(), c.Gauge.Counts()))
		})
	}
}

func TestGauge_Take(t *testing.T) {
	t.Attr("row", "A5: a gauge counts contexts made, active and cleaned, and their peak")
	c := config(t)
	c.Gauge = &usercontext.Gauge{}
	a, b := open(t, c), open(t, c)
	must(t, a.Close(context.Background()))
	if n := c.Gauge.Take(); n != (usercontext.Counts{Made: 2, Active: 1, Cleaned: 1, Peak: 2}) {
		t.Errorf("first Take: %+v", n)
	}
	must(t, b.Close(context.Background()))
	if n := c.Gauge.Take(); n != (usercontext.Counts{Cleaned: 1, Peak: 2}) {
		t.Errorf("second Take: %+v", n)
	}
	if n := (*usercontext.Gauge)(nil).Take(); n != (usercontext.Counts{}) {
		t.Errorf("nil gauge: %+v", n)
	}
	t.Attr("figure", fmt.Sprintf("%+v", c.Gauge.Counts()))
}

// randomCall makes the call with this number. It calls look while the context executes.
func randomCall(uc *usercontext.Context, number int, look func()) {
	switch number {
	case 0:
		uc.Close(context.Background())
	case 1, 2:
		if ended, err := uc.Execute(); err == nil {
			look()
			ended(map[int]error{1: nil, 2: errors.New("no")}[number])
		}
	case 3:
		uc.Cancel(errors.New("stop"))
	case 4:
		if child, err := uc.Child("c"); err == nil {
			child.Close(context.Background())
		}
	}
}

// Concurrent calls in any order never cause a change of phase that is not allowed.
func TestPhase_RandomCalls(t *testing.T) {
	t.Attr("row", "A4: any calls in any order make only legal moves between phases")
	seed := rand.Uint64()
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	rank := map[usercontext.Phase]int{"": -1, usercontext.Initializing: 0, usercontext.Active: 1,
		usercontext.Executing: 2,
		usercontext.Completed: 3, usercontext.Failed: 3, usercontext.Cleaned: 4}
	seen, contexts := map[usercontext.Phase]bool{}, 300
	for range contexts {
		uc := open(t, config(t))
		var mu sync.Mutex
		var all sync.WaitGroup
		before := usercontext.Phase("")
		look := func() {
			mu.Lock()
			defer mu.Unlock()
			now := uc.Phase()
			if rank[now] < rank[before] || rank[now] == 3 && rank[before] == 3 && now != before {
				t.Errorf("the phase changed from %s to %s", before, now)
			}
			before, seen[now] = now, true
		}
		for range 8 {
			do := r.IntN(5)
			all.Go(func() {
				look()
				randomCall(uc, do, look)
				look()
			})
		}
		all.Wait()
		must(t, uc.Close(context.Background()))
		look()
	}
	for _, p := range []usercontext.Phase{usercontext.Active, usercontext.Executing, usercontext.Completed,
		usercontext.Failed, usercontext.Cleaned} {
		if !seen[p] {
			t.Errorf("the phase %s before never observed: the schedules exercise too little", p)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d contexts under random calls, observed in %d phases: only allowed changes",
		contexts, len(seen)))
}
