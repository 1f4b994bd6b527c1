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
		t.Errorf("it is %s, want %s", got, want)
	}
}

func TestALife(t *testing.T) {
	for want, failed := range map[usercontext.Phase]error{usercontext.Completed: nil, usercontext.Failed: errors.New("model")} {
		uc := open(t, config(t))
		phaseIs(t, uc, usercontext.Active)
		ended, err := uc.Execute()
		must(t, err)
		phaseIs(t, uc, usercontext.Executing)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a second run at once: %v", err)
		}
		ended(failed)
		phaseIs(t, uc, want)
		ended(errors.New("again"))
		phaseIs(t, uc, want)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a second run afterwards: %v", err)
		}
		must(t, uc.OnClose("look", func(context.Context) error { phaseIs(t, uc, want); return nil }))
		must(t, uc.Close(context.Background()))
		phaseIs(t, uc, usercontext.Cleaned)
		if _, err := uc.Execute(); !errors.Is(err, usercontext.ErrPhase) {
			t.Errorf("a run after Close: %v", err)
		}
	}
}

func TestWorkThatIsCutOffHasFailed(t *testing.T) {
	uc := open(t, config(t))
	ended, err := uc.Execute()
	must(t, err)
	must(t, uc.OnClose("look", func(context.Context) error {
		phaseIs(t, uc, usercontext.Failed)
		ended(nil) // too late to have completed
		phaseIs(t, uc, usercontext.Failed)
		return nil
	}))
	must(t, uc.Close(context.Background()))
	phaseIs(t, uc, usercontext.Cleaned)
}

// What is left keeps a context from being clean until it is gone, whatever goes last.
func TestResidueIsNotClean(t *testing.T) {
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
			var left *usercontext.ResidueError
			if !errors.As(err, &left) || left.Count() != 2 || !slices.Equal(left.Goroutines, []string{"stubborn"}) || len(left.Callbacks) != 1 {
				t.Fatalf("left is %v", err)
			}
			order := []chan struct{}{stuck, hung}
			if last == "goroutine" {
				slices.Reverse(order)
			}
			for _, gone := range order {
				phaseIs(t, uc, usercontext.Failed)
				if n := c.Gauge.Counts(); n.Active != 1 || n.Cleaned != 0 {
					t.Errorf("counted as clean before the %s was gone: %+v", last, n)
				}
				close(gone)
				synctest.Wait()
			}
			phaseIs(t, uc, usercontext.Cleaned)
			if n := c.Gauge.Counts(); n != (usercontext.Counts{Made: 1, Cleaned: 1, Peak: 1}) {
				t.Errorf("in the end %+v", n)
			}
			t.Attr("figure", fmt.Sprintf("%d pieces of residue, then %+v", left.Count(), c.Gauge.Counts()))
		})
	}
}

func TestAGaugeTellsWhatIsNew(t *testing.T) {
	t.Attr("row", "A5: a gauge counts contexts made, active and cleaned, and their peak")
	c := config(t)
	c.Gauge = &usercontext.Gauge{}
	one, two := open(t, c), open(t, c)
	must(t, one.Close(context.Background()))
	if n := c.Gauge.Take(); n != (usercontext.Counts{Made: 2, Active: 1, Cleaned: 1, Peak: 2}) {
		t.Errorf("took %+v", n)
	}
	must(t, two.Close(context.Background()))
	if n := c.Gauge.Take(); n != (usercontext.Counts{Cleaned: 1, Peak: 2}) {
		t.Errorf("then %+v", n)
	}
	if n := (*usercontext.Gauge)(nil).Take(); n != (usercontext.Counts{}) {
		t.Errorf("nobody's gauge: %+v", n)
	}
	t.Attr("figure", fmt.Sprintf("%+v", c.Gauge.Counts()))
}

// randomCall makes the call with this number on a context; look is called while the context executes.
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

// Whatever is called, in whatever order and at once, a life has only the moves that it may have.
func TestNoIllegalMove(t *testing.T) {
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
	later := map[usercontext.Phase]int{"": -1, usercontext.Initializing: 0, usercontext.Active: 1, usercontext.Executing: 2,
		usercontext.Completed: 3, usercontext.Failed: 3, usercontext.Cleaned: 4}
	seen, lives := map[usercontext.Phase]bool{}, 300
	for range lives {
		uc := open(t, config(t))
		var mu sync.Mutex
		var all sync.WaitGroup
		was := usercontext.Phase("")
		look := func() {
			mu.Lock()
			defer mu.Unlock()
			is := uc.Phase()
			if later[is] < later[was] || later[is] == 3 && later[was] == 3 && is != was {
				t.Errorf("from %s to %s", was, is)
			}
			was, seen[is] = is, true
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
	for _, p := range []usercontext.Phase{usercontext.Active, usercontext.Executing, usercontext.Completed, usercontext.Failed, usercontext.Cleaned} {
		if !seen[p] {
			t.Errorf("no life was seen %s: the schedules are too tame", p)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d lives of random calls, seen in %d phases: only legal moves", lives, len(seen)))
}
