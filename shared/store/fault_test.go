package store_test

import (
	"errors"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

const (
	put      = "PutItem"
	transact = "TransactWriteItems"
)

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
