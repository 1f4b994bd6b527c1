package runqueue_test

import (
	"errors"
	"slices"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

func rules() runqueue.Policy { return runqueue.Policy{Limits: chat.Limits{Runs: 2, Queued: 3}} }

func TestAdmit(t *testing.T) {
	full := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r1": "t1", "r2": "t2"}}
	queue := runqueue.Queue{Slots: full.Slots, Queued: []runqueue.Entry{{Run: "w1", Thread: "t1"}, {Run: "w2", Thread: "t1"}, {Run: "w3", Thread: "t3"}}}
	startable := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Queued: []runqueue.Entry{{Run: "w3", Thread: "t3"}}}
	held := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r2": "t2", "r3": "t3"}, Queued: []runqueue.Entry{{Run: "w1", Thread: "t1"}}}
	for _, c := range []struct {
		name   string
		queue  runqueue.Queue
		run    chat.RunID
		thread chat.ThreadID
		policy chat.WhenBusy
		answer bool
		want   runqueue.Decision
		err    error
	}{
		{"an empty queue", runqueue.Queue{}, "r1", "t1", "", false, runqueue.Decision{State: chat.RunAdmitted}, nil},
		{"all slots taken", full, "r3", "t3", chat.Enqueue, false, runqueue.Decision{State: chat.RunQueued, Position: 1}, nil},
		{"thread taken", full, "r3", "t1", chat.Enqueue, false, runqueue.Decision{State: chat.RunQueued, Position: 1}, nil},
		{"reject on a busy thread", full, "r3", "t1", chat.Reject, false, runqueue.Decision{}, chat.ErrBusy},
		{"reject on a free thread of a full queue is queued", full, "r3", "t3", chat.Reject, false, runqueue.Decision{State: chat.RunQueued, Position: 1}, nil},
		{"interrupt names the running run", full, "r3", "t1", chat.Interrupt, false, runqueue.Decision{State: chat.RunQueued, Position: 1, Interrupt: "r1"}, nil},
		{"interrupt without a running run", runqueue.Queue{}, "r3", "t1", chat.Interrupt, false, runqueue.Decision{State: chat.RunAdmitted}, nil},
		{"queue full", queue, "r9", "t9", chat.Enqueue, false, runqueue.Decision{}, chat.ErrTooManyRuns},
		{"repeat with a slot", full, "r1", "t1", chat.Reject, false, runqueue.Decision{State: chat.RunAdmitted}, nil},
		{"repeat in a full queue", queue, "w3", "t3", chat.Reject, false, runqueue.Decision{State: chat.RunQueued, Position: 3}, nil},
		{"interrupt of a full queue", queue, "r9", "t1", chat.Interrupt, false, runqueue.Decision{}, chat.ErrTooManyRuns},
		{"a response precedes earlier runs", held, "r9", "t1", "", true, runqueue.Decision{State: chat.RunQueued, Position: 1}, nil},
		{"a response does not wait for its own thread", runqueue.Queue{Queued: held.Queued}, "r9", "t1", chat.Reject, true, runqueue.Decision{State: chat.RunAdmitted}, nil},
		{"never overtakes a run that could start", startable, "r9", "t9", chat.Enqueue, false, runqueue.Decision{State: chat.RunQueued, Position: 2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rules()
			r.AwaitingInput = map[chat.ThreadID]bool{"t1": c.answer}
			_, got, err := c.queue.Admit(runqueue.Request{Run: c.run, Thread: c.thread, WhenBusy: c.policy, Responds: c.answer}, r)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

// A run does not overtake earlier runs of its thread, which wait for the thread's interrupts.
func TestAdmit_ThreadAwaitingInput(t *testing.T) {
	d := runqueue.Queue{Queued: []runqueue.Entry{{Run: "w1", Thread: "t1"}}}
	r := rules()
	r.AwaitingInput = map[chat.ThreadID]bool{"t1": true}
	if _, got, err := d.Admit(runqueue.Request{Run: "r9", Thread: "t1"}, r); err != nil || got.State != chat.RunQueued || got.Position != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNext_Order(t *testing.T) {
	d := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Queued: []runqueue.Entry{
		{Run: "a", Thread: "t1"}, {Run: "b", Thread: "t2"}, {Run: "c", Thread: "t3"},
	}}
	_, got := d.Next(rules())
	if want := []runqueue.Entry{{Run: "b", Thread: "t2"}}; !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
	_, got = d.Remove("r1").Next(rules())
	if want := []runqueue.Entry{{Run: "a", Thread: "t1"}, {Run: "b", Thread: "t2"}}; !slices.Equal(got, want) {
		t.Errorf("started %v, want %v", got, want)
	}
}

func TestStatus_AndRuns(t *testing.T) {
	d := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r1": "t1"}, Queued: []runqueue.Entry{
		{Run: "w1", Thread: "t2"}, {Run: "w2", Thread: "t1"}, {Run: "w3", Thread: "t2"},
	}}
	for _, c := range []struct {
		thread chat.ThreadID
		status chat.ThreadStatus
		runs   []chat.RunID
	}{
		{"t1", chat.ThreadRunning, []chat.RunID{"r1", "w2"}},
		{"t2", chat.ThreadQueued, []chat.RunID{"w1", "w3"}},
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

// A run with priority takes a place of its own thread, never a place of another thread.
func TestAdmit_PriorityWithinThread(t *testing.T) {
	d := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{"r1": "t1"}}
	r := runqueue.Policy{Limits: chat.Limits{Runs: 1, Queued: 9}}
	for _, a := range []runqueue.Request{
		{Run: "a", Thread: "t1"}, {Run: "b", Thread: "t2"}, {Run: "i", Thread: "t1", WhenBusy: chat.Interrupt},
		{Run: "c", Thread: "t2"}, {Run: "j", Thread: "t1", WhenBusy: chat.Interrupt},
	} {
		var err error
		if d, _, err = d.Admit(a, r); err != nil {
			t.Fatal(err)
		}
	}
	var order []chat.RunID
	for _, w := range d.Queued {
		order = append(order, w.Run)
	}
	if want := []chat.RunID{"i", "b", "j", "c", "a"}; !slices.Equal(order, want) {
		t.Errorf("the queue is %v, want %v", order, want)
	}
}
