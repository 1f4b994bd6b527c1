package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// interrupt has run r1 end with the interrupt q1.
func (s *scene) interrupt() {
	h := s.Begin(s.good, "r1", "t1")
	s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
}

// wantOpen checks the ids of the thread's open interrupts.
func (s *scene) wantOpen(ids ...chat.InterruptID) {
	s.T.Helper()
	th, err := s.good.Thread(s.T.Context(), "t1")
	var open []chat.InterruptID
	for _, i := range th.Interrupts {
		open = append(open, i.ID)
	}
	if err != nil || !slices.Equal(open, ids) {
		s.T.Errorf("the open interrupts are %v, %v; want %v", open, err, ids)
	}
}

// interruptSteps returns the writes that open interrupts, store responses and reopen interrupts.
func interruptSteps() []step {
	return []step{
		{"End with an interrupt", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			if th := s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")); len(th.Interrupts) != 1 {
				t.Errorf("ended: %+v", th)
			}
			s.wantOpen("q1")
		}},
		{"Admit with a response", transact, func(t *testing.T, s *scene) {
			s.interrupt()
			a, err := s.bad.Admit(t.Context(), storetest.Answering("r2", "t1", "q1"))
			if err != nil || a.Repeat || !a.Invoke {
				t.Errorf("admitted: %+v, %v", a, err)
			}
			if in, err := s.good.Input(t.Context(), "r2"); err != nil || len(in.Responses) != 1 ||
				in.Responses[0].Interrupt.ID != "q1" {
				t.Errorf("its input: %+v, %v", in, err)
			}
			s.wantOpen()
		}},
		{"Cancel of a response", transact, func(t *testing.T, s *scene) {
			s.interrupt()
			if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
				t.Fatal(err)
			}
			if c, err := s.bad.Cancel(t.Context(), "r2"); err != nil || !c.Ended {
				t.Errorf("cancelled: %+v, %v", c, err)
			}
			s.wantOpen("q1")
		}},
		{"ExpireQueued behind an interrupt", "UpdateItem", func(t *testing.T, s *scene) {
			h := s.Begin(s.good, "r1", "t1")
			s.Admit(s.good, "w1", "t1")
			s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
			s.Clock.Advance(61 * time.Minute)
			for range 2 {
				if _, err := s.bad.ExpireQueued(t.Context(), "w1"); !errors.Is(err, chat.ErrNotClaimed) {
					t.Errorf("expired: %v", err)
				}
			}
			if r, err := s.good.Run(t.Context(), "w1"); err != nil || r.Status != chat.RunQueued {
				t.Errorf("the run: %+v, %v", r, err)
			}
		}},
	}
}

// A run is admitted while another run of the thread is ending, in either order and with each policy. It starts at once
// or is the next to start, and the ended run is not cancelled.
func TestAdmit_WhileARunEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, policy := range []chat.WhenBusy{chat.Enqueue, chat.Reject, chat.Interrupt} {
			second := storetest.Asked("r2", "t1")
			second.WhenBusy = policy
			t.Run(fmt.Sprint(policy, ", the end first"), func(t *testing.T) {
				s := newScene(t, o)
				h := s.Begin(s.good, "r1", "t1")
				s.Append(h, storetest.Started(h))
				end := func() { s.End(h, storetest.Finished(h)) }
				if policy == chat.Reject { // before the end, the admission is rejected without a write
					end()
				} else {
					s.wire.before[transact] = end
				}
				if a, err := s.bad.Admit(t.Context(), second); err != nil || a.Run.Status != chat.RunAdmitted ||
					!a.Invoke {
					t.Errorf("the second run: %+v, %v", a, err)
				}
				if r, err := s.good.Run(t.Context(), "r1"); err != nil || r.Status != chat.RunFinished ||
					r.CancelRequested {
					t.Errorf("the first run: %+v, %v", r, err)
				}
			})
			t.Run(fmt.Sprint(policy, ", the admission first"), func(t *testing.T) {
				s := newScene(t, o)
				s.Admit(s.good, "r1", "t1")
				h := s.Claim(s.bad, "r1")
				s.Append(h, storetest.Started(h))
				s.wire.before[transact] = func() {
					a, err := s.good.Admit(t.Context(), second)
					if policy == chat.Reject && !errors.Is(err, chat.ErrBusy) || policy != chat.Reject &&
						(err != nil || a.Position != 1) {
						t.Errorf("the second run: %+v, %v", a, err)
					}
				}
				if th := s.End(h, storetest.Finished(h)); th.Head != 2 {
					t.Errorf("ended: %+v", th)
				}
				started, err := s.good.StartQueued(t.Context())
				if err != nil || (len(started) == 1) != (policy != chat.Reject) {
					t.Errorf("started %+v, %v", started, err)
				}
			})
		}
	})
}

// A run is admitted while another run of the thread ends with an interrupt. It is rejected with the interrupt, or stays
// queued.
func TestAdmit_WhileARunEndsWithInterrupt(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		t.Run("the end first", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			s.wire.before[transact] = func() { s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")) }
			var rejected *store.InterruptedError
			if a, err := s.bad.Admit(t.Context(), storetest.Asked("r2", "t1")); !errors.As(err, &rejected) ||
				len(rejected.Open) != 1 {
				t.Errorf("the second run: %+v, %v", a, err)
			}
		})
		t.Run("the admission first", func(t *testing.T) {
			s := newScene(t, o)
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			s.wire.before[transact] = func() { s.Admit(s.good, "r2", "t1") }
			s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
			s.wantOpen("q1")
			if started, err := s.good.StartQueued(t.Context()); err != nil || len(started) > 0 {
				t.Errorf("started %+v, %v", started, err)
			}
		})
		t.Run("another process starts the queued run", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			s.Admit(s.good, "r2", "t1")
			s.End(h, storetest.Started(h), storetest.Finished(h))
			s.wire.before[transact] = func() { // another process starts r2, which ends with an interrupt
				if _, err := s.good.StartQueued(t.Context()); err != nil {
					t.Fatal(err)
				}
				h := s.Claim(s.good, "r2")
				s.Admit(s.good, "r3", "t1")
				s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
			}
			if started, err := s.bad.StartQueued(t.Context()); err != nil || len(started) > 0 {
				t.Errorf("started %+v, %v", started, err)
			}
		})
	})
}

// Two devices respond to an interrupt. One response is accepted. The other device gets an InterruptedError without open
// interrupts, or the result of the accepted run if it sent the same run.
func TestAdmit_TwoResponses(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, other := range []chat.RunID{"r2", "r3"} {
			t.Run("r2 and "+string(other), func(t *testing.T) {
				s := newScene(t, o)
				s.interrupt()
				s.wire.before[transact] = func() {
					if _, err := s.good.Admit(t.Context(), storetest.Answering(other, "t1", "q1")); err != nil {
						t.Error(err)
					}
				}
				a, err := s.bad.Admit(t.Context(), storetest.Answering("r2", "t1", "q1"))
				var rejected *store.InterruptedError
				if other == "r2" && (err != nil || !a.Repeat) || other != "r2" &&
					(!errors.As(err, &rejected) || len(rejected.Open) > 0) {
					t.Errorf("the second device: %+v, %v", a, err)
				}
				s.wantOpen()
			})
		}
		t.Run("the first response is cancelled", func(t *testing.T) {
			s := newScene(t, o)
			s.interrupt()
			s.wire.before[transact] = func() {
				if _, err := s.good.Admit(t.Context(), storetest.Answering("r3", "t1", "q1")); err != nil {
					t.Error(err)
				}
				if _, err := s.good.Cancel(t.Context(), "r3"); err != nil {
					t.Error(err)
				}
			}
			if a, err := s.bad.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil || !a.Invoke {
				t.Errorf("the second device: %+v, %v", a, err)
			}
			s.wantOpen()
		})
	})
}

// Many devices respond at once, in several rounds, and some cancel their response.
func TestAdmit_RacingResponses(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		s := newScene(t, o)
		for round := range 5 {
			interrupted, q := chat.RunID(fmt.Sprint("a", round)), chat.InterruptID(fmt.Sprint("q", round))
			h := s.Begin(s.good, interrupted, "t1")
			s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, q))
			var all sync.WaitGroup
			var accepted sync.Map
			var cancelled atomic.Int64
			for i := range 8 {
				all.Go(func() {
					run := chat.RunID(fmt.Sprintf("r%d-%d", round, i))
					_, err := s.good.Admit(t.Context(), storetest.Answering(run, "t1", q))
					if err == nil && i%2 == 0 && cancelled.Add(1) < 3 {
						if c, err := s.good.Cancel(t.Context(), run); err != nil || !c.Ended {
							t.Errorf("cancel: %+v, %v", c, err)
						}
					} else if err == nil {
						accepted.Store(run, true)
					} else if !errors.Is(err, chat.ErrInterrupted) {
						t.Errorf("respond: %v", err)
					}
				})
			}
			all.Wait()
			s.settle(&accepted, q)
		}
	})
}

// settle checks that at most one response was accepted, and ends its run. If none was accepted, the interrupt must be
// open, and settle responds to it.
func (s *scene) settle(accepted *sync.Map, q chat.InterruptID) {
	var runs []chat.RunID
	for run := range accepted.Range {
		runs = append(runs, run.(chat.RunID))
	}
	if len(runs) > 1 {
		s.T.Fatalf("the responses of %v were all accepted", runs)
	}
	if len(runs) == 0 {
		s.wantOpen(q)
		runs = []chat.RunID{"last-" + chat.RunID(q)}
		if _, err := s.good.Admit(s.T.Context(), storetest.Answering(runs[0], "t1", q)); err != nil {
			s.T.Fatal(err)
		}
	}
	s.wantOpen()
	h := s.Claim(s.good, runs[0])
	if in := h.Input().Responses; len(in) != 1 || in[0].Interrupt.ID != q {
		s.T.Errorf("the run has the responses %+v", in)
	}
	s.End(h, storetest.Started(h), agui.Event{Type: agui.RunFinished,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
}
