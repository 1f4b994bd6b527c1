package emit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/wire"
)

// started appends and delivers the first record of a run with the thread's row.
func (r *rig) started(t *testing.T) {
	t.Helper()
	events := []agui.Event{{Type: agui.RunStarted, ThreadID: thread, RunID: run}}
	seq, err := r.log.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	r.Deliver(seq, events, &wire.ThreadInfo{ThreadID: thread, Status: chat.ThreadRunning})
	synctest.Wait()
}

// frames describes the frames that a connection received: how many events each has, and the status of its row.
func (r *rig) frames(id chat.ConnectionID) (all []string) {
	var got []wire.ServerFrame
	r.edge.Set(func() { got = slices.Clone(r.edge.Got[id]) })
	for _, f := range got {
		switch f := f.(type) {
		case *wire.Thread:
			all = append(all, "row "+string(f.Status))
		case *wire.Events:
			text := fmt.Sprint("events ", len(f.Events))
			if f.Row != nil {
				text += " row " + string(f.Row.Status)
			}
			all = append(all, text)
		}
	}
	return all
}

func (r *rig) wantFrames(t *testing.T, id chat.ConnectionID, want ...string) {
	t.Helper()
	if got := r.frames(id); !slices.Equal(got, want) {
		t.Errorf("%s received %q, want %q", id, got, want)
	}
}

func TestDeliver_RowInTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := conn("other")
		other.Thread = "another"
		r := newRig(t, &fakeLog{}, lasthoptest.New(conn("a"), other))
		synctest.Wait() // for the first list
		r.started(t)
		r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "s"})
		synctest.Wait()
		r.wantFrames(t, "a", "events 1 row running", "events 1")
		r.wantFrames(t, "other", "row running")
		r.end(t)
	})
}

func TestDeliver_RowBeforeTheFirstList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := conn("other")
		other.Thread = "another"
		edge, listed := lasthoptest.New(conn("a"), other), make(chan struct{})
		edge.List = func(context.Context) error { <-listed; return nil }
		r := newRig(t, &fakeLog{}, edge)
		r.started(t)
		r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "s"})
		synctest.Wait()
		r.wantFrames(t, "a")
		close(listed)
		synctest.Wait()
		r.wantFrames(t, "a", "events 1 row running", "events 1") // a row ends a message
		r.wantFrames(t, "other", "row running")
		r.end(t)
	})
}

// A connection that stops watching the thread before it has received the record receives the row alone, whether the
// record is queued or is being posted at that time.
func TestDeliver_RowOfARefusedRecord(t *testing.T) {
	for _, queued := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			edge := lasthoptest.New(conn("a"))
			r := newRig(t, &fakeLog{}, edge)
			synctest.Wait()
			edge.Set(func() { edge.Fails["a"] = fmt.Errorf("post: %w", chat.ErrSlow) })
			if queued {
				r.emit(t, opening()...)
				synctest.Wait()
			}
			r.started(t)
			elsewhere := conn("a")
			elsewhere.Thread, elsewhere.N = "another", 2
			edge.Put(elsewhere)
			time.Sleep(1100 * time.Millisecond) // for the next list
			edge.Set(func() { delete(edge.Fails, "a") })
			time.Sleep(2 * time.Second)
			r.wantFrames(t, "a", "row running")
			r.end(t)
		})
	}
}

func TestDeliver_RowOfALateConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New()
		r := newRig(t, &fakeLog{}, edge)
		synctest.Wait()
		r.started(t)
		edge.Put(conn("at the first record"))
		time.Sleep(1100 * time.Millisecond)
		r.wantFrames(t, "at the first record", "events 1 row running")
		r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "s"})
		synctest.Wait()
		other := conn("other")
		other.Thread = "another"
		edge.Put(other)
		edge.Put(conn("at a later record"))
		time.Sleep(1100 * time.Millisecond)
		r.wantFrames(t, "at a later record", "events 1", "row running")
		r.wantFrames(t, "other", "row running")
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: chat.ThreadQueued}})
		edge.Put(conn("after a broadcast"))
		time.Sleep(1100 * time.Millisecond)
		r.wantFrames(t, "after a broadcast", "events 1", "row queued")
		r.end(t)
	})
}

// Records that wait for a slow connection are joined with the last one, whose row the message brings.
func TestDeliver_RowOfJoinedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("a"))
		r := newRig(t, &fakeLog{}, edge)
		synctest.Wait()
		edge.Set(func() { edge.Takes["a"] = 500 * time.Millisecond })
		r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "s"})
		synctest.Wait()
		r.emit(t, agui.Event{Type: agui.StepFinished, StepName: "s"})
		synctest.Wait()
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := []agui.Event{{Type: agui.RunFinished, ThreadID: thread, RunID: run}}
		seq, err := r.log.Append(t.Context(), last)
		r.Deliver(seq, last, &wire.ThreadInfo{ThreadID: thread, Status: chat.ThreadIdle})
		if err := errors.Join(err, r.Finish(t.Context())); err != nil {
			t.Fatal(err)
		}
		r.close(t)
		r.wantFrames(t, "a", "events 1", "events 2 row idle")
	})
}
