package runqueue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// admissions admits runs one after another, each on a thread of its own, and ends each at once.
type admissions struct {
	t *testing.T
	d runqueue.Queue
	l chat.Limits
	n int
}

// at admits a run at a time. It returns the time to wait if the rate limit refuses it.
func (a *admissions) at(when time.Time) time.Duration {
	a.t.Helper()
	a.n++
	run := chat.RunID(fmt.Sprint("r", a.n))
	d, _, err := a.d.Admit(runqueue.Request{Run: run, Thread: chat.ThreadID(run)}, runqueue.Policy{Limits: a.l, Now: when})
	var limited *chat.RateLimitedError
	if errors.As(err, &limited) {
		if !errors.Is(err, chat.ErrRateLimited) || limited.After <= 0 {
			a.t.Errorf("refused with %v", err)
		}
		return limited.After
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.d = d.Remove(run)
	return 0
}

func TestBucket(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	a := &admissions{t: t, l: chat.Limits{Runs: 5, Queued: 20, RunBurst: 3, RunsPerHour: 600}} // one each 6 s
	for range 3 {
		if after := a.at(now); after != 0 {
			t.Fatalf("refused within the burst for %s", after)
		}
	}
	now = now.Add(1500 * time.Millisecond)
	for range 2 { // a refusal takes no token
		if after := a.at(now); after != 4500*time.Millisecond {
			t.Errorf("a run above the limit must wait for %s", after)
		}
	}
	if after := a.at(now.Add(4499 * time.Millisecond)); after != time.Millisecond {
		t.Errorf("a run before the announced time must wait for %s", after)
	}
	if after := a.at(now.Add(4500 * time.Millisecond)); after != 0 {
		t.Errorf("a run at the announced time must wait for %s", after)
	}
	now = now.Add(24 * time.Hour) // a bucket never holds more than its size
	for i := range 4 {
		if after := a.at(now); (after != 0) != (i == 3) {
			t.Errorf("run %d after a day: %s", i, after)
		}
	}
}

func TestBucket_CountsAdmissions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := runqueue.Policy{Limits: chat.Limits{Runs: 1, Queued: 1, RunBurst: 2, RunsPerHour: 1}, Now: now}
	d := runqueue.Queue{}
	for _, c := range []struct {
		run    chat.RunID
		policy chat.WhenBusy
		err    error
	}{
		{"r1", "", nil}, {"r1", "", nil}, {"x", chat.Reject, chat.ErrBusy}, {"w1", "", nil}, {"w1", "", nil},
		{"y", "", chat.ErrTooManyRuns}, {"r1", "", nil},
	} {
		after, _, err := d.Admit(runqueue.Request{Run: c.run, Thread: "t1", WhenBusy: c.policy}, r)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.run, err, c.err)
		}
		d = after
	}
	_, _, err := d.Remove("w1").Admit(runqueue.Request{Run: "z", Thread: "t2"}, r)
	if want := (&chat.RateLimitedError{After: time.Hour}); err == nil || !errors.Is(err, chat.ErrRateLimited) || !d.Full.Equal(now.Add(2*time.Hour)) {
		t.Errorf("%v with a bucket that is full at %s, want %v", err, d.Full, want)
	}
}

func TestBucket_UnusualLimits(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		burst, perHour int
		full           time.Time
		want           []time.Duration
	}{
		"no rate limit":                   {60, 0, time.Time{}, []time.Duration{0, 0, 0}},
		"less than none":                  {60, -1, time.Time{}, []time.Duration{0, 0, 0}},
		"a bucket without room holds one": {0, 3600, time.Time{}, []time.Duration{0, time.Second, time.Second}},
		"more than one each millisecond":  {1, 1 << 40, time.Time{}, []time.Duration{0, time.Millisecond}},
		"a clock that was years ahead":    {2, 3600, now.AddDate(9, 0, 0), []time.Duration{time.Second}},
		"no whole number of milliseconds": {1, 7, time.Time{}, []time.Duration{0, 514_285 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &admissions{t: t, d: runqueue.Queue{Full: c.full}, l: chat.Limits{Runs: 5, RunBurst: c.burst, RunsPerHour: c.perHour}}
			for i, want := range c.want {
				if got := a.at(now); got != want {
					t.Errorf("run %d must wait %s, want %s", i, got, want)
				}
			}
		})
	}
}
