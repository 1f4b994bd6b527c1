package faults_test

import (
	"carrel/infra/testkit"

	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// A device connects after the worker has listed the user's connections for the last time before the end of the run, and
// before that end is in the log. Its hello finds the run active, and the worker does not know of the device. The device
// is sent the end all the same, without another request.
func TestFault41_DeviceBetweenLastListAndLastAppend(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window := g.window()
	ending, connected := testkit.NewSignal(), testkit.NewSignal()
	var ended atomic.Bool
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		switch {
		case r.Caller != "TurnFunction":
		case requestHas(r, "TransactWriteItems", "RUN_FINISHED"):
			ending.Fire()
			g.hold(connected)
			return proxy.Fine, func() { ended.Store(true) }
		case requestHas(r, "Query", "CONN#") && ending.Fired() && !ended.Load():
			return proxy.Broken, nil // no list succeeds before the end is written
		}
		return proxy.Fine, nil
	})
	g.Send(window, "/stream 10 20\n/say the end")
	g.WaitForSignal(ending, "the run's end")
	sent := g.recordInbound(nil)
	late := g.window()
	if st := late.State(); st.Active == "" {
		t.Fatalf("the run had ended when the device connected: this proves nothing: %+v", st)
	}
	connected.Fire()
	g.WaitForAnswer(late, "the end")
	if n := sent.count(late.Connection(t), "hello") + sent.count(late.Connection(t), "ping"); n != 1 {
		t.Errorf("the device sent %d requests", n)
	}
	g.checkWindows(1, window, late)
}

// Of two hellos the later arrives first: the connection stays on the thread of the later one and is sent its events. A
// run is cancelled before its frame is handled: the client sends the cancel after the answer, and the run ends.
func TestFault42_HellosAndCancelOvertake(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window := g.window()
	held := testkit.NewSignal() // holds the first hello until the second is answered
	done := testkit.NewSignal()
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && requestHas(r, "UpdateItem", "CONN#", "the-first") {
			g.hold(held)
			return proxy.Fine, done.Fire
		}
		return proxy.Fine, nil
	})
	device := testkit.OpenRaw(t, g.Ctx, g.Endpoints(), g.alice.Name)
	device.MustSend(t, g.Ctx, `{"type":"hello","n":1,"threadId":"the-first"}`)
	device.MustSend(t, g.Ctx, fmt.Sprintf(`{"type":"hello","n":2,"threadId":%q}`, g.alice.Threads[0]))
	if r := device.MustRead(t, g.Ctx); r.Type != "ready" {
		t.Fatalf("the second hello is answered with %+v", r)
	}
	held.Fire()
	g.WaitForSignal(done, "the first hello")
	g.SetTableHook(nil)
	g.Send(window, "/stream 10 20\n/say the end")
	g.WaitForAnswer(window, "the end")
	if got := readRun(g, device, g.alice.Threads[0]); !strings.Contains(got, "the end") {
		t.Errorf("the device watches the second thread and was sent %s", got)
	}
	g.recordInbound(func(m apigateway.Message) apigateway.MessageFault {
		if isFrame(m.Body, "run") {
			return apigateway.MessageFault{Delay: 2 * time.Second} // a busy machine may take long for the cancel
		}
		return apigateway.MessageFault{}
	})
	run := g.Send(window, "/stream 1000 100\n/say never said")
	if err := window.Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(window, "has no active and no queued run", func(st client.State) bool { return testkit.Idle(st) })
	window.WaitFrames(t, g.Ctx, "the run is accepted", func() bool { // or the run may not even have arrived
		return slices.ContainsFunc(testkit.Frames[*wire.Accepted](window),
			func(a *wire.Accepted) bool { return a.RequestID == "run."+string(run) })
	})
	g.SetGatewayFaults(apigateway.Faults{})
	g.Send(window, "/say and on")
	if st := g.WaitForAnswer(window, "and on"); testkit.Says(st, agui.RoleAssistant, "never said") {
		t.Errorf("the cancelled run has an answer: %+v", st.Messages)
	}
	started := 2
	if slices.ContainsFunc(testkit.Frames[*wire.Events](window), func(e *wire.Events) bool { return e.RunID == run }) {
		started = 3 // its worker was faster than the cancel
	}
	g.checkWindows(started, window)
}

// readRun reads until a run of a thread ends, and returns the events frames that were read.
func readRun(g *faultEnv, r *testkit.Raw, thread chat.ThreadID) string {
	g.Helper()
	var all strings.Builder
	for {
		frame, err := r.Read(g.Ctx)
		if err != nil {
			g.Fatalf("after %s: %v", &all, err)
		}
		f, err := wire.DecodeServer(frame)
		e, ok := f.(*wire.Events)
		if err != nil || !ok || e.ThreadID != thread {
			continue
		}
		all.Write(frame)
		if e.Events[len(e.Events)-1].Terminal() {
			return all.String()
		}
	}
}

// A thread is deleted while the process of its run is frozen. The thread is deleted at once in all windows. When the
// process continues it writes nothing of the thread again, and neither its lease nor its slot blocks the user.
func TestFault43_ThreadDeletedWhileFrozen(t *testing.T) {
	t.Run("before any window shows it", func(t *testing.T) { deleteFrozen(t, "RUN_STARTED", false) })
	t.Run("in the middle", func(t *testing.T) { deleteFrozen(t, "7 ", true) })
}

// deleteFrozen deletes the thread of a worker that is frozen after it wrote a record with a text. If seen is set, the
// windows show the run before.
func deleteFrozen(t *testing.T, at string, seen bool) {
	g := newFaultEnv(t, stack.Config{})
	window, other := g.window(), g.window()
	frozen := g.freezeAt("TurnFunction", "PutItem", "E#", at)
	g.Send(window, "/say begun\n/stream 40 20\n/say the end")
	g.WaitForSignal(frozen, "the freeze")
	for _, w := range []*testkit.Device{window, other} {
		if seen {
			g.WaitFor(w, "shows the first word", func(st client.State) bool {
				return testkit.Says(st,
					agui.RoleAssistant, "begun")
			})
		}
	}
	g.advanceClocks(61 * time.Second)
	if err := other.Delete(g.Ctx, g.alice.Threads[0]); err != nil {
		t.Fatal(err)
	}
	deleted := func(st client.State) bool { return len(st.Threads) == 0 && len(st.Messages) == 0 && st.Epoch == "" }
	for _, w := range []*testkit.Device{window, other} {
		g.WaitFor(w, "shows that the thread is deleted", deleted)
	}
	ended := testkit.NewSignal()
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "TurnFunction" && r.Operation == "TransactWriteItems" {
			return proxy.Fine, ended.Fire
		}
		return proxy.Fine, nil
	})
	g.sweep() // another worker ends the run and erases the thread
	g.WaitForSignal(ended, "the run's end")
	if n := g.Host().Thaw(g.Function("TurnFunction"), ""); n == 0 {
		t.Error("no process was frozen: this proves nothing")
	}
	g.WaitForRest("TurnFunction", "")
	fresh := g.window()
	if rows, err := fresh.Threads(g.Ctx); err != nil || len(rows) > 0 {
		t.Errorf("the list is %+v, %v", rows, err)
	}
	for _, w := range []*testkit.Device{window, other, fresh} {
		if st := w.State(); !deleted(st) {
			t.Errorf("a window shows the deleted thread: %+v", st)
		}
	}
	if runs, err := fresh.Runs(g.Ctx, "", 10); err != nil || len(runs.Runs) != 1 ||
		runs.Runs[0].Status != chat.RunCancelled {
		t.Errorf("runs are %+v, %v", runs, err)
	}
	g.Send(fresh, "/say risen")
	g.WaitFor(fresh, "shows that a run on it is refused", func(st client.State) bool {
		return len(st.Notices) > 0 &&
			len(st.Sending) == 0
	})
	next := testkit.Open(t, g.Ctx, g.Endpoints(), g.alice, testkit.NewThread())
	g.Send(next, "/say another thread")
	g.WaitForAnswer(next, "another thread")
}

// A thread is idle for longer than its log is kept. A window that returns with an old cursor is answered as not
// recovered and gets a snapshot, as does a new window, and the thread continues at its sequence number. The time is
// scaled: every second record is deleted, as by DynamoDB's TTL, and the others have expired and still exist.
func TestFault44_IdleBeyondRetention(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	stays := g.window()
	g.Send(stays, "/say one\n/stream 20 20\n/say the first end")
	g.WaitForAnswer(stays, "the first end")
	g.Send(stays, "/say two\n/say the second end")
	head := g.WaitForAnswer(stays, "the second end").Seq
	epoch := stays.State().Epoch
	if n := g.expireLogs(); n < 4 {
		t.Fatalf("%d records have expired", n)
	}
	old := testkit.OpenRaw(t, g.Ctx, g.Endpoints(), g.alice.Name)
	old.MustSend(t, g.Ctx, fmt.Sprintf(`{"type":"hello","n":1,"threadId":%q,"cursor":{"epoch":%q,"seq":3}}`,
		g.alice.Threads[0], epoch))
	ready, frame := old.MustRead(t, g.Ctx), old.MustRead(t, g.Ctx).Raw
	var snapshot wire.Snapshot
	if err := json.Unmarshal(frame, &snapshot); err != nil {
		t.Fatal(err)
	}
	if ready.Type != "ready" || strings.Contains(string(ready.Raw), `"recovered":true`) ||
		snapshot.Type != wire.TypeSnapshot || snapshot.Seq != head || len(snapshot.Messages) < 4 {
		t.Errorf("an old cursor is answered with %+v and %+v", ready, snapshot)
	}
	fresh := g.window()
	g.Send(fresh, "/say three\n/say the third end")
	g.WaitForAnswer(fresh, "the third end")
	for _, w := range []*testkit.Device{stays, fresh, g.window()} {
		st := g.WaitForAnswer(w, "the third end")
		for _, text := range []string{"the first end", "the second end"} {
			if !testkit.Says(st, agui.RoleAssistant, text) {
				t.Errorf("a window does not show %q: %+v", text, st.Messages)
			}
		}
		if st.Epoch != epoch || testkit.CountQuestions(st, "") != 3 || st.Seq != fresh.State().Seq {
			t.Errorf("a window shows %+v", st)
		}
	}
	events := fresh.Received(t, []*testkit.User{g.alice}).Events
	if events[head+1] == nil || len(events) != int(fresh.State().Seq-head) {
		t.Errorf("the thread was at event %d and continues with %d events to %d", head, len(events), fresh.State().Seq)
	}
}

// expireLogs ends the life of every record of every log: every second one is deleted, the others have only expired. It
// returns the number of records.
func (g *faultEnv) expireLogs() (n int) {
	g.Helper()
	db, table := testkit.Operator(g.Endpoints()), aws.String(g.Endpoints().Table)
	err := testkit.Scan(g.Ctx, g.Endpoints(), func(item map[string]types.AttributeValue) (err error) {
		key := map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}
		if sk, ok := item["sk"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(sk.Value, "E#") {
			return nil
		}
		if n++; n%2 == 0 {
			_, err = db.DeleteItem(g.Ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
			return err
		}
		_, err = db.UpdateItem(g.Ctx, &dynamodb.UpdateItemInput{TableName: table, Key: key,
			UpdateExpression: aws.String("SET expires = :past"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":past": &types.AttributeValueMemberN{Value: "1"}}})
		return err
	})
	if err != nil {
		g.Fatal(err)
	}
	return n
}
