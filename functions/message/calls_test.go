package main

import (
	"fmt"
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// heldCalls calls do with a window of a rig whose calls to the table and the edge are counted. Calls that run at the
// same time count as one round.
func heldCalls(t *testing.T, do func(t *testing.T, w window, calls *gatewaytest.Calls)) {
	t.Helper()
	r := newRig(t)
	calls := gatewaytest.NewCalls(t, store.Config{Limits: r.limits, Now: r.now})
	calls.Run(t, func(t *testing.T) {
		r.t, r.edge, r.table = t, gatewaytest.NewEdge(t), calls.Table
		r.poster, r.invoker = calls.Edge(r.edge), calls.Edge(r.edge)
		do(t, r.window("alice", "w1="), calls)
	})
}

// TestRun_SequentialCalls bounds the calls one after the other from a run frame to the invocation of turn. The test of
// the same name in functions/turn continues from there to the post of RUN_STARTED. The connection watches the thread of
// the run, so its row is read and not written.
func TestRun_SequentialCalls(t *testing.T) {
	heldCalls(t, func(t *testing.T, w window, calls *gatewaytest.Calls) {
		w.hello(`{"type":"hello","n":1,"threadId":"t"}`)
		calls.Reset()
		w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
		if got := calls.Round("invoke turn"); got != 3 {
			t.Errorf("turn is invoked after %d sequential calls, want 3:\n%s", got, calls)
		}
		if got := calls.Round("post accepted"); got != 3 {
			t.Errorf("accepted is posted after %d sequential calls, want 3:\n%s", got, calls)
		}
		if calls.Round("GetItem CONN#") != 1 || calls.Round("UpdateItem CONN#") != 0 {
			t.Errorf("the row of the connection is not only read:\n%s", calls)
		}
	})
}

// A run moves its connection to its thread. It does not write the row of a connection that watches the thread already.
func TestRun_WatchesItsThread(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.hello(`{"type":"hello","n":1,"threadId":"elsewhere"}`)
	for n, run := range []string{"r1", "r2"} {
		w.send(strings.NewReplacer("r1", run, `"n":2`, fmt.Sprintf(`"n":%d`, n+2)).Replace(hi))
		if row, err := w.store().Connection(t.Context(), w.id); err != nil || row.Thread != "t" || row.N != 2 {
			t.Errorf("after %s the connection watches %+v, error %v", run, row, err)
		}
	}
}

// A connection receives broadcasts from its first frame on, also if that is a run of the thread that its connect
// allocated.
func TestRun_BeforeTheHello(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	row, err := w.store().Connection(t.Context(), w.id)
	if err != nil {
		t.Fatal(err)
	}
	w.send(strings.ReplaceAll(hi, `"threadId":"t"`, `"threadId":"`+string(row.Thread)+`"`))
	if row, err := w.store().Connection(t.Context(), w.id); err != nil || row.N != 2 {
		t.Errorf("the connection has %+v, error %v", row, err)
	}
}

// TestHello_SequentialCalls bounds the calls one after the other from a hello to its first missed event, or to the
// snapshot in its place.
func TestHello_SequentialCalls(t *testing.T) {
	for _, c := range []struct {
		name, cursor, until string
		want                int
	}{
		{"missed events", `,"cursor":{"epoch":"%s","seq":4}`, "post events", 4},
		{"missed events of a run that goes on", `,"cursor":{"epoch":"%s","seq":7}`, "post events", 4},
		{"nothing missed", `,"cursor":{"epoch":"%s","seq":9}`, "post ready", 4},
		{"no cursor", ``, "post snapshot", 4},
		{"a cursor of another epoch", `,"cursor":{"epoch":"not%s","seq":4}`, "post snapshot", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			heldCalls(t, func(t *testing.T, w window, calls *gatewaytest.Calls) {
				w.send(hi)
				w.does("r1", "one", true) // 1–5
				w.send(strings.ReplaceAll(hi, "r1", "r2"))
				w.does("r2", "two", false) // 6–9
				cursor := c.cursor
				if cursor != "" {
					cursor = fmt.Sprintf(cursor, w.epoch())
				}
				calls.Reset()
				w.hello(`{"type":"hello","n":9,"threadId":"t"` + cursor + `}`)
				if got := calls.Round(c.until); got != c.want {
					t.Errorf("%q comes after %d sequential calls, want %d:\n%s", c.until, got, c.want, calls)
				}
			})
		})
	}
}

// smallFrames are the frames but for hello and run, with the sequential calls from each to its answer: the last of them
// is the answer's post, or the post to the last connection that signOut ends.
func smallFrames() map[wire.Type]smallFrame {
	return map[wire.Type]smallFrame{
		wire.TypePing:    {`"threadId":"t","cursor":{"epoch":"%s","seq":4}`, "post pong", 2},
		wire.TypeHistory: {`"threadId":"t"`, "post history", 3},
		wire.TypeRename:  {`"threadId":"t","title":"another"`, "post done", 3},
		wire.TypeDelete:  {`"threadId":"t"`, "post done", 4},
		wire.TypeCancel:  {`"runId":"r1"`, "post accepted", 3},
		wire.TypeRuns:    {`"limit":9`, "post runs", 3},
		wire.TypeThreads: {`"limit":9`, "post threads", 4},
		wire.TypeErase:   {`"confirm":true`, "post accepted", 3},
		wire.TypeSignOut: {`"everywhere":true`, "post error", 3},
	}
}

type smallFrame struct {
	fields, answer string
	want           int
}

// TestFrame_SequentialCalls bounds the calls of each small frame. A frame type without a row fails.
func TestFrame_SequentialCalls(t *testing.T) {
	for _, typ := range wire.ClientTypes() {
		frame, known := smallFrames()[typ]
		if !known {
			if typ != wire.TypeHello && typ != wire.TypeRun {
				t.Errorf("%s has no row in smallFrames", typ)
			}
			continue
		}
		t.Run(string(typ), func(t *testing.T) {
			heldCalls(t, func(t *testing.T, w window, calls *gatewaytest.Calls) {
				w.send(hi)
				w.does("r1", "one", typ != wire.TypeCancel && typ != wire.TypeErase)
				fields := frame.fields
				if strings.Contains(fields, "%s") {
					fields = fmt.Sprintf(fields, w.epoch())
				}
				calls.Reset()
				w.send(fmt.Sprintf(`{"type":%q,%s}`, typ, fields))
				if got := calls.Round(frame.answer); got != frame.want {
					t.Errorf("%s is answered after %d sequential calls, want %d:\n%s", typ, got, frame.want, calls)
				}
			})
		})
	}
}
