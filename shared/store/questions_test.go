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

// asking has r1 end with the question q1.
func (s *scene) asking() {
	h := s.Begin(s.good, "r1", "t1")
	s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
}

// waitsWith checks what the thread waits with.
func (s *scene) waitsWith(ids ...chat.InterruptID) {
	s.T.Helper()
	th, err := s.good.Thread(s.T.Context(), "t1")
	var open []chat.InterruptID
	for _, i := range th.Interrupts {
		open = append(open, i.ID)
	}
	if err != nil || !slices.Equal(open, ids) {
		s.T.Errorf("the thread waits with %v, %v; want %v", open, err, ids)
	}
}

// questionSteps are the writes that questions are asked, answered and opened again with.
func questionSteps() []step {
	return []step{
		{"End with a question", transact, func(t *testing.T, s *scene) {
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			if th := s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")); len(th.Interrupts) != 1 {
				t.Errorf("ended: %+v", th)
			}
			s.waitsWith("q1")
		}},
		{"Admit of an answer", transact, func(t *testing.T, s *scene) {
			s.asking()
			a, err := s.bad.Admit(t.Context(), storetest.Answering("r2", "t1", "q1"))
			if err != nil || a.Repeat || !a.Invoke {
				t.Errorf("admitted: %+v, %v", a, err)
			}
			if in, err := s.good.Input(t.Context(), "r2"); err != nil || len(in.Responses) != 1 || in.Responses[0].Interrupt.ID != "q1" {
				t.Errorf("its input: %+v, %v", in, err)
			}
			s.waitsWith()
		}},
		{"Cancel of an answer", transact, func(t *testing.T, s *scene) {
			s.asking()
			if _, err := s.good.Admit(t.Context(), storetest.Answering("r2", "t1", "q1")); err != nil {
				t.Fatal(err)
			}
			if c, err := s.bad.Cancel(t.Context(), "r2"); err != nil || !c.Ended {
				t.Errorf("cancelled: %+v, %v", c, err)
			}
			s.waitsWith("q1")
		}},
		{"ExpireQueued behind a question", "UpdateItem", func(t *testing.T, s *scene) {
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

// TestAtTheFinish: a run comes upon one that is just ending, whichever of their transactions is first and whatever the
// policy. It begins at once or next, and nobody who has ended is asked to stop.
func TestAtTheFinish(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, policy := range []chat.WhenBusy{chat.Enqueue, chat.Reject, chat.Interrupt} {
			second := storetest.Asked("r2", "t1")
			second.WhenBusy = policy
			t.Run(fmt.Sprint(policy, ", the end first"), func(t *testing.T) {
				s := newScene(t, o)
				h := s.Begin(s.good, "r1", "t1")
				s.Append(h, storetest.Started(h))
				end := func() { s.End(h, storetest.Finished(h)) }
				if policy == chat.Reject { // before it has ended it is refused, and nothing is written
					end()
				} else {
					s.wire.before[transact] = end
				}
				if a, err := s.bad.Admit(t.Context(), second); err != nil || a.Run.Status != chat.RunAdmitted || !a.Invoke {
					t.Errorf("the second run: %+v, %v", a, err)
				}
				if r, err := s.good.Run(t.Context(), "r1"); err != nil || r.Status != chat.RunFinished || r.CancelRequested {
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
					if policy == chat.Reject && !errors.Is(err, chat.ErrBusy) || policy != chat.Reject && (err != nil || a.Position != 1) {
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

// TestQuestionsAtTheFinish: the same with a run that ends with a question. The one that comes upon it is told or waits.
func TestQuestionsAtTheFinish(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		t.Run("the end first", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			s.wire.before[transact] = func() { s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1")) }
			var refused *store.InterruptedError
			if a, err := s.bad.Admit(t.Context(), storetest.Asked("r2", "t1")); !errors.As(err, &refused) || len(refused.Open) != 1 {
				t.Errorf("the second run: %+v, %v", a, err)
			}
		})
		t.Run("the admission first", func(t *testing.T) {
			s := newScene(t, o)
			s.Admit(s.good, "r1", "t1")
			h := s.Claim(s.bad, "r1")
			s.wire.before[transact] = func() { s.Admit(s.good, "r2", "t1") }
			s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, "q1"))
			s.waitsWith("q1")
			if started, err := s.good.StartQueued(t.Context()); err != nil || len(started) > 0 {
				t.Errorf("started %+v, %v", started, err)
			}
		})
		t.Run("what waits is being started", func(t *testing.T) {
			s := newScene(t, o)
			h := s.Begin(s.good, "r1", "t1")
			s.Admit(s.good, "r2", "t1")
			s.End(h, storetest.Started(h), storetest.Finished(h))
			s.wire.before[transact] = func() { // another starts it, and it ends with a question
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

// TestTwoDevicesAnswer: one wins. The other is told that nothing is open any more or, with the same run, what it won.
func TestTwoDevicesAnswer(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		for _, other := range []chat.RunID{"r2", "r3"} {
			t.Run("r2 and "+string(other), func(t *testing.T) {
				s := newScene(t, o)
				s.asking()
				s.wire.before[transact] = func() {
					if _, err := s.good.Admit(t.Context(), storetest.Answering(other, "t1", "q1")); err != nil {
						t.Error(err)
					}
				}
				a, err := s.bad.Admit(t.Context(), storetest.Answering("r2", "t1", "q1"))
				var refused *store.InterruptedError
				if other == "r2" && (err != nil || !a.Repeat) || other != "r2" && (!errors.As(err, &refused) || len(refused.Open) > 0) {
					t.Errorf("the second device: %+v, %v", a, err)
				}
				s.waitsWith()
			})
		}
		t.Run("it is taken back between", func(t *testing.T) {
			s := newScene(t, o)
			s.asking()
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
			s.waitsWith()
		})
	})
}

// TestRacingAnswers has many devices answer at once, again and again, some of which take it back.
func TestRacingAnswers(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		if !o.serializable(t) {
			return
		}
		s := newScene(t, o)
		for round := range 5 {
			asker, q := chat.RunID(fmt.Sprint("a", round)), chat.InterruptID(fmt.Sprint("q", round))
			h := s.Begin(s.good, asker, "t1")
			s.End(h, storetest.Started(h), storetest.Asking(h, time.Time{}, q))
			var all sync.WaitGroup
			var won sync.Map
			var taken atomic.Int64
			for i := range 8 {
				all.Go(func() {
					run := chat.RunID(fmt.Sprintf("r%d-%d", round, i))
					_, err := s.good.Admit(t.Context(), storetest.Answering(run, "t1", q))
					if err == nil && i%2 == 0 && taken.Add(1) < 3 {
						if c, err := s.good.Cancel(t.Context(), run); err != nil || !c.Ended {
							t.Errorf("taken back: %+v, %v", c, err)
						}
					} else if err == nil {
						won.Store(run, true)
					} else if !errors.Is(err, chat.ErrInterrupted) {
						t.Errorf("answer: %v", err)
					}
				})
			}
			all.Wait()
			s.settle(&won, q)
		}
	})
}

// settle checks that at most one answer stands, and ends it; without one the question is open, and is answered.
func (s *scene) settle(won *sync.Map, q chat.InterruptID) {
	var runs []chat.RunID
	for run := range won.Range {
		runs = append(runs, run.(chat.RunID))
	}
	if len(runs) > 1 {
		s.T.Fatalf("%v have won", runs)
	}
	if len(runs) == 0 {
		s.waitsWith(q)
		runs = []chat.RunID{"late-" + chat.RunID(q)}
		if _, err := s.good.Admit(s.T.Context(), storetest.Answering(runs[0], "t1", q)); err != nil {
			s.T.Fatal(err)
		}
	}
	s.waitsWith()
	h := s.Claim(s.good, runs[0])
	if in := h.Input().Responses; len(in) != 1 || in[0].Interrupt.ID != q {
		s.T.Errorf("it goes on from %+v", in)
	}
	s.End(h, storetest.Started(h), agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
}
