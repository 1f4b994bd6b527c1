package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// racer is one process.
type racer struct {
	racers
	t      *testing.T
	stores map[string]*store.Store

	mu sync.Mutex
	raced
}

// race does the work of one process.
func race(t *testing.T, input racers) {
	limits := chat.DefaultLimits()
	limits.RunBurst, limits.RunsPerHour = 1<<20, 1<<20 // so that only the run queue limits admissions
	table := store.New(opener(input.URL).client(nil), store.Config{Name: input.Table, Limits: limits})
	r := &racer{racers: input, t: t, stores: map[string]*store.Store{}, raced: raced{Counts: map[string]int{}}}
	for _, user := range raceUsers() {
		s, err := table.For(chattest.User(t, user))
		if err != nil {
			t.Fatal(err)
		}
		r.stores[user] = s
	}
	var all sync.WaitGroup
	for g := range atOnce {
		all.Go(func() { r.admissions(rand.New(rand.NewPCG(r.Seed, uint64(r.N*atOnce+g))), (r.Races+g)/atOnce) })
	}
	all.Wait()
	for _, user := range raceUsers() {
		r.drain(user)
	}
	b, err := json.Marshal(r.raced)
	if err == nil {
		err = os.WriteFile(r.Result, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (r *racer) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Counts[what]++
}

func (r *racer) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
}

// admissions tries this many admissions. At any time all processes choose run ids from a small range, so that they
// compete for the same runs.
func (r *racer) admissions(rng *rand.Rand, races int) {
	for n := range races {
		user := raceUsers()[rng.IntN(len(raceUsers()))]
		number := n*r.Of*2 + rng.IntN(r.Of*4)
		run, thread := chat.RunID(fmt.Sprint("r", number)), chat.ThreadID(fmt.Sprint("t", number%raceThreads))
		admission := storetest.Asked(run, thread)
		admission.WhenBusy = []chat.WhenBusy{chat.Enqueue, chat.Enqueue, chat.Reject, chat.Interrupt}[rng.IntN(4)]
		invoke := r.admit(user, admission)
		if rng.IntN(8) == 0 {
			r.cancel(user, run)
		}
		if invoke {
			r.turn(user, run)
		}
	}
}

func (r *racer) admit(user string, admission store.Admission) (invoke bool) {
	got, err := r.stores[user].Admit(r.t.Context(), admission)
	switch {
	case errors.Is(err, chat.ErrBusy):
		r.count("rejected: busy")
	case errors.Is(err, chat.ErrTooManyRuns):
		r.count("rejected: 20 queued")
	case err != nil:
		r.wrong("admit %s: %v", admission.Run, err)
	case got.Repeat:
		r.count("known already")
	default:
		r.count("accepted: " + string(got.Run.Status))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.First = append(r.First, user+"/"+string(admission.Run))
	}
	return err == nil && got.Invoke
}

func (r *racer) cancel(user string, run chat.RunID) {
	c, err := r.stores[user].Cancel(r.t.Context(), run)
	switch {
	case errors.Is(err, chat.ErrNotFound):
		r.count("cancelled before the admission, without effect")
	case err != nil:
		r.wrong("cancel %s: %v", run, err)
	case c.Ended:
		r.count("cancelled before the start")
		r.start(user)
	}
}

func (r *racer) turn(user string, run chat.RunID) {
	ctx := r.t.Context()
	h, err := r.stores[user].Claim(ctx, run)
	if errors.Is(err, chat.ErrNotClaimed) {
		r.count("claims rejected")
		return
	}
	if err != nil {
		r.wrong("claim %s: %v", run, err)
		return
	}
	r.mu.Lock()
	r.Ran = append(r.Ran, user+"/"+string(run))
	r.mu.Unlock()
	for _, events := range [][]agui.Event{{storetest.Started(h)}, storetest.Said(string(run), "x")} {
		if _, err := h.Append(ctx, events); err != nil {
			r.wrong("append to %s: %v", run, err)
		}
	}
	if _, err := h.End(ctx, []agui.Event{storetest.Finished(h)}); err != nil {
		r.wrong("end %s: %v", run, err)
	}
	r.start(user)
}

func (r *racer) start(user string) {
	runs, err := r.stores[user].StartQueued(r.t.Context())
	if err != nil {
		r.wrong("start queued runs: %v", err)
	}
	for _, run := range runs {
		r.count("started from the queue")
		r.turn(user, run.ID)
	}
}

// drain executes and starts runs until the run queue of the user is empty.
func (r *racer) drain(user string) {
	for r.t.Context().Err() == nil {
		d, err := r.stores[user].RunQueue(r.t.Context())
		if err != nil {
			r.wrong("read a run queue: %v", err)
			return
		}
		if len(d.Slots)+len(d.Queued) == 0 {
			return
		}
		for run := range d.Slots {
			r.turn(user, run)
		}
		r.start(user)
	}
}
