package main

import (
	"fmt"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/model/scripted"
	"carrel/shared/store"
)

// heldCalls moves the fixture to a table and an edge whose calls are counted, with the window that watches the thread.
// Call it inside calls.Run, with the t of Run.
func (r *fixture) heldCalls(t *testing.T, calls *gatewaytest.Calls) {
	t.Helper()
	s, err := calls.Table.For(r.user)
	if err != nil {
		t.Fatal(err)
	}
	r.edge, r.table, r.tables, r.store = gatewaytest.NewEdge(t), calls.Table, calls.Table, s
	r.poster, r.invoker = calls.Edge(r.edge), calls.Edge(r.edge)
	r.watch(t, "window", "t")
}

// TestTurn_SequentialCalls bounds the calls one after the other from turn's event to the post of RUN_STARTED. The test
// TestRun_SequentialCalls in functions/message bounds those from the run frame to this event.
func TestTurn_SequentialCalls(t *testing.T) {
	r := newFixture(t, fast())
	calls := gatewaytest.NewCalls(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
	calls.Run(t, func(t *testing.T) {
		r.heldCalls(t, calls)
		r.admit(t, "r0", "hello")
		r.turn(t, "r0")
		r.admit(t, "r1", "hello")
		calls.Reset()
		r.turn(t, "r1")
		if got := calls.Round("post events"); got != 5 {
			t.Errorf("RUN_STARTED is posted after %d sequential calls, want 5:\n%s", got, calls)
		}
		if got := calls.Round("Query M#"); got != 4 {
			t.Errorf("the history is read after %d sequential calls, want 4, beside the first record:\n%s", got, calls)
		}
	})
}

// TestTurn_EndCalls checks that the post of the last record waits for nothing but its transaction. The run queue
// is read beside the record before it, for the thread's row, and once after the transaction.
func TestTurn_EndCalls(t *testing.T) {
	r := newFixture(t, fast())
	calls := gatewaytest.NewCalls(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
	calls.Run(t, func(t *testing.T) {
		r.heldCalls(t, calls)
		r.admit(t, "r1", "hello")
		calls.Reset()
		r.turn(t, "r1")
		end, appends, reads, posts := calls.Round("TransactWriteItems E#"), map[int]bool{}, []int{}, 0
		for _, c := range calls.Made() {
			switch {
			case c.Name == "GetItem QUEUE":
				reads = append(reads, c.Round)
			case strings.HasPrefix(c.Name, "PutItem E#"):
				appends[c.Round] = true
			case c.Name == "post events" && c.Round == end+1:
				posts++
			}
		}
		if end == 0 || len(reads) != 2 || !appends[reads[0]] || reads[1] != end+1 {
			t.Errorf("the end is in round %d, and the run queue is read in the rounds %v:\n%s", end, reads, calls)
		}
		if posts != 1 || calls.Round("post thread") != 0 {
			t.Errorf("%d posts after the end in round %d, want one directly behind it and no row:\n%s", posts, end,
				calls)
		}
	})
}

// TestTurn_ReferenceCalls counts the calls of turn for the reference turn of docs/performance.md, in a thread with one
// earlier run. Time is synctest's, so the counts do not depend on the machine, with one exception: if the goroutines of
// engine and emitter run at the same moment, the engine's next event may just miss a flush, which makes a record more.
// Therefore the test counts the records, and all other calls exactly.
func TestTurn_ReferenceCalls(t *testing.T) {
	const others = 15            // requests that write no record
	const records, split = 23, 3 // records, and how many more there may be
	for _, devices := range []int{1, 3} {
		r := newFixture(t, scripted.New(scripted.Config{}))
		calls := gatewaytest.NewCalls(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
		calls.Run(t, func(t *testing.T) {
			r.heldCalls(t, calls)
			for n := range devices - 1 {
				r.watch(t, chat.ConnectionID(fmt.Sprint("window", n)), "t")
			}
			r.admit(t, "r0", "/say hello")
			r.turn(t, "r0")
			r.admit(t, "r1", "/call calculator {\"expression\":\"12*7\"}\n/call clock {\"timezone\":\"UTC\"}\n"+
				"/stream 200 49")
			calls.Reset()
			r.turn(t, "r1")
			posts, wrote := 0, 0
			for _, c := range calls.Made() {
				if strings.HasPrefix(c.Name, "post ") {
					posts++
				}
				if strings.Contains(c.Name, "Item E#") || strings.HasPrefix(c.Name, "TransactWriteItems E#") {
					wrote++
				}
			}
			requests := len(calls.Made()) - posts - wrote
			if wrote < records || wrote > records+split || requests != others || posts != wrote*devices {
				t.Errorf("%d devices: turn wrote %d records, and made %d other requests and %d posts:\n%s", devices,
					wrote, requests, posts, calls)
			}
		})
	}
}
