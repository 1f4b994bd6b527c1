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
