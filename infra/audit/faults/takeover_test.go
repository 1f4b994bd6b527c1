package faults_test

import (
	"carrel/infra/testkit"

	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// A worker is frozen with a record on its way. Its lease passes and another takes the run over, reads the log, and is
// about to write its first record, when the old one's record arrives after all, and then the old one wakes up: every
// event has one number and every number one event, and the run ends once. To the processes that start later it is a
// minute later, so that nobody has to wait for the lease or for the time at which the run is due.
func TestFault45OldOwnerWakesUp(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window, other := g.window(), g.window()
	frozen, reading, arrived := testkit.NewSignal(), testkit.NewSignal(), testkit.NewSignal()
	var writes atomic.Int32 // of workers to the log, from the one on that is late
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || !requestHas(r, "PutItem", "E#") || !frozen.Fired() &&
			!requestHas(r, "PutItem", "5 ") {
			return proxy.Fine, nil
		}
		switch writes.Add(1) {
		case 1: // the old one's
			if g.Host().Freeze(g.Function("TurnFunction"), "") == 0 {
				t.Error("nobody was frozen")
			}
			frozen.Fire()
			g.hold(reading)
			return proxy.Fine, arrived.Fire
		case 2: // the new one's first, which it has chosen by what the log held
			reading.Fire()
			g.hold(arrived)
		}
		return proxy.Fine, nil
	})
	g.Send(window, "/say begun\n/stream 60 20\n/say the end")
	g.WaitForSignal(frozen, "the freeze")
	g.advanceClocks(61 * time.Second)
	g.sweep()
	g.WaitForSignal(arrived, "the late record")
	if g.Host().Thaw(g.Function("TurnFunction"), "") == 0 {
		t.Error("nobody was frozen: that proves nothing")
	}
	g.WaitForAnswer(window, "the end")
	g.WaitForRest("TurnFunction", "")
	g.checkWindows(1, window, other, g.window())
}

// Two devices answer one question at once, one with yes and one with no: one of them is taken, the other is told, and
// what was asked about happens once or not at all, as the one that was taken says.
func TestFault46TwoDevicesAnswer(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	devices := []*testkit.Device{g.window(), g.window()}
	g.Send(devices[0], "/call notes_save {\"text\":\"kept\"}\n/call notes_clear\n/say done")
	var question agui.Interrupt
	for _, d := range devices {
		question = g.WaitFor(d, "the question", func(st client.State) bool {
			return testkit.Idle(st) &&
				len(st.Interrupts) == 1
		}).Interrupts[0]
	}
	var arrived atomic.Int32
	both := testkit.NewSignal()
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && requestHas(r, "TransactWriteItems", "QUEUE") && !both.Fired() {
			if arrived.Add(1) == 2 {
				both.Fire()
			}
			g.hold(both) // neither is written before both have been decided on
		}
		return proxy.Fine, nil
	})
	answers := []agui.Resume{{InterruptID: question.ID, Status: agui.ResumeResolved},
		{InterruptID: question.ID, Status: agui.ResumeCancelled}}
	var answering sync.WaitGroup
	for i, d := range devices {
		answering.Go(func() {
			if _, err := d.Respond(answers[i:i+1], ""); err != nil {
				t.Error(err)
			}
		})
	}
	answering.Wait()
	told := 0
	for _, d := range devices {
		st := g.WaitForAnswer(d, "done")
		if len(st.Interrupts) > 0 {
			t.Errorf("a device still asks %+v", st.Interrupts)
		}
		for _, n := range st.Notices {
			if n.Code == wire.CodeInterrupted && n.Message != "" {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("%d devices were told that another was faster", told)
	}
	g.checkWindows(2, devices...)
	kept := testkit.CountNotes(t, g.Ctx, g.Endpoints())
	cleared := testkit.Says(devices[0].State(), agui.RoleTool, "refused")
	if want := map[bool]int{true: 1, false: 0}[cleared]; kept[g.alice.Name] != want {
		t.Errorf("%d notes are kept, want %d; a device shows %+v", kept[g.alice.Name], want,
			devices[0].State().Messages)
	}
}

// A user opens an eleventh window: the oldest is told why it goes, and stays closed instead of driving out the next;
// the ten others get everything. When a person uses the closed one, it is the next oldest that goes.
func TestFault47ElevenSockets(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	var windows []*testkit.Device
	for range 11 {
		windows = append(windows, g.window())
	}
	oldest, others := windows[0], windows[1:]
	replaced := func(st client.State) bool { return st.Status == client.Replaced }
	g.WaitFor(oldest, "the oldest is told", replaced)
	g.Send(others[0], "/say begun\n/stream 20 20\n/say the end")
	for _, w := range others {
		g.WaitForAnswer(w, "the end")
	}
	g.checkWindows(1, others...)
	if n := len(g.Gateway().Connections()); n != 10 || !replaced(oldest.State()) {
		t.Errorf("%d sockets are open; the oldest window is %s", n, oldest.State().Status)
	}
	if _, err := oldest.Send("/say used again"); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(others[0], "the next oldest is told", replaced)
	for _, w := range append(others[1:], oldest) {
		g.WaitForAnswer(w, "used again")
	}
	g.checkWindows(2, append(others[1:], oldest)...)
}
