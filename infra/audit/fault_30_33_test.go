package audit_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// A token ends while its socket is open: from then on the socket is sent nothing of its user's and answered nothing but
// that its token is past. A client with manners gets a fresh token by itself, and its user notices nothing.
func TestFault30TokenExpiresOnOpenSocket(t *testing.T) {
	g := newStage(t, stack.Config{})
	b := &bench{T: t, ctx: g.ctx, stack: g.Stack}
	old, _, err := b.dial(b.token(t, g.alice.name, "3"))
	if err != nil {
		t.Fatal(err)
	}
	thread := string(g.alice.threads[0])
	old.say(t, websocket.MessageText, `{"type":"hello","n":1,"threadId":"`+thread+`"}`)
	if r := old.hear(t); r.Type != "ready" {
		t.Fatalf("hello is answered with %+v", r)
	}
	var short atomic.Int32 // the first token is, the others are not
	polite, err := openWith(g.ctx, g.Endpoints(), g.alice, g.alice.threads[0], func() string {
		if short.Add(1) == 1 {
			return b.token(t, g.alice.name, "3")
		}
		return b.token(t, g.alice.name, "600")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer polite.Close()
	r := reply{Type: "pong"}
	for end := time.Now().Add(time.Minute); r.Type == "pong" && time.Now().Before(end); {
		old.say(t, websocket.MessageText, `{"type":"ping"}`)
		r = old.hear(t)
	}
	g.send(polite, "/say "+g.alice.secret+"\n/stream 10 20\n/say the end")
	g.said(polite, "the end")
	g.exact(1, polite)
	for _, frame := range []string{`{"type":"hello","n":2,"threadId":"` + thread + `"}`, `{"type":"threads"}`} {
		if r.Type != "error" || r.Code != "token_expired" || r.Message == "" {
			t.Fatalf("a socket whose token is past hears %+v", r)
		}
		old.say(t, websocket.MessageText, frame)
		r = old.hear(t)
	}
	if r.Code != "token_expired" {
		t.Errorf("a socket whose token is past hears %+v", r)
	}
}

// The function that answers clients fails while an answer streams: API Gateway's own frames come in between, the stream
// goes on whole, and what was asked meanwhile is answered once the function works again, without anybody asking twice.
func TestFault31GatewayErrorFrames(t *testing.T) {
	g := newStage(t, stack.Config{})
	window := g.window()
	g.send(window, "/say begun\n/stream 100 20\n/say the end")
	g.await(window, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	var failing atomic.Bool
	failing.Store(true)
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "MessageFunction" && failing.Load() {
			return proxy.Broken, nil
		}
		return proxy.Fine, nil
	})
	next := g.send(window, "/say and the next") // the one that is asked while nobody can answer
	g.hears(window, func() bool { return window.read(t, []*person{g.alice}).notices > 0 })
	failing.Store(false)
	if st := g.said(window, "and the next"); asked(st, "/say and the next") != 1 {
		t.Errorf("run %s was asked for once; the window shows %+v", next, st.Messages)
	}
	g.exact(2, window, g.window())
}

// Posts to one window are throttled until the run that it watches is over, and another reads nothing at all: the run and
// the third window go on as if they were alone, and the throttled one shows everything soon after.
func TestFault32ThrottledPostsAndSlowReader(t *testing.T) {
	g := newStage(t, stack.Config{})
	throttled, healthy := g.window(), g.window()
	b := &bench{T: t, ctx: g.ctx, stack: g.Stack}
	deaf := b.open(t, g.alice.name)
	deaf.say(t, websocket.MessageText, `{"type":"hello","n":1,"threadId":"`+string(g.alice.threads[0])+`"}`) // and never reads
	victim := g.connection(throttled)
	var refused atomic.Int32
	var begun, over atomic.Bool
	g.Gateway().SetFaults(apigateway.Faults{Post: func(m apigateway.Message) apigateway.PostFault {
		if m.Connection != victim || over.Load() || tells(m.Body, "begun") && begun.CompareAndSwap(false, true) || !begun.Load() {
			return apigateway.PostFault{}
		}
		refused.Add(1)
		return apigateway.PostFault{Status: http.StatusTooManyRequests}
	}})
	// 100 deltas of 20 KB in 2 s: more than the deaf one's buffer holds, so its posts fail as well.
	g.send(healthy, "/say begun\n/stream 100 50 20000\n/say the end")
	g.await(throttled, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	g.said(healthy, "the end")
	g.resting("TurnFunction", "") // which tries again while it lives
	over.Store(true)
	if refused.Load() == 0 {
		t.Error("no post was throttled: that proves nothing")
	}
	g.said(throttled, "the end")
	g.exact(1, healthy, throttled)
}

// Every sixth write fails after it was made, and every sixth before: of each message there is one run, each event stands
// in the log once, and what a tool has done it has done once.
func TestFault33StoreErrsAroundTheWrite(t *testing.T) {
	g := newStage(t, stack.Config{})
	window := g.window()
	var mu sync.Mutex
	met := map[proxy.Fault]int{}
	writes := map[string]int{}
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
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
	g.send(window, "/say one\n/call notes_save {\"text\":\"kept\"}\n/stream 40 20\n/say the end")
	st := g.said(window, "the end")
	g.send(window, "/say two\n/call notes_list {}\n/say the second end")
	g.said(window, "the second end")
	g.DynamoDB().SetHook(nil)
	g.exact(2, window, g.window())
	kept, err := notes(g.ctx, g.Endpoints())
	if err != nil || kept[g.alice.name] != 1 {
		t.Errorf("%d notes were kept, %v; the window shows %+v", kept[g.alice.name], err, st.Messages)
	}
	if met[proxy.Lost] < 3 || met[proxy.Broken] < 3 {
		t.Errorf("only %v were met: that proves nothing", met)
	}
}

// hears looks again at what has reached a window with each message, until it is as wanted.
func (g *stage) hears(s *socket, wanted func() bool) {
	g.Helper()
	for {
		changed := s.Changes() // before the look: what comes behind it is another change
		if wanted() {
			return
		}
		select {
		case <-changed:
		case <-g.ctx.Done():
			g.Fatal("nothing comes any more")
		}
	}
}
