package audit_test

import (
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
	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// A device connects after the worker has listed the user's devices for the last time before the run's end, and before
// that end stands in the log: its hello finds the run still at work, and nobody knows of it who could tell it the end. It
// is told all the same, and does not have to ask.
func TestFault41DeviceBetweenLastListAndLastAppend(t *testing.T) {
	g := newStage(t, stack.Config{})
	window := g.window()
	ending, connected := newSignal(), newSignal()
	var over atomic.Bool
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		switch {
		case r.Caller != "TurnFunction":
		case holds(r, "TransactWriteItems", "RUN_FINISHED"):
			ending.give()
			g.hold(connected)
			return proxy.Fine, func() { over.Store(true) }
		case holds(r, "Query", "CONN#") && ending.given() && !over.Load():
			return proxy.Broken, nil // no list until the end is written
		}
		return proxy.Fine, nil
	})
	g.send(window, "/stream 10 20\n/say the end")
	g.until(ending, "the run's end")
	sent := g.listen(nil)
	late := g.window()
	if st := late.State(); st.Active == "" {
		t.Fatalf("the device came when the run was over: that proves nothing: %+v", st)
	}
	connected.give()
	g.said(late, "the end")
	if n := sent.count(g.connection(late), "hello") + sent.count(g.connection(late), "ping"); n != 1 {
		t.Errorf("the device had to ask %d times", n)
	}
	g.exact(1, window, late)
}

// Of two hellos the later comes first: the connection stays on the thread of the later one, whose events it gets. A run is
// stopped while it is on its way: the cancel follows its answer, and the run ends.
func TestFault42HellosAndCancelOvertake(t *testing.T) {
	g := newStage(t, stack.Config{})
	window := g.window()
	held := newSignal() // the first hello, until the second is answered
	done := newSignal()
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && holds(r, "UpdateItem", "CONN#", "the-first") {
			g.hold(held)
			return proxy.Fine, done.give
		}
		return proxy.Fine, nil
	})
	b := &bench{T: t, ctx: g.ctx, stack: g.Stack}
	device := b.open(t, g.alice.name)
	device.say(t, websocket.MessageText, `{"type":"hello","n":1,"threadId":"the-first"}`)
	device.say(t, websocket.MessageText, fmt.Sprintf(`{"type":"hello","n":2,"threadId":%q}`, g.alice.threads[0]))
	if r := device.hear(t); r.Type != "ready" {
		t.Fatalf("the second hello is answered with %+v", r)
	}
	held.give()
	g.until(done, "the first hello")
	g.DynamoDB().SetHook(nil)
	g.send(window, "/stream 10 20\n/say the end")
	g.said(window, "the end")
	if got := device.events(t, g.alice.threads[0]); !strings.Contains(got, "the end") {
		t.Errorf("the device is on the second thread and was sent %s", got)
	}
	g.listen(func(m apigateway.Message) apigateway.MessageFault {
		if isFrame(m.Body, "run") {
			return apigateway.MessageFault{Delay: 2 * time.Second} // a busy machine takes its time over the cancel
		}
		return apigateway.MessageFault{}
	})
	run := g.send(window, "/stream 1000 100\n/say never said")
	if err := window.Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.await(window, "neither runs nor waits", func(st client.State) bool { return idle(st) })
	g.hears(window, func() bool { // else the run may not even have come
		return slices.ContainsFunc(frames[*wire.Accepted](g, window), func(a *wire.Accepted) bool { return a.RequestID == "run."+string(run) })
	})
	g.Gateway().SetFaults(apigateway.Faults{})
	g.send(window, "/say and on")
	if st := g.said(window, "and on"); says(st, agui.RoleAssistant, "never said") {
		t.Errorf("the cancelled run has spoken: %+v", st.Messages)
	}
	began := 2
	if slices.ContainsFunc(frames[*wire.Events](g, window), func(e *wire.Events) bool { return e.RunID == run }) {
		began = 3 // its worker was faster than the cancel
	}
	g.exact(began, window)
}

// events reads until a run of a thread ends, and returns what came of it.
func (p *plug) events(t *testing.T, thread chat.ThreadID) string {
	t.Helper()
	var all strings.Builder
	var joiner wire.Joiner
	for {
		ctx, cancel := contextWithin(p.b.ctx)
		_, m, err := p.Read(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %s: %v", &all, err)
		}
		frame, whole, err := decode(&joiner, m)
		f, ok := frame.(*wire.Events)
		if err != nil || !ok || f.ThreadID != thread {
			continue
		}
		all.Write(whole)
		if f.Events[len(f.Events)-1].Terminal() {
			return all.String()
		}
	}
}

// sweep has sweep work once, as its schedule does each minute.
func (g *stage) sweep() {
	g.Helper()
	_, failed, err := g.Host().Invoke(g.ctx, g.Function("SweepFunction"), []byte(`{"detail-type":"Scheduled Event"}`))
	if err != nil || failed != "" {
		g.Fatalf("sweep: %s, %v", failed, err)
	}
}

// later has the processes that start from now on live so much later: to them, a lease of now is past.
func (g *stage) later(by time.Duration) {
	g.Host().SetFaults(lambda.Faults{Env: func(string, string) map[string]string {
		return map[string]string{"CLOCK_SKEW": by.String()}
	}})
}

// resting waits until no process of a function is at work for a user.
func (g *stage) resting(function, user string) {
	g.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for g.Host().Thaw(g.Function(function), user) > 0 { // which does nothing to one that is not frozen
		select {
		case <-again.C:
		case <-g.ctx.Done():
			g.Fatalf("%s is still at work", function)
		}
	}
}

// A thread is deleted while its run's process is frozen. The thread is gone at once and everywhere; when the process
// wakes up nothing of it rises again, and neither its lease nor its seat keeps the user from anything.
func TestFault43ThreadDeletedWhileFrozen(t *testing.T) {
	t.Run("before anybody saw it", func(t *testing.T) { deletedFrozen(t, "RUN_STARTED", false) })
	t.Run("in the middle", func(t *testing.T) { deletedFrozen(t, "7 ", true) })
}

// deletedFrozen freezes the worker when it has written a record with a text in it; seen: the windows show the run by then.
func deletedFrozen(t *testing.T, at string, seen bool) {
	g := newStage(t, stack.Config{})
	window, other := g.window(), g.window()
	frozen := g.freezeAt("TurnFunction", "PutItem", "E#", at)
	g.send(window, "/say begun\n/stream 40 20\n/say the end")
	g.until(frozen, "the freeze")
	for _, w := range []*socket{window, other} {
		if seen {
			g.await(w, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
		}
	}
	g.later(61 * time.Second)
	if err := other.Delete(g.ctx, g.alice.threads[0]); err != nil {
		t.Fatal(err)
	}
	gone := func(st client.State) bool { return len(st.Threads) == 0 && len(st.Messages) == 0 && st.Epoch == "" }
	for _, w := range []*socket{window, other} {
		g.await(w, "the thread is gone", gone)
	}
	ended := newSignal()
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "TurnFunction" && r.Operation == "TransactWriteItems" {
			return proxy.Fine, ended.give
		}
		return proxy.Fine, nil
	})
	g.sweep() // which has another worker look after the run, and erases
	g.until(ended, "the run's end")
	if n := g.Host().Thaw(g.Function("TurnFunction"), ""); n == 0 {
		t.Error("nobody was frozen: that proves nothing")
	}
	g.resting("TurnFunction", "")
	fresh := g.window()
	if rows, err := fresh.Threads(g.ctx); err != nil || len(rows) > 0 {
		t.Errorf("the list is %+v, %v", rows, err)
	}
	for _, w := range []*socket{window, other, fresh} {
		if st := w.State(); !gone(st) {
			t.Errorf("what was deleted is shown: %+v", st)
		}
	}
	if runs, err := fresh.Runs(g.ctx, "", 10); err != nil || len(runs.Runs) != 1 || runs.Runs[0].Status != chat.RunCancelled {
		t.Errorf("runs are %+v, %v", runs, err)
	}
	g.send(fresh, "/say risen")
	g.await(fresh, "a run on it is refused", func(st client.State) bool { return len(st.Notices) > 0 && len(st.Sending) == 0 })
	next := mustOpen(t, g.ctx, g.Endpoints(), g.alice, chat.ThreadID(chat.NewID(time.Now())))
	g.send(next, "/say another thread")
	g.said(next, "another thread")
}

// A thread rests for longer than its log is kept. Whoever comes back with an old cursor is told that the events are gone
// and is given what was said; whoever comes anew sees it too, and the thread goes on where it was. The time is scaled:
// every second record is gone, as DynamoDB's TTL removes them, and the others are past their time and still there.
func TestFault44IdleBeyondRetention(t *testing.T) {
	g := newStage(t, stack.Config{})
	stays := g.window()
	g.send(stays, "/say one\n/stream 20 20\n/say the first end")
	g.said(stays, "the first end")
	g.send(stays, "/say two\n/say the second end")
	head := g.said(stays, "the second end").Seq
	epoch := stays.State().Epoch
	if n := g.expire(); n < 4 {
		t.Fatalf("%d records have expired", n)
	}
	b := &bench{T: t, ctx: g.ctx, stack: g.Stack}
	old := b.open(t, g.alice.name)
	old.say(t, websocket.MessageText, fmt.Sprintf(`{"type":"hello","n":1,"threadId":%q,"cursor":{"epoch":%q,"seq":3}}`, g.alice.threads[0], epoch))
	var ready struct {
		Type      string
		Recovered bool
	}
	var snapshot wire.Snapshot
	for _, into := range []any{&ready, &snapshot} {
		ctx, cancel := contextWithin(g.ctx)
		_, m, err := old.Read(ctx)
		cancel()
		if err == nil {
			err = json.Unmarshal(m, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if ready.Type != "ready" || ready.Recovered || snapshot.Type != wire.TypeSnapshot || snapshot.Seq != head || len(snapshot.Messages) < 4 {
		t.Errorf("an old cursor is answered with %+v and %+v", ready, snapshot)
	}
	anew := g.window()
	g.send(anew, "/say three\n/say the third end")
	g.said(anew, "the third end")
	for _, w := range []*socket{stays, anew, g.window()} {
		st := g.said(w, "the third end")
		for _, text := range []string{"the first end", "the second end"} {
			if !says(st, agui.RoleAssistant, text) {
				t.Errorf("a window does not show %q: %+v", text, st.Messages)
			}
		}
		if st.Epoch != epoch || asked(st, "") != 3 || st.Seq != anew.State().Seq {
			t.Errorf("a window shows %+v", st)
		}
	}
	events := anew.read(t, []*person{g.alice}).events
	if events[head+1] == nil || len(events) != int(anew.State().Seq-head) {
		t.Errorf("the thread stood at %d and goes on with %d events to %d", head, len(events), anew.State().Seq)
	}
}

// expire ends the time of every record of every log: every second one is gone, the others are only past it.
func (g *stage) expire() (n int) {
	g.Helper()
	db := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(g.Endpoints().DynamoDB),
		Credentials: g.Endpoints().Operator()})
	table := aws.String(g.Endpoints().Table)
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(g.ctx)
		if err != nil {
			g.Fatal(err)
		}
		for _, item := range page.Items {
			key := map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}
			if sk, ok := item["sk"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(sk.Value, "E#") {
				continue
			}
			if n++; n%2 == 0 {
				_, err = db.DeleteItem(g.ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
			} else {
				_, err = db.UpdateItem(g.ctx, &dynamodb.UpdateItemInput{TableName: table, Key: key,
					UpdateExpression:          aws.String("SET expires = :past"),
					ExpressionAttributeValues: map[string]types.AttributeValue{":past": &types.AttributeValueMemberN{Value: "1"}}})
			}
			if err != nil {
				g.Fatal(err)
			}
		}
	}
	return n
}
