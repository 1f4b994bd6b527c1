package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

// A run whose worker has died is resumed by turn while attempts are left. Then sweep ends it.
func TestSweep_ResumesDeadWorkersRun(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	for n := 1; n <= r.limits.Attempts; n++ {
		if _, err := alice.store.Claim(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		r.sweep(schedule)
		if got := r.edge.Invoked(); len(got) > 0 {
			t.Fatalf("attempt %d, before its lease expires: invoked %v", n, got)
		}
		r.advance(61 * time.Second)
		r.sweep(schedule)
		if got := r.edge.Invoked(); n < r.limits.Attempts && (len(got) != 1 || got[0] != alice.turn("r1")) ||
			n == r.limits.Attempts && len(got) > 0 {
			t.Errorf("after attempt %d: invoked %v", n, got)
		}
	}
	alice.ended("r1", chat.ThreadIdle)
	if got := r.counted(); got[monitor.SweepResumed] != r.limits.Attempts-1 || got[monitor.SweepEnded] != 1 {
		t.Errorf("counted %v", got)
	}
}

// A run whose worker handed it over and died before it invoked turn is continued, also after the last attempt.
func TestSweep_HandedOver(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	h := alice.dies("r1")
	for range r.limits.Attempts - 1 {
		r.advance(21 * time.Second)
		h = alice.claims("r1", worker)
	}
	if err := h.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) > 0 {
		t.Fatalf("at once: invoked %v, although the worker invokes turn itself", got)
	}
	r.advance(11 * time.Second)
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) != 1 || got[0] != alice.turn("r1") {
		t.Errorf("invoked %v", got)
	}
	if got := alice.claims("r1", worker); !got.Continues() {
		t.Errorf("claimed %+v", got.Run())
	}
}

// A run with a dead worker ends if turn cannot be invoked. For an unclaimed run, the invocation is repeated until the
// deadline.
func TestSweep_InvokeFails(t *testing.T) {
	r := newFixture(t)
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	alice.dies("r1")
	bob.admit("r1")
	for _, wait := range []time.Duration{61 * time.Second, time.Minute, time.Minute} {
		if bob.status("r1") != chat.RunAdmitted {
			t.Errorf("bob's run is %s", bob.status("r1"))
		}
		r.advance(wait)
		r.edge.Fail(errors.New("throttled"))
		if err := r.Handle(t.Context(), json.RawMessage(schedule)); err == nil ||
			!strings.Contains(err.Error(), "throttled") {
			t.Errorf("error %v, want the error of the invocation", err)
		}
	}
	alice.ended("r1", chat.ThreadIdle)
	r.advance(time.Minute)
	r.sweep(schedule)
	bob.endedWith(engine.CodeNoCapacity, "r1", chat.ThreadIdle)
}

// A run ends at its time limit, even if attempts are left and its worker keeps renewing its lease.
func TestSweep_RunTimeLimit(t *testing.T) {
	for _, limit := range []time.Duration{5 * time.Minute, 14 * time.Minute} {
		t.Run(limit.String(), func(t *testing.T) {
			limits := chat.DefaultLimits()
			limits.RunTime = limit
			r := newFixtureWith(t, limits)
			alice := r.person("alice")
			alice.admit("r1")
			begun := r.now()
			h := alice.dies("r1")
			for alice.status("r1") == chat.RunRunning && r.now().Sub(begun) < time.Hour {
				r.advance(6 * time.Second)
				if err := h.Renew(t.Context()); err != nil && !errors.Is(err, chat.ErrLeaseLost) {
					t.Fatal(err)
				}
				if int(r.now().Sub(begun).Seconds())%60 == 0 {
					r.sweep(schedule)
				}
			}
			if took := r.now().Sub(begun); took < limit || took > limit+2*time.Minute {
				t.Errorf("the run ended after %v", took)
			}
			if got := r.edge.Invoked(); len(got) > 0 {
				t.Errorf("invoked %v", got)
			}
			alice.ended("r1", chat.ThreadIdle)
		})
	}
}

// residues returns a function for each kind of work that a dead worker leaves, by the metric that reports its repair.
// The function leaves such work and advances the clock until sweep can find it.
func residues() map[string]func(r *fixture, p person) {
	return map[string]func(r *fixture, p person){
		monitor.SweepResumed: func(r *fixture, p person) {
			p.admit("r1")
			p.dies("r1")
			r.advance(61 * time.Second)
		},
		monitor.SweepResumed + ", never claimed": func(r *fixture, p person) {
			p.admit("r1")
			r.advance(61 * time.Second)
		},
		monitor.NoCapacity: func(r *fixture, p person) {
			p.admit("r1")
			r.advance(201 * time.Second)
		},
		monitor.SweepEnded: func(r *fixture, p person) {
			p.admit("r1")
			for range r.limits.Attempts {
				if _, err := p.store.Claim(r.t.Context(), "r1"); err != nil {
					r.t.Fatal(err)
				}
				r.advance(61 * time.Second)
			}
		},
		monitor.SweepExpired: func(r *fixture, p person) {
			p.admit("r1")
			p.admit("r2")
			r.advance(59*time.Minute + 55*time.Second)
			p.dies("r1") // claimed just now, so its worker counts as alive
			r.advance(6 * time.Second)
		},
		monitor.SweepStarted: func(r *fixture, p person) {
			p.admit("r1")
			p.admit("r2")
			p.ends(p.dies("r1"))
			r.advance(61 * time.Second)
		},
		monitor.SweepErased: func(r *fixture, p person) {
			p.admit("r1")
			p.ends(p.dies("r1"))
			if _, err := p.store.Delete(r.t.Context(), "t"); err != nil {
				r.t.Fatal(err)
			}
			r.advance(3 * time.Minute)
		},
		monitor.SweepSlots: func(r *fixture, p person) {
			p.admit("r1")
			h := p.dies("r1") // here the worker stays alive
			p.admit("r2")
			p.lives(h, 61*time.Second)
			r.slot(p.user, "missing", "t2")
		},
	}
}

func (p person) ends(h *store.Lease) {
	p.t.Helper()
	if _, err := h.End(p.t.Context(), []agui.Event{{Type: agui.RunError, Message: "x"}}); err != nil {
		p.t.Fatal(err)
	}
}

// Each kind of residue is found and reported once. Nothing is reported for a user without residue.
func TestSweep_ReportsResidue(t *testing.T) {
	t.Attr("row", "E1: planted residue is found and reported")
	t.Attr("row", "E4: residue that sweep finds is a metric")
	for what, plant := range residues() {
		t.Run(what, func(t *testing.T) {
			r := newFixture(t)
			alice, bob := r.person("alice"), r.person("bob")
			plant(r, alice)
			bob.admit("r1")
			bob.dies("r1")
			bob.admit("r2")
			r.sweep(schedule)
			kind, _, _ := strings.Cut(what, ",")
			got := r.counted()
			delete(got, monitor.RunsDied)
			if got[kind] != 1 || len(got) != 1 {
				t.Errorf("counted %v", got)
			}
			lines := slices.DeleteFunc(strings.Split(r.log.String(), "\n"), func(l string) bool {
				return !strings.Contains(l, `"kind":"`+kind+`"`)
			})
			if len(lines) != 1 || !strings.Contains(lines[0], `"what":["`) ||
				strings.Contains(r.log.String(), "alice") {
				t.Errorf("logged %q", lines)
			}
		})
	}
}
