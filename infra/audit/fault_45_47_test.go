package audit_test

import (
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
	g := newStage(t, stack.Config{})
	window, other := g.window(), g.window()
	frozen, reading, arrived := newSignal(), newSignal(), newSignal()
	var writes atomic.Int32 // of workers to the log, from the one on that is late
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || !holds(r, "PutItem", "E#") || !frozen.given() && !holds(r, "PutItem", "5 ") {
			return proxy.Fine, nil
		}
		switch writes.Add(1) {
		case 1: // the old one's
			if g.Host().Freeze(g.Function("TurnFunction"), "") == 0 {
				t.Error("nobody was frozen")
			}
			frozen.give()
			g.hold(reading)
			return proxy.Fine, arrived.give
		case 2: // the new one's first, which it has chosen by what the log held
			reading.give()
			g.hold(arrived)
		}
		return proxy.Fine, nil
	})
	g.send(window, "/say begun\n/stream 60 20\n/say the end")
	g.until(frozen, "the freeze")
	g.later(61 * time.Second)
	g.sweep()
	g.until(arrived, "the late record")
	if g.Host().Thaw(g.Function("TurnFunction"), "") == 0 {
		t.Error("nobody was frozen: that proves nothing")
	}
	g.said(window, "the end")
	g.resting("TurnFunction", "")
	g.exact(1, window, other, g.window())
}

// hold waits in a hook for a signal, unless the test ends.
func (g *stage) hold(s *signal) {
	select {
	case <-s.c:
	case <-g.ctx.Done():
	}
}

// Two devices answer one question at once, one with yes and one with no: one of them is taken, the other is told, and
// what was asked about happens once or not at all, as the one that was taken says.
func TestFault46TwoDevicesAnswer(t *testing.T) {
	g := newStage(t, stack.Config{})
	devices := []*socket{g.window(), g.window()}
	g.send(devices[0], "/call notes_save {\"text\":\"kept\"}\n/call notes_clear\n/say done")
	var question agui.Interrupt
	for _, d := range devices {
		question = g.await(d, "the question", func(st client.State) bool { return idle(st) && len(st.Interrupts) == 1 }).Interrupts[0]
	}
	var arrived atomic.Int32
	both := newSignal()
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && holds(r, "TransactWriteItems", "QUEUE") && !both.given() {
			if arrived.Add(1) == 2 {
				both.give()
			}
			g.hold(both) // neither is written before both have been decided on
		}
		return proxy.Fine, nil
	})
	answers := []agui.Resume{{InterruptID: question.ID, Status: agui.ResumeResolved}, {InterruptID: question.ID, Status: agui.ResumeCancelled}}
	var answering sync.WaitGroup
	for i, d := range devices {
		answering.Go(func() {
			if _, err := d.Answer(answers[i:i+1], ""); err != nil {
				t.Error(err)
			}
		})
	}
	answering.Wait()
	told := 0
	for _, d := range devices {
		st := g.said(d, "done")
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
	g.exact(2, devices...)
	kept, err := notes(g.ctx, g.Endpoints())
	cleared := says(devices[0].State(), agui.RoleTool, "refused")
	if want := map[bool]int{true: 1, false: 0}[cleared]; err != nil || kept[g.alice.name] != want {
		t.Errorf("%d notes are kept, %v, want %d; a device shows %+v", kept[g.alice.name], err, want, devices[0].State().Messages)
	}
}

// A user opens an eleventh window: the oldest is told why it goes, and stays closed instead of driving out the next; the
// ten others get everything. When a person uses the closed one, it is the next oldest that goes.
func TestFault47ElevenSockets(t *testing.T) {
	g := newStage(t, stack.Config{})
	var windows []*socket
	for range 11 {
		windows = append(windows, g.window())
	}
	oldest, others := windows[0], windows[1:]
	replaced := func(st client.State) bool { return st.Status == client.Replaced }
	g.await(oldest, "the oldest is told", replaced)
	g.send(others[0], "/say begun\n/stream 20 20\n/say the end")
	for _, w := range others {
		g.said(w, "the end")
	}
	g.exact(1, others...)
	if n := len(g.Gateway().Connections()); n != 10 || !replaced(oldest.State()) {
		t.Errorf("%d sockets are open; the oldest window is %s", n, oldest.State().Status)
	}
	if _, err := oldest.Send("/say used again"); err != nil {
		t.Fatal(err)
	}
	g.await(others[0], "the next oldest is told", replaced)
	for _, w := range append(others[1:], oldest) {
		g.said(w, "used again")
	}
	g.exact(2, append(others[1:], oldest)...)
}
