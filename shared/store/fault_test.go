package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// scene is a table with two stores for alice. good sends requests directly, and bad through a wire that applies faults.
type scene struct {
	*storetest.World
	wire      *wire
	good, bad *store.Store
}

func newScene(t *testing.T, o opener) *scene {
	w := &wire{counts: map[string]int{}, lose: map[string]int{}, refuse: map[string]int{}, before: map[string]func(){},
		forget: map[string]bool{}}
	world := storetest.NewWorld(t, o.client(nil))
	return &scene{
		World: world, wire: w, good: world.As("alice"),
		bad: storetest.As(t, world.With(o.client(w.wrap)), "alice"),
	}
}

// slow returns alice's store with a clock that is behind.
func (s *scene) slow(by time.Duration) *store.Store {
	return storetest.As(s.T, store.New(s.DB, store.Config{
		Name: s.Name, Limits: s.Limits, Now: func() time.Time { return s.Clock.Now().Add(-by) },
	}), "alice")
}

// step is one write in the life of a run, with checks that must hold however often the response was lost.
type step struct {
	name string
	op   string // the operation that commits the write
	do   func(t *testing.T, s *scene)
}

func steps() []step {
	return slices.Concat(holderSteps(), userSteps(), keeperSteps(), interruptSteps())
}

const (
	put      = "PutItem"
	transact = "TransactWriteItems"
)

func holderSteps() []step {
	return []step{
		{"Admit", transact, func(t *testing.T, s *scene) {
			if a := s.Admit(s.bad, "r1", "t1"); a.Repeat || !a.Invoke || a.Run.Status != chat.RunAdmitted {
				t.Errorf("admitted: %+v", a)
			}
		}},
		{"Admit, queued", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r0", "t1")
			if a := s.Admit(s.bad, "r1", "t1"); a.Repeat || a.Invoke || a.Position != 1 {
				t.Errorf("admitted: %+v", a)
			}
		}},
		{"Claim", "UpdateItem", func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			if h := s.Claim(s.bad, "r1"); h.Run().Fence != 1 {
				t.Errorf("claimed: %+v", h.Run())
			}
		}},
		{"Append", put, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			for i, events := range [][]agui.Event{{storetest.Started(h)}, storetest.Said("a", "x"),
				storetest.Said("b", "x")} {
				if seq := s.Append(h, events...); seq != chat.Seq(max(1, 3*i-1)) {
					t.Errorf("appended at %d", seq)
				}
			}
			if log, err := s.good.Log(t.Context(), "t1", h.Thread().Epoch, 0, 99); err != nil || len(log) != 3 {
				t.Errorf("the log: %+v, %v", log, err)
			}
		}},
		{"End", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			s.Append(h, storetest.Started(h))
			if th := s.End(h, storetest.Finished(h)); th.Head != 2 {
				t.Errorf("ended: %+v", th)
			}
			if log, err := s.good.Log(t.Context(), "t1", h.Thread().Epoch, 0, 99); err != nil || len(log) != 2 {
				t.Errorf("the log: %+v, %v", log, err)
			}
		}},
		{"End on a deleted thread", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			s.DeleteThread(s.good, "t1")
			if _, err := h.End(t.Context(), []agui.Event{storetest.Failed()}); !errors.Is(err, store.ErrDeleted) {
				t.Errorf("ended: %v", err)
			}
			if r, err := s.good.Run(t.Context(), "r1"); err != nil || r.Status != chat.RunFailed {
				t.Errorf("the run: %+v, %v", r, err)
			}
		}},
	}
}

func userSteps() []step {
	return []step{
		{"Admit, a recorded message id", transact, func(t *testing.T, s *scene) {
			asked := storetest.Asked("r1", "t1")
			asked.Messages[0].ID = "noted"
			if a, err := s.bad.Admit(t.Context(), asked); err != nil || a.Repeat || !a.Invoke {
				t.Errorf("admitted: %+v, %v", a, err)
			}
		}},
		{"Cancel of a queued run", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r0", "t1")
			s.Admit(s.good, "r1", "t1")
			if c, err := s.bad.Cancel(t.Context(), "r1"); err != nil || !c.Ended || c.Run.Status != chat.RunCancelled {
				t.Errorf("cancelled: %+v, %v", c, err)
			}
		}},
		{"StartQueued", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r0", "t1")
			s.Admit(s.good, "r1", "t1")
			if _, err := s.good.Cancel(t.Context(), "r0"); err != nil {
				t.Fatal(err)
			}
			if got, err := s.bad.StartQueued(t.Context()); err != nil || len(got) != 1 {
				t.Errorf("started: %+v, %v", got, err)
			}
		}},
		{"Connect", transact, func(t *testing.T, s *scene) {
			c := chat.Connection{ID: "c=", Thread: "t1"}
			if _, err := s.bad.Connect(t.Context(), c); err != nil {
				t.Error(err)
			}
		}},
		{"Watch", "UpdateItem", func(t *testing.T, s *scene) {
			c := chat.Connection{ID: "c=", Thread: "t1"}
			if _, err := s.good.Connect(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			c.Thread, c.N = "t2", 1
			if row, err := s.bad.Watch(t.Context(), c); err != nil || row.Thread != "t2" {
				t.Errorf("watched: %+v, %v", row, err)
			}
		}},
		{"Watch without a row", transact, func(t *testing.T, s *scene) {
			c := chat.Connection{ID: "c=", Thread: "t2", N: 1}
			if row, err := s.bad.Watch(t.Context(), c); err != nil || row.Thread != "t2" {
				t.Errorf("watched: %+v, %v", row, err)
			}
		}},
	}
}

func keeperSteps() []step {
	return []step{
		{"ExpireQueued", transact, func(t *testing.T, s *scene) {
			s.Begin(s.good, "r1", "t1")
			s.Admit(s.good, "w1", "t1")
			s.Clock.Advance(61 * time.Minute)
			if r, err := s.bad.ExpireQueued(t.Context(), "w1"); err != nil || r.Status != chat.RunCancelled {
				t.Errorf("expired: %+v, %v", r, err)
			}
		}},
		{"Forget", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			if err := s.bad.RequestErasure(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.good.Open(t.Context()); !errors.Is(err, chat.ErrErasing) {
				t.Errorf("afterwards: %v", err)
			}
		}},
		{"Rename", "UpdateItem", func(t *testing.T, s *scene) {
			s.Complete(s.good, "r0", "t1", "x")
			if th, err := s.bad.Rename(t.Context(), "t1", "new"); err != nil || th.Title != "new" {
				t.Errorf("renamed: %+v, %v", th, err)
			}
		}},
		{"Delete", transact, func(t *testing.T, s *scene) {
			s.Complete(s.good, "r0", "t1", "x")
			if th, err := s.bad.Delete(t.Context(), "t1"); err != nil || th.Title != "" {
				t.Errorf("deleted: %+v, %v", th, err)
			}
			if _, err := s.good.Thread(t.Context(), "t1"); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("afterwards: %v", err)
			}
		}},
		{"SaveNote", transact, func(t *testing.T, s *scene) {
			if n, err := s.bad.SaveNote(t.Context(), "x"); err != nil || n.ID != 1 {
				t.Errorf("saved: %+v, %v", n, err)
			}
			if all, err := s.good.Notes(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("the notes: %+v, %v", all, err)
			}
		}},
		{"DeleteNote", transact, func(t *testing.T, s *scene) {
			if _, err := s.good.SaveNote(t.Context(), "x"); err != nil {
				t.Error(err)
			}
			if err := s.bad.DeleteNote(t.Context(), 1); err != nil {
				t.Error(err)
			}
			if n, err := s.good.SaveNote(t.Context(), "y"); err != nil || n.ID != 2 {
				t.Errorf("saved afterwards: %+v, %v", n, err)
			}
		}},
	}
}

// If the response of a successful write is lost, the SDK retries the write, and the store recognizes its own first
// write.
func TestFault33_AnswerLost(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, step := range steps() {
			for _, forget := range []bool{false, true} {
				name := step.name
				if forget {
					name += ", its token forgotten"
				}
				t.Run(name, func(t *testing.T) {
					s := newScene(t, o)
					s.wire.lose[step.op], s.wire.forget[step.op] = 1, forget
					step.do(t, s)
					if s.wire.lose[step.op] > 0 {
						t.Error("no response was lost: the test proves nothing")
					}
				})
			}
		}
	})
}

// If another transaction is in progress on an item, the store waits and does not fail.
func TestConflictsAreWaitedOut(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, step := range steps() {
			t.Run(step.name, func(t *testing.T) {
				s := newScene(t, o)
				s.wire.refuse[step.op] = 3
				step.do(t, s)
				if s.wire.refuse[step.op] > 0 {
					t.Error("nothing was refused: this tests nothing")
				}
			})
		}
	})
}

// If every response of an append is lost, the caller gets an error and repeats the append, which is written only once.
func TestAppendFailedAndRepeated(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		s.Admit(s.good, "r1", "t1")
		h := s.Claim(s.bad, "r1")
		events := []agui.Event{storetest.Started(h)}
		s.wire.lose["PutItem"] = 1
		ctx, stop := cancelOnLoss(t, s.wire)
		defer stop()
		if _, err := h.Append(ctx, events); err == nil {
			t.Fatal("the append did not fail")
		}
		if seq := s.Append(h, events...); seq != 1 {
			t.Errorf("appended at %d", seq)
		}
		if seq := s.Append(h, storetest.Said("a", "x")...); seq != 2 {
			t.Errorf("the next append is at %d", seq)
		}
	})
}

// A worker that renews, ends or claims its run after sweep has read it keeps the run. This holds even if its clock is
// so slow that its lease has expired as soon as it is given (fault 38).
func TestSweepYields(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for name, wake := range map[string]func(h *store.Lease) error{
			"renew": func(h *store.Lease) error { return h.Renew(t.Context()) },
			"end": func(h *store.Lease) error {
				_, err := h.End(t.Context(), []agui.Event{storetest.Started(h), storetest.Finished(h)})
				return err
			},
			"claim": nil,
		} {
			t.Run(name, func(t *testing.T) {
				s := newScene(t, o)
				if wake == nil {
					wake = func(*store.Lease) error {
						_, err := s.slow(2*time.Minute).Claim(t.Context(),
							"r1")
						return err
					}
				}
				s.Admit(s.good, "r1", "t1")
				h := s.Claim(s.good, "r1")
				s.Clock.Advance(3 * time.Minute)
				s.wire.before["UpdateItem"] = func() {
					if err := wake(h); err != nil {
						t.Errorf("the worker: %v", err)
					}
				}
				if _, err := s.bad.ClaimExpired(t.Context(), "r1"); !errors.Is(err, chat.ErrNotClaimed) {
					t.Errorf("the claim of sweep: %v", err)
				}
			})
		}
	})
}

// An admission takes into account what other processes change between its reads and its write.
func TestAdmit_ConcurrentChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		t.Run("cancelled before admission", func(t *testing.T) {
			s := newScene(t, o)
			s.wire.before["TransactWriteItems"] = func() {
				if _, err := s.good.Cancel(t.Context(), "r1"); !errors.Is(err, chat.ErrNotFound) {
					t.Errorf("the cancel of a run that does not exist yet: %v", err)
				}
			}
			if a := s.Admit(s.bad, "r1", "t1"); a.Run.Status != chat.RunAdmitted || !a.Invoke {
				t.Errorf("admitted: %+v", a)
			}
		})
		t.Run("thread is deleted", func(t *testing.T) {
			s := newScene(t, o)
			s.Complete(s.good, "r0", "t1", "x")
			s.wire.before["TransactWriteItems"] = func() { s.Delete("alice", "t1") }
			if a, err := s.bad.Admit(t.Context(), storetest.Asked("r1", "t1")); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("admitted: %+v, %v", a, err)
			}
		})
		t.Run("another run is admitted", func(t *testing.T) {
			s := newScene(t, o)
			s.wire.before["TransactWriteItems"] = func() { s.Admit(s.good, "r2", "t1") }
			if a := s.Admit(s.bad, "r1", "t1"); a.Run.Status != chat.RunQueued || a.Position != 1 {
				t.Errorf("admitted: %+v", a)
			}
		})
	})
}
