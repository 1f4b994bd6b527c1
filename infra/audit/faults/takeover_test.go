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

// A worker is frozen while one of its records is being written. Its lease expires, and another worker takes the run
// over and reads the log. Before that worker writes its first record the old record arrives, and then the old worker
// continues. Every event has one number, every number has one event, and the run ends once. For processes that start
// later the clock is a minute ahead, so that the test does not wait for the lease or for the time at which the run is
// due.
func TestFault45_OldOwnerWakesUp(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window, other := g.window(), g.window()
	frozen, reading, arrived := testkit.NewSignal(), testkit.NewSignal(), testkit.NewSignal()
	var writes atomic.Int32 // of workers to the log, from the frozen one on
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || !requestHas(r, "PutItem", "E#") || !frozen.Fired() &&
			!requestHas(r, "PutItem", "5 ") {
			return proxy.Fine, nil
		}
		switch writes.Add(1) {
		case 1: // of the old worker
			if g.Host().Freeze(g.Function("TurnFunction"), "") == 0 {
				t.Error("no process was frozen")
			}
			frozen.Fire()
			g.hold(reading)
			return proxy.Fine, arrived.Fire
		case 2: // the first of the new worker, which it numbered by the log that it read
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
		t.Error("no process was frozen: this proves nothing")
	}
	g.WaitForAnswer(window, "the end")
	g.WaitForRest("TurnFunction", "")
	g.checkWindows(1, window, other, g.window())
}

// Two devices respond to one interrupt at once, one approves and one refuses. One response is taken, the other device
// is notified, and the tool is called once or not at all, as the taken response says.
func TestFault46_TwoDevicesAnswer(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	devices := []*testkit.Device{g.window(), g.window()}
	g.Send(devices[0], "/call notes_save {\"text\":\"kept\"}\n/call notes_clear\n/say done")
	var interrupt agui.Interrupt
	for _, d := range devices {
		interrupt = g.WaitFor(d, "shows the interrupt", func(st client.State) bool {
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
			g.hold(both) // neither is written before both have been decided
		}
		return proxy.Fine, nil
	})
	responses := []agui.Resume{{InterruptID: interrupt.ID, Status: agui.ResumeResolved},
		{InterruptID: interrupt.ID, Status: agui.ResumeCancelled}}
	var responding sync.WaitGroup
	for i, d := range devices {
		responding.Go(func() {
			if _, err := d.Respond(responses[i:i+1], ""); err != nil {
				t.Error(err)
			}
		})
	}
	responding.Wait()
	notified := 0
	for _, d := range devices {
		st := g.WaitForAnswer(d, "done")
		if len(st.Interrupts) > 0 {
			t.Errorf("a device still shows the interrupts %+v", st.Interrupts)
		}
		for _, n := range st.Notices {
			if n.Code == wire.CodeInterrupted && n.Message != "" {
				notified++
			}
		}
	}
	if notified != 1 {
		t.Errorf("%d devices were notified that another response was taken, want 1", notified)
	}
	g.checkWindows(2, devices...)
	kept := testkit.CountNotes(t, g.Ctx, g.Endpoints())
	cleared := testkit.Says(devices[0].State(), agui.RoleTool, "refused")
	if want := map[bool]int{true: 1, false: 0}[cleared]; kept[g.alice.Name] != want {
		t.Errorf("%d notes are kept, want %d; a device shows %+v", kept[g.alice.Name], want,
			devices[0].State().Messages)
	}
}

// A user opens an eleventh window. The oldest window is sent the reason and stays closed instead of replacing another
// one; the ten others get everything. When the user uses the closed window, the next oldest is replaced.
func TestFault47_ElevenSockets(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	var windows []*testkit.Device
	for range 11 {
		windows = append(windows, g.window())
	}
	oldest, others := windows[0], windows[1:]
	replaced := func(st client.State) bool { return st.Status == client.Replaced }
	g.WaitFor(oldest, "shows that it was replaced", replaced)
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
	g.WaitFor(others[0], "shows that it was replaced", replaced)
	for _, w := range append(others[1:], oldest) {
		g.WaitForAnswer(w, "used again")
	}
	g.checkWindows(2, append(others[1:], oldest)...)
}
