package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// raceFixture has many goroutines work for one user at once: they admit, cancel, claim, run and start runs.
type raceFixture struct {
	*storetest.World
	s        *store.Store
	seed     uint64
	accepted sync.Map     // by run id
	claims   sync.Map     // the number of claims of each run, as *atomic.Int64
	pending  atomic.Int64 // admissions that are still to be tried
	maxSlots atomic.Int64 // the most slots that were observed in use
}

// TestRacingRuns admits, runs, cancels and starts 200 runs of one user from many goroutines. The run queue never has a
// sixth slot in use, nor two slots on one thread. No run is claimed twice. At the end each run has ended once, with a
// complete log.
func TestRacingRuns(t *testing.T) {
	t.Attr("row", "A2: goroutines admit, run, cancel and start runs at once")
	campaign.Only(t, "200 runs race for up to a minute")
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		w := storetest.NewWorld(t, o.client(nil))
		c := &raceFixture{World: w, s: w.As("alice"), seed: uint64(time.Now().UnixNano())}
		t.Logf("seed %d", c.seed)
		const runs, workers = 200, 8
		c.pending.Store(runs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for n := range workers {
			all.Go(func() { c.admit(ctx, rand.New(rand.NewPCG(c.seed, uint64(n))), n, runs/workers) })
			all.Go(func() { c.work(ctx) })
		}
		all.Go(func() { c.watch(ctx) })
		all.Wait()
		if err := ctx.Err(); err != nil {
			t.Fatalf("seed %d: %v", c.seed, err)
		}
		c.judge()
	})
}

// admit admits count runs, some twice, and cancels some.
func (c *raceFixture) admit(ctx context.Context, rng *rand.Rand, n, count int) {
	for i := range count {
		run := chat.RunID(fmt.Sprintf("r-%d-%d", n, i))
		a := storetest.Asked(run, chat.ThreadID(fmt.Sprint("t", rng.IntN(7))))
		a.WhenBusy = []chat.WhenBusy{chat.Enqueue, chat.Enqueue, chat.Reject, chat.Interrupt}[rng.IntN(4)]
		for range 1 + rng.IntN(2) {
			_, err := c.s.Admit(ctx, a)
			switch {
			case err == nil:
				c.accepted.Store(run, a.Thread)
			case !errors.Is(err, chat.ErrBusy) && !errors.Is(err, chat.ErrTooManyRuns):
				c.T.Errorf("admit %s: %v", run, err)
			}
		}
		if rng.IntN(8) == 0 {
			_, admitted := c.accepted.Load(run)
			if _, err := c.s.Cancel(ctx, run); err != nil && (admitted || !errors.Is(err, chat.ErrNotFound)) {
				c.T.Errorf("cancel %s: %v", run, err)
			}
		}
		c.pending.Add(-1)
	}
}

// work claims and executes the runs that have a slot, and starts queued runs, until all admissions were tried and the
// run queue is empty.
func (c *raceFixture) work(ctx context.Context) {
	for ctx.Err() == nil {
		admitting := c.pending.Load() > 0
		d, err := c.s.RunQueue(ctx)
		if err != nil {
			c.T.Errorf("read the run queue: %v", err)
			return
		}
		if !admitting && len(d.Slots) == 0 && len(d.Queued) == 0 {
			return
		}
		for run := range d.Slots {
			c.turn(ctx, run)
		}
		if _, err := c.s.StartQueued(ctx); err != nil && ctx.Err() == nil {
			c.T.Errorf("start queued runs: %v", err)
		}
	}
}

func (c *raceFixture) turn(ctx context.Context, run chat.RunID) {
	h, err := c.s.Claim(ctx, run)
	if errors.Is(err, chat.ErrNotClaimed) {
		return
	}
	if err != nil {
		c.T.Errorf("claim %s: %v", run, err)
		return
	}
	n, _ := c.claims.LoadOrStore(run, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	for _, events := range [][]agui.Event{{storetest.Started(h)}, storetest.Said(string(run), "x")} {
		if _, err := h.Append(ctx, events); err != nil {
			c.T.Errorf("append to %s: %v", run, err)
		}
	}
	if _, err := h.End(ctx, []agui.Event{storetest.Finished(h)}); err != nil {
		c.T.Errorf("end %s: %v", run, err)
	}
}

// watch checks the run queue until the race has ended.
func (c *raceFixture) watch(ctx context.Context) {
	for ctx.Err() == nil {
		admitting := c.pending.Load() > 0
		d, err := c.s.RunQueue(ctx)
		if err != nil {
			c.T.Errorf("read the run queue: %v", err)
			return
		}
		threads := []chat.ThreadID{}
		for _, thread := range d.Slots {
			threads = append(threads, thread)
		}
		slices.Sort(threads)
		if len(threads) > 5 || len(slices.Compact(threads)) != len(d.Slots) || len(d.Queued) > 20 {
			c.T.Errorf("seed %d: the run queue is %+v", c.seed, d)
			return
		}
		c.maxSlots.Store(max(c.maxSlots.Load(), int64(len(threads))))
		if !admitting && len(d.Slots) == 0 && len(d.Queued) == 0 {
			return
		}
	}
}

// judge checks the logs, the runs and the live index after the race.
func (c *raceFixture) judge() {
	ctx, t := c.T.Context(), c.T
	logged := map[chat.RunID][]agui.EventType{}
	for i := range 7 {
		id := chat.ThreadID(fmt.Sprint("t", i))
		thread, err := c.s.Thread(ctx, id)
		if errors.Is(err, chat.ErrNotFound) {
			continue
		}
		log, err := c.s.Log(ctx, id, thread.Epoch, 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		next := chat.Seq(1)
		for _, r := range log {
			if r.Seq != next {
				t.Errorf("seed %d: %s has a record at %d, want %d", c.seed, id, r.Seq, next)
			}
			next += chat.Seq(len(r.Events))
			for _, e := range r.Events {
				logged[r.Run] = append(logged[r.Run], e.Type)
			}
		}
		if thread.Head != next-1 {
			t.Errorf("seed %d: the head of %s is %d, its log ends at %d", c.seed, id, thread.Head, next-1)
		}
	}
	count := 0
	for run := range c.accepted.Range {
		count++
		c.judgeRun(run.(chat.RunID), logged[run.(chat.RunID)])
	}
	t.Attr("figure", fmt.Sprintf("%d of 200 runs accepted from 8 goroutines, up to %d slots in use; each ended once",
		count, c.maxSlots.Load()))
	if count < 100 {
		t.Errorf("seed %d: only %d runs were accepted: the test proves too little", c.seed, count)
	}
	if live, err := c.Table.Live(ctx); err != nil || len(live) > 0 {
		t.Errorf("seed %d: the live index still has %v, %v", c.seed, live, err)
	}
}

func (c *raceFixture) judgeRun(id chat.RunID, got []agui.EventType) {
	run, err := c.s.Run(c.T.Context(), id)
	if err != nil || !run.Status.Terminal() {
		c.T.Errorf("seed %d: %s is %s, %v", c.seed, id, run.Status, err)
	}
	n, claimed := c.claims.Load(id)
	if claimed != (run.Status == chat.RunFinished) || claimed && n.(*atomic.Int64).Load() != 1 {
		c.T.Errorf("seed %d: %s is %s, and the number of its claims is %v", c.seed, id, run.Status, n)
	}
	want := []agui.EventType{agui.RunStarted, agui.TextMessageStart, agui.TextMessageContent, agui.TextMessageEnd,
		agui.RunFinished}
	if !claimed {
		want = nil
	}
	if !slices.Equal(got, want) {
		c.T.Errorf("seed %d: the log of %s has the events %v, want %v", c.seed, id, got, want)
	}
}

// TestRacingClaims has many workers claim one run, first when it is admitted and then when its lease has expired.
// Exactly one claim succeeds each time.
func TestRacingClaims(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		w := storetest.NewWorld(t, o.client(nil))
		s := w.As("alice")
		w.Admit(s, "r1", "t1")
		for fence := range int64(3) {
			var all sync.WaitGroup
			var claimed atomic.Int64
			for i := range 16 {
				all.Go(func() {
					claim := s.Claim
					if i%2 == 0 && fence > 0 {
						claim = s.ClaimExpired
					}
					h, err := claim(t.Context(), "r1")
					if err == nil && h.Run().Fence == fence+1 {
						claimed.Add(1)
					} else if !errors.Is(err, chat.ErrNotClaimed) {
						t.Errorf("claim: %v, %v", h, err)
					}
				})
			}
			all.Wait()
			if n := claimed.Load(); n != 1 {
				t.Errorf("fence %d was given to %d workers, want 1", fence+1, n)
			}
			w.Clock.Advance(time.Minute)
		}
	})
}

// TestRacingNotes saves notes from five goroutines, as many as a user may have runs. Each note gets a different number,
// and the limit of notes holds.
func TestRacingNotes(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		s := storetest.NewWorld(t, o.client(nil)).As("alice")
		for range 197 {
			if _, err := s.SaveNote(t.Context(), "before"); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		var full atomic.Int64
		for i := range 5 {
			all.Go(func() {
				if _, err := s.SaveNote(t.Context(), fmt.Sprint("at once ", i)); errors.Is(err, chat.ErrFull) {
					full.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		notes, err := s.Notes(t.Context())
		if err != nil || full.Load() != 2 || len(notes) != 200 || notes[199].ID != 200 {
			t.Errorf("%d saves were rejected; the notes are %+v, %v", full.Load(), notes, err)
		}
	})
}

// serializable reports whether the engine isolates concurrent transactions. moto does not: when it cancels a
// transaction it restores a copy of the whole table, and concurrent writes are lost. moto is therefore used only for
// tests with one caller.
func (o opener) serializable(t *testing.T) bool {
	t.Helper()
	isMoto := o.isMoto(t)
	if isMoto {
		t.Log("skipped on moto, whose transactions are not isolated from each other")
	}
	return !isMoto
}

func (o opener) isMoto(t *testing.T) bool {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(string(o))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.HasPrefix(res.Header.Get("Server"), "Werkzeug/")
}
