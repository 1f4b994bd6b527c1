package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// The run cannot list its user's connections for some seconds, while it streams: live delivery stands still, since a list
// is not posted from for longer than 1.25 s after it was asked for, and goes on when there is one; nobody misses anything.
func TestLiveDeliveryPausesWithoutAList(t *testing.T) {
	t.Attr("row", "C2: without a connection list delivery pauses, and no event is lost")
	t.Attr("size", "normal")
	g := onFaults(t)
	p := g.person("alice")
	w := g.window(p, g.thread(p))
	const outage = 5 * time.Second
	var mu sync.Mutex
	var began, good time.Time // of the outage, and when the last list that succeeded was asked for
	var late time.Duration    // the last post of the outage, after that
	posts := 0
	g.onStore(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || r.Operation != "Query" || !strings.Contains(string(r.Body), "CONN#") {
			return proxy.Fine, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if !began.IsZero() && time.Since(began) < outage {
			return proxy.Broken, nil
		}
		good = time.Now()
		return proxy.Fine, nil
	})
	g.strike(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		mu.Lock()
		defer mu.Unlock()
		if !began.IsZero() && time.Since(began) < outage && strings.Contains(string(m.Body), `"type":"events"`) {
			late, posts = time.Since(good), posts+1
		}
		return f
	}})
	g.send(w, "/say begun\n/stream 160 20\n/say the end")
	g.wait(w, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	mu.Lock()
	began = time.Now()
	mu.Unlock()
	g.wait(w, "the end", func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, "the end") })
	if late > outage*3/4 || posts == 0 { // 1.25 s, and the way through two processes of a busy machine; without the guard it is all of it
		t.Errorf("a post went by a list of %v before", late)
	}
	if got := w.read(t, []*person{p}); len(got.events) != len(g.log(w.thread)) {
		t.Errorf("the window saw %d events of %d", len(got.events), len(g.log(w.thread)))
	}
	t.Attr("figure", fmt.Sprintf("lists fail for %v under a stream: %d posts by the last one, the latest %d ms after it was asked for, and no event is missed",
		outage, posts, late.Milliseconds()))
}
