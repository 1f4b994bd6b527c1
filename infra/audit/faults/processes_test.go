package faults_test

import (
	"bytes"
	"carrel/infra/testkit"

	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/store"
)

// slowTable is a DynamoDB whose every item holds its own key, and which delays the answers about alice.
type slowTable struct {
	reading chan struct{} // a read about alice has arrived
	resume  chan struct{} // it may be answered
	half    atomic.Bool   // half of its answer is sent at once
}

func (s *slowTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct{ Key map[string]map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := request.Key["pk"]["S"]
	answer := fmt.Sprintf(`{"Item":{"pk":{"S":%q}}}`, key)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	from := 0
	if key == "alice" {
		if s.half.Load() {
			from = len(answer) / 2
			_, _ = w.Write([]byte(answer[:from]))
			w.(http.Flusher).Flush()
		}
		s.reading <- struct{}{}
		<-s.resume
	}
	_, _ = w.Write([]byte(answer[from:])) // the reader may have cancelled
}

// A cancelled read leaves nothing for the next read on a pooled connection: at whatever moment alice's read is
// cancelled, bob's read is answered with bob's item. The test uses the functions' own HTTP client and DynamoDB client
// in one process, against a server that delays its answers: in a function a test cannot time the cancel.
func TestFault21_ACancelledReadLeavesNoAnswer(t *testing.T) {
	t.Attr("row", "E6: a pooled connection returns no other request's response")
	t.Parallel()
	table := &slowTable{reading: make(chan struct{}), resume: make(chan struct{})}
	var sockets atomic.Int32
	server := httptest.NewUnstartedServer(table)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			sockets.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := awsenv.Config(func(name string) string {
		return map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
			"AWS_ENDPOINT_URL_DYNAMODB": server.URL}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	db := store.NewClient(c)
	read := func(ctx context.Context, key string) (string, error) {
		got, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("t"),
			Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: key}}})
		if err != nil {
			return "", err
		}
		text, _ := got.Item["pk"].(*types.AttributeValueMemberS)
		return text.Value, nil
	}
	const rounds = 100
	for n := range rounds {
		table.half.Store(n%2 == 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := read(ctx, "alice")
			done <- err
		}()
		<-table.reading
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("alice's cancelled read ended with %v", err)
		}
		table.resume <- struct{}{} // her answer is sent all the same
		for _, key := range []string{"bob", "carol"} {
			if got, err := read(t.Context(), key); err != nil || got != key {
				t.Fatalf("round %d: %s's read is answered with %q, %v", n, key, got, err)
			}
		}
	}
	if n := sockets.Load(); n >= 2*rounds {
		t.Errorf("%d connections for %d reads: nothing was pooled, and this proves nothing", n, 3*rounds)
	}
	t.Attr("figure", fmt.Sprintf("%d connections for %d reads, no foreign answer", sockets.Load(), 3*rounds))
}

// A process that did one user's run and does another user's next has kept nothing. With tenant isolation there is no
// such process, so the stack is one without it. The processes of message serve all users anyway.
func TestFault22_AWarmProcessKeepsNobody(t *testing.T) {
	t.Attr("row", "B2: a warm process keeps nothing of a user, with and without tenant isolation")
	g := kit.Own(t, stack.Config{Parameters: map[string]string{"TenantIsolation": "off"}}, sharedTimeout)
	turn := g.Function("TurnFunction")
	var processes atomic.Int32
	g.Host().SetFaults(lambda.Faults{Env: func(function, _ string) map[string]string {
		if function == turn {
			processes.Add(1)
		}
		return nil
	}})
	alice, bob := g.NewUser("alice"), g.NewUser("bob")
	rest := func() {
		g.Eventually("the process is at rest", func() bool { return g.Host().Thaw(turn, "") == 0 })
	}
	for _, p := range []*testkit.User{alice, bob, alice} {
		w := g.Open(p, g.NewThread(p))
		w.Ask(t, g.Ctx, "find notes secret-", map[bool]string{true: "): " + p.Secret,
			false: "no note"}[len(p.Threads) > 1])
		rest()
		if len(p.Threads) == 1 {
			w.Ask(t, g.Ctx, "note: "+p.Secret, "Saved as note 1.")
			rest()
		}
		w.Ask(t, g.Ctx, "my notes", "): "+p.Secret)
		rest()
		rows, err := w.Threads(g.Ctx)
		if err != nil || len(rows) != len(p.Threads) {
			t.Errorf("%s's list has %d threads, want %d: %v", p.Name, len(rows), len(p.Threads), err)
		}
		list, err := w.Runs(g.Ctx, "", 100)
		if err != nil {
			t.Error(err)
		}
		for _, r := range list.Runs {
			if p == bob && r.ThreadID != w.Thread {
				t.Errorf("bob's list of runs has %+v", r)
			}
		}
		w.Received(t, []*testkit.User{alice, bob})
	}
	if n := processes.Load(); n != 1 {
		t.Errorf("%d processes carried out the runs: this proves nothing", n)
	}
	t.Attr("figure", fmt.Sprintf("%d process carried out the runs of two users", processes.Load()))
}

// A client notices a lost event as soon as the page requests the state, while the run is still active.
func TestFault23_SavedAndNotTold(t *testing.T) {
	t.Attr("row", "E3: an event that was saved but not sent is fetched at the next ping")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	w := g.Open(alice, thread)
	var dropped atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Outbound: func(m apigateway.Message) apigateway.MessageFault {
		lost := saysWord(m.Body, "dropped") && dropped.CompareAndSwap(false, true)
		return apigateway.MessageFault{Drop: lost}
	}})
	run := g.Send(w, "/say begun\n/call calculator {\"expression\":\"6*7\"}\n/say dropped\n/wait 600000")
	waitForBegin(g, w)
	g.Eventually("the event is dropped", dropped.Load)
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	s := g.WaitFor(w, "shows the lost event", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			"dropped") || testkit.Idle(s)
	})
	if s.Active != run {
		t.Errorf("the event was shown only when the run had ended")
	}
	if err := w.Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "shows the end", testkit.Idle)
	log := g.ReadLog(thread)
	if got := w.Received(t, []*testkit.User{alice}); len(got.Events) != len(log) ||
		w.State().Seq != chat.Seq(len(log)) {
		t.Errorf("the window was sent %d of %d events and has applied %d", len(got.Events), len(log), w.State().Seq)
	}
	t.Attr("figure", fmt.Sprintf("%d events in the log, %d applied", len(log), w.State().Seq))
}

// Nothing is shown that is not in the log: the worker is killed while it writes a record, and no window has shown any
// of it.
func TestFault24_NothingIsSentBeforeItIsSaved(t *testing.T) {
	t.Attr("row", "A6: an event is saved before it is sent")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	const lead = 500 * time.Millisecond // enough for a post that would be made before the write
	var killed atomic.Bool
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		record, ok := recordIn(r.Body)
		if r.Caller != "TurnFunction" || !ok || record.user != alice.Name || record.seq == 1 || killed.Load() {
			return proxy.Fine, nil
		}
		<-time.After(lead)
		if g.Host().Kill(g.Function("TurnFunction"), alice.Name) > 0 {
			killed.Store(true)
		}
		return proxy.Broken, nil
	})
	g.Send(w, "/say lost words")
	g.Eventually("the worker is killed", killed.Load)
	// All that was posted before has reached the window when this is answered.
	if _, err := w.Threads(g.Ctx); err != nil {
		t.Fatal(err)
	}
	// The window is read first: the next attempt may write and send more events at any time.
	got := w.Received(t, []*testkit.User{alice})
	log := g.ReadLog(w.Thread)
	if len(log) == 0 || len(got.Events) == 0 {
		t.Fatalf("the log has %d events and the window %d: this proves nothing", len(log), len(got.Events))
	}
	for seq, e := range got.Events {
		if seq > chat.Seq(len(log)) || !bytes.Equal(log[seq-1], e) {
			t.Errorf("event %d was shown and is not in the log: %s", seq, e)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d events in the log, %d shown", len(log), len(got.Events)))
}
