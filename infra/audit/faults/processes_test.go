package faults_test

import (
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

// slowTable is a DynamoDB whose every item holds its own key, and which takes its time with those of alice.
type slowTable struct {
	came chan struct{} // a read of alice's is here
	go_  chan struct{} // it may be answered now
	half atomic.Bool   // half of its answer is sent before
}

func (s *slowTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Key map[string]map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := asked.Key["pk"]["S"]
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
		s.came <- struct{}{}
		<-s.go_
	}
	_, _ = w.Write([]byte(answer[from:])) // whoever asked may have gone: that is the point
}

// A read that is given up leaves nothing for the next on a pooled connection: whatever moment alice's is cancelled at,
// bob's is answered with bob's. This is the functions' own HTTP client and DynamoDB client against a server that holds
// back its answers, in one process: in the functions nobody can say when a read is cancelled.
func TestFault21ACancelledReadLeavesNoAnswer(t *testing.T) {
	t.Attr("row", "E6: a pooled connection returns no other request's response")
	t.Parallel()
	table := &slowTable{came: make(chan struct{}), go_: make(chan struct{})}
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
		over := make(chan error, 1)
		go func() {
			_, err := read(ctx, "alice")
			over <- err
		}()
		<-table.came
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Fatalf("alice's read, given up, ended with %v", err)
		}
		table.go_ <- struct{}{} // her answer comes after all
		for _, key := range []string{"bob", "carol"} {
			if got, err := read(t.Context(), key); err != nil || got != key {
				t.Fatalf("round %d: %s's read is answered with %q, %v", n, key, got, err)
			}
		}
	}
	if n := sockets.Load(); n >= 2*rounds {
		t.Errorf("%d connections for %d reads: nothing was pooled, and this proves nothing", n, 3*rounds)
	}
	t.Attr("figure", fmt.Sprintf("%d connections for %d reads, no answer of another", sockets.Load(), 3*rounds))
}

// A process that did one user's run and does another's next has kept nothing. With tenant isolation there is no such
// process, so the stack is one without it; message's processes serve everybody anyhow.
func TestFault22AWarmProcessKeepsNobody(t *testing.T) {
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
		g.Eventually("the process has nothing to do", func() bool { return g.Host().Thaw(turn, "") == 0 })
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
		t.Errorf("the runs were done by %d processes: this proves nothing", n)
	}
	t.Attr("figure", fmt.Sprintf("%d process did the runs of two users", processes.Load()))
}

// What was saved and never arrived is missed as soon as the page asks, while the run still goes on.
func TestFault23SavedAndNotTold(t *testing.T) {
	t.Attr("row", "E3: an event that was saved but not sent is fetched at the next ping")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	w := g.Open(alice, thread)
	var dropped atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Outbound: func(m apigateway.Message) apigateway.MessageFault {
		drop := tells(m.Body, "unheard") && dropped.CompareAndSwap(false, true)
		return apigateway.MessageFault{Drop: drop}
	}})
	run := g.Send(w, "/say begun\n/call calculator {\"expression\":\"6*7\"}\n/say unheard\n/wait 600000")
	waitForBegin(g, w)
	g.Eventually("it is lost on its way", dropped.Load)
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	s := g.WaitFor(w, "what was lost", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			"unheard") || testkit.Idle(s)
	})
	if s.Active != run {
		t.Errorf("it came only when the run was over")
	}
	if err := w.Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "the end", testkit.Idle)
	log := g.ReadLog(thread)
	if got := w.Received(t, []*testkit.User{alice}); len(got.Events) != len(log) ||
		w.State().Seq != chat.Seq(len(log)) {
		t.Errorf("the window was sent %d of %d events, and has applied %d", len(got.Events), len(log), w.State().Seq)
	}
	t.Attr("figure", fmt.Sprintf("%d events in the log, %d applied", len(log), w.State().Seq))
}

// Nothing is shown that is not in the log: the worker dies as it writes a record, and no window has seen any of it.
func TestFault24NothingIsSentBeforeItIsSaved(t *testing.T) {
	t.Attr("row", "A6: an event is saved before it is sent")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	const lead = 500 * time.Millisecond // for a post that would go first to be on its way
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
	g.Eventually("the worker dies", killed.Load)
	// Whatever was posted before has reached the window by the time of the answer.
	if _, err := w.Threads(g.Ctx); err != nil {
		t.Fatal(err)
	}
	log, got := g.ReadLog(w.Thread), w.Received(t, []*testkit.User{alice})
	if len(log) == 0 || len(got.Events) == 0 {
		t.Fatalf("the log has %d events and the window %d: this proves nothing", len(log), len(got.Events))
	}
	for seq, e := range got.Events {
		if seq > chat.Seq(len(log)) {
			t.Errorf("event %d was shown and is in no log: %s", seq, e)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d events in the log, %d shown", len(log), len(got.Events)))
}
