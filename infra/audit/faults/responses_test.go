package faults_test

import (
	"carrel/infra/testkit"
	"context"

	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// A token expires while its socket is open. From then on the socket is sent nothing of its user, and every request is
// answered with token_expired. A client fetches a fresh token, and its user notices nothing.
func TestFault30_TokenExpiresOnOpenSocket(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	old, _, err := testkit.DialRaw(g.Ctx, g.Endpoints(), g.alice.Name,
		testkit.Token(t, g.Ctx, g.Endpoints(), g.alice.Name, 3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	thread := string(g.alice.Threads[0])
	old.MustSend(t, g.Ctx, `{"type":"hello","n":1,"threadId":"`+thread+`"}`)
	if r := old.MustRead(t, g.Ctx); r.Type != "ready" {
		t.Fatalf("hello is answered with %+v", r)
	}
	var short atomic.Int32 // counts tokens: the first one is short-lived
	window, err := testkit.Dial(g.Ctx, g.Endpoints(), g.alice, g.alice.Threads[0],
		func(ctx context.Context) (string, error) {
			life := 600 * time.Second
			if short.Add(1) == 1 {
				life = 3 * time.Second
			}
			return testkit.Token(t, ctx, g.Endpoints(), g.alice.Name, life), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	defer window.Close()
	r := testkit.Answer{Type: "pong"}
	for end := time.Now().Add(time.Minute); r.Type == "pong" && time.Now().Before(end); {
		old.MustSend(t, g.Ctx, `{"type":"ping"}`)
		r = old.MustRead(t, g.Ctx)
	}
	g.Send(window, "/say "+g.alice.Secret+"\n/stream 10 20\n/say the end")
	g.WaitForAnswer(window, "the end")
	g.checkWindows(1, window)
	for _, frame := range []string{`{"type":"hello","n":2,"threadId":"` + thread + `"}`, `{"type":"threads"}`} {
		if r.Type != "error" || r.Code != "token_expired" || r.Message == "" {
			t.Fatalf("a socket with an expired token is sent %s", r.Raw)
		}
		old.MustSend(t, g.Ctx, frame)
		r = old.MustRead(t, g.Ctx)
	}
	if r.Code != "token_expired" {
		t.Errorf("a socket with an expired token is sent %s", r.Raw)
	}
}

// The function that answers clients fails during an answer. API Gateway sends error frames of its own, the stream stays
// complete, and requests of this time are answered once the function works again, each once.
func TestFault31_GatewayErrorFrames(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window := g.window()
	g.Send(window, "/say begun\n/stream 100 20\n/say the end")
	g.WaitFor(window, "shows the first word", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant,
			"begun")
	})
	var failing atomic.Bool
	failing.Store(true)
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && failing.Load() {
			return proxy.Broken, nil
		}
		return proxy.Fine, nil
	})
	next := g.Send(window, "/say and the next") // sent while no request is answered
	window.WaitFrames(t, g.Ctx, "API Gateway sends an error frame",
		func() bool { return window.Received(t, []*testkit.User{g.alice}).GatewayErrors > 0 })
	failing.Store(false)
	if st := g.WaitForAnswer(window, "and the next"); testkit.CountQuestions(st, "/say and the next") != 1 {
		t.Errorf("run %s was requested once; the window shows %+v", next, st.Messages)
	}
	g.checkWindows(2, window, g.window())
}

// Posts to one window are throttled until its run has ended, and another socket reads nothing at all. The run and the
// third window are not affected, and the throttled window shows everything soon after.
func TestFault32_ThrottledPostsAndSlowReader(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	throttled, healthy := g.window(), g.window()
	unread := testkit.OpenRaw(t, g.Ctx, g.Endpoints(), g.alice.Name)
	// the socket never reads
	unread.MustSend(t, g.Ctx, `{"type":"hello","n":1,"threadId":"`+string(g.alice.Threads[0])+`"}`)
	victim := throttled.Connection(t)
	var refused atomic.Int32
	var begun, ended atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) apigateway.PostFault {
		if m.Connection != victim || ended.Load() || saysWord(m.Body, "begun") && begun.CompareAndSwap(false, true) ||
			!begun.Load() {
			return apigateway.PostFault{}
		}
		refused.Add(1)
		return apigateway.PostFault{Status: http.StatusTooManyRequests}
	}})
	// 100 deltas of 20 KB in 2 s: more than the buffer of the unread socket holds, so its posts fail as well.
	g.Send(healthy, "/say begun\n/stream 100 50 20000\n/say the end")
	g.WaitFor(throttled, "shows the first word", func(st client.State) bool {
		return testkit.Says(st,
			agui.RoleAssistant, "begun")
	})
	g.WaitForAnswer(healthy, "the end")
	g.WaitForRest("TurnFunction", "") // it repeats throttled posts until it ends
	ended.Store(true)
	if refused.Load() == 0 {
		t.Error("no post was throttled: this proves nothing")
	}
	g.WaitForAnswer(throttled, "the end")
	g.checkWindows(1, healthy, throttled)
}

// Every sixth write fails after it was made, and every sixth before. Each message has one run, each event stands in the
// log once, and each tool has had its effect once.
func TestFault33_StoreErrsAroundTheWrite(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window := g.window()
	var mu sync.Mutex
	met := map[proxy.Fault]int{}
	writes := map[string]int{}
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Operation != "PutItem" && r.Operation != "UpdateItem" && r.Operation != "TransactWriteItems" {
			return proxy.Fine, nil
		}
		mu.Lock()
		defer mu.Unlock()
		writes[r.Caller+r.Operation]++
		fault := [...]proxy.Fault{1: proxy.Lost, 3: proxy.Broken, 5: proxy.Fine}[writes[r.Caller+r.Operation]%6]
		met[fault]++
		return fault, nil
	})
	g.Send(window, "/say one\n/call notes_save {\"text\":\"kept\"}\n/stream 40 20\n/say the end")
	st := g.WaitForAnswer(window, "the end")
	g.Send(window, "/say two\n/call notes_list {}\n/say the second end")
	g.WaitForAnswer(window, "the second end")
	g.SetTableHook(nil)
	g.checkWindows(2, window, g.window())
	kept := testkit.CountNotes(t, g.Ctx, g.Endpoints())
	if kept[g.alice.Name] != 1 {
		t.Errorf("%d notes were kept, want 1; the window shows %+v", kept[g.alice.Name], st.Messages)
	}
	if met[proxy.Lost] < 3 || met[proxy.Broken] < 3 {
		t.Errorf("only the faults %v struck a write: this proves nothing", met)
	}
}
