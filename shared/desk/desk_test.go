package desk_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/desk"
)

func rules() desk.Rules { return desk.Rules{Limits: chat.Limits{Runs: 2, Waiting: 3}} }

func TestAdmit(t *testing.T) {
	full := desk.Desk{Seats: map[chat.RunID]chat.ThreadID{"r1": "t1", "r2": "t2"}}
	queue := desk.Desk{Seats: full.Seats, Waiting: []desk.Waiting{{Run: "w1", Thread: "t1"}, {Run: "w2", Thread: "t1"}, {Run: "w3", Thread: "t3"}}}
	startable := desk.Desk{Seats: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Waiting: []desk.Waiting{{Run: "w3", Thread: "t3"}}}
	for _, c := range []struct {
		name   string
		desk   desk.Desk
		run    chat.RunID
		thread chat.ThreadID
		policy chat.WhenBusy
		want   desk.Decision
		err    error
	}{
		{"an empty desk", desk.Desk{}, "r1", "t1", "", desk.Decision{State: chat.RunAdmitted}, nil},
		{"all seats taken", full, "r3", "t3", chat.Enqueue, desk.Decision{State: chat.RunWaiting, Position: 1}, nil},
		{"thread taken", full, "r3", "t1", chat.Enqueue, desk.Decision{State: chat.RunWaiting, Position: 1}, nil},
		{"reject on a busy thread", full, "r3", "t1", chat.Reject, desk.Decision{}, chat.ErrBusy},
		{"reject on a free thread of a full desk waits", full, "r3", "t3", chat.Reject, desk.Decision{State: chat.RunWaiting, Position: 1}, nil},
		{"interrupt names the holder", full, "r3", "t1", chat.Interrupt, desk.Decision{State: chat.RunWaiting, Position: 1, Interrupt: "r1"}, nil},
		{"interrupt of nobody", desk.Desk{}, "r3", "t1", chat.Interrupt, desk.Decision{State: chat.RunAdmitted}, nil},
		{"queue full", queue, "r9", "t9", chat.Enqueue, desk.Decision{}, chat.ErrTooManyRuns},
		{"again, while it sits", full, "r1", "t1", chat.Reject, desk.Decision{State: chat.RunAdmitted}, nil},
		{"again, while it waits in a full queue", queue, "w3", "t3", chat.Reject, desk.Decision{State: chat.RunWaiting, Position: 3}, nil},
		{"never overtakes what could start", startable, "r9", "t9", chat.Enqueue, desk.Decision{State: chat.RunWaiting, Position: 2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got, err := c.desk.Admit(desk.Ask{Run: c.run, Thread: c.thread, WhenBusy: c.policy}, rules())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestNextStartsInOrder(t *testing.T) {
	d := desk.Desk{Seats: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Waiting: []desk.Waiting{
		{Run: "a", Thread: "t1"}, {Run: "b", Thread: "t2"}, {Run: "c", Thread: "t3"},
	}}
	_, got := d.Next(rules())
	if want := []desk.Waiting{{Run: "b", Thread: "t2"}}; !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
	_, got = d.Remove("r1").Next(rules())
	if want := []desk.Waiting{{Run: "a", Thread: "t1"}, {Run: "b", Thread: "t2"}}; !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
}

// history drives one desk through random steps and keeps a plain account of what must be true of it.
type history struct {
	t       *testing.T
	rng     *rand.Rand
	limits  chat.Limits
	desk    desk.Desk
	arrived []desk.Waiting // accepted and not begun, in order
	next    int
}

func TestRandomHistories(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range 300 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		h := &history{t: t, rng: rng, limits: chat.Limits{Runs: 1 + rng.IntN(5), Waiting: rng.IntN(8)}}
		for range 200 {
			h.step()
			if t.Failed() {
				t.Fatalf("history %d of seed %d: %+v", i, seed, h.desk)
			}
		}
		h.drain()
	}
}

func (h *history) step() {
	before := fmt.Sprint(h.desk)
	was := h.desk
	switch h.rng.IntN(5) {
	case 0, 1:
		h.admit()
	case 2:
		h.desk = h.desk.Remove(h.anySeat())
	case 3:
		h.start()
	case 4:
		if len(h.arrived) > 0 { // somebody cancels a waiting run
			i := h.rng.IntN(len(h.arrived))
			h.desk = h.desk.Remove(h.arrived[i].Run)
			h.arrived = slices.Delete(h.arrived, i, i+1)
		}
	}
	if fmt.Sprint(was) != before {
		h.t.Errorf("a function changed the desk that it was given: %v, was %s", was, before)
	}
	h.check()
}

func (h *history) admit() {
	h.next++
	run := chat.RunID(fmt.Sprint("r", h.next))
	thread := chat.ThreadID(fmt.Sprint("t", h.rng.IntN(4)))
	policy := []chat.WhenBusy{chat.Enqueue, chat.Reject, chat.Interrupt}[h.rng.IntN(3)]
	_, startable := h.desk.Next(desk.Rules{Limits: h.limits})
	d, got, err := h.desk.Admit(desk.Ask{Run: run, Thread: thread, WhenBusy: policy}, desk.Rules{Limits: h.limits})
	if err != nil {
		if !reflect.DeepEqual(d, h.desk) {
			h.t.Errorf("refused %s, and yet the desk changed", run)
		}
		return
	}
	if again, twice, err := d.Admit(desk.Ask{Run: run, Thread: thread, WhenBusy: policy}, desk.Rules{Limits: h.limits}); err != nil || twice != got || fmt.Sprint(again) != fmt.Sprint(d) {
		h.t.Errorf("the repeat of %s gave %+v, %v; the first %+v", run, twice, err, got)
	}
	if got.State == chat.RunAdmitted && len(h.desk.Seats)+len(startable) >= h.limits.Runs {
		h.t.Errorf("%s overtook %v", run, startable)
	}
	if got.Interrupt != "" && h.desk.Seats[got.Interrupt] != thread {
		h.t.Errorf("%s is to interrupt %s, which does not sit on its thread", run, got.Interrupt)
	}
	if got.State == chat.RunWaiting {
		h.arrived = slices.Insert(h.arrived, got.Position-1, d.Waiting[got.Position-1])
	}
	h.desk = d
}

func (h *history) start() {
	d, started := h.desk.Next(desk.Rules{Limits: h.limits})
	for _, w := range started {
		for _, a := range h.arrived {
			if a.Run == w.Run {
				break
			}
			if a.Thread == w.Thread {
				h.t.Errorf("%s began before %s of its thread", w.Run, a.Run)
			}
		}
		h.arrived = slices.DeleteFunc(h.arrived, func(a desk.Waiting) bool { return a == w })
	}
	if _, more := d.Next(desk.Rules{Limits: h.limits}); len(more) > 0 {
		h.t.Errorf("Next left %v behind", more)
	}
	h.desk = d
}

func (h *history) check() {
	if len(h.desk.Seats) > h.limits.Runs || len(h.desk.Waiting) > h.limits.Waiting {
		h.t.Errorf("%d seats of %d, %d waiting of %d", len(h.desk.Seats), h.limits.Runs, len(h.desk.Waiting), h.limits.Waiting)
	}
	threads := slices.Sorted(maps.Values(h.desk.Seats))
	if len(slices.Compact(threads)) != len(h.desk.Seats) {
		h.t.Error("a thread has two seats")
	}
	if !slices.Equal(h.desk.Waiting, h.arrived) {
		h.t.Errorf("waiting %v, want %v", h.desk.Waiting, h.arrived)
	}
}

// drain ends every run: then everybody who waited has begun.
func (h *history) drain() {
	for range h.limits.Waiting + 1 {
		for run := range h.desk.Seats {
			h.desk = h.desk.Remove(run)
		}
		h.start()
	}
	if len(h.desk.Waiting) > 0 {
		h.t.Errorf("%v never began", h.desk.Waiting)
	}
}

func (h *history) anySeat() chat.RunID {
	runs := slices.Sorted(maps.Keys(h.desk.Seats))
	if len(runs) == 0 {
		return "nobody"
	}
	return runs[h.rng.IntN(len(runs))]
}

func TestAThreadsStatusAndRuns(t *testing.T) {
	d := desk.Desk{Seats: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Waiting: []desk.Waiting{
		{Run: "w1", Thread: "t2"}, {Run: "w2", Thread: "t1"}, {Run: "w3", Thread: "t2"},
	}}
	for _, c := range []struct {
		thread chat.ThreadID
		status chat.ThreadStatus
		runs   []chat.RunID
	}{
		{"t1", chat.ThreadRunning, []chat.RunID{"r1", "w2"}},
		{"t2", chat.ThreadWaiting, []chat.RunID{"w1", "w3"}},
		{"t3", chat.ThreadIdle, nil},
	} {
		if got := d.Status(c.thread); got != c.status {
			t.Errorf("%s is %s, want %s", c.thread, got, c.status)
		}
		if got := d.Runs(c.thread); !slices.Equal(got, c.runs) {
			t.Errorf("%s has %v, want %v", c.thread, got, c.runs)
		}
	}
}
