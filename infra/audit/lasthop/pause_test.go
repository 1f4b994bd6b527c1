package lasthop_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

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

// A run cannot list its user's connections for some seconds while it streams. Live delivery pauses, since a run posts
// by a list for at most 1.25 s after it requested the list. It continues with the next list, and no event is lost.
func TestDelivery_NoConnectionList(t *testing.T) {
	t.Attr("row", "C2: without a connection list delivery pauses, and no event is lost")
	t.Attr("size", "normal")
	campaign.Only(t, "its lists fail for five seconds, and it compares times")
	g := kit.Shared(t)
	p := g.NewUser("alice")
	w := g.Open(p, g.NewThread(p))
	const outage = 5 * time.Second
	var mu sync.Mutex
	var began, lastList time.Time // of the outage; when the last successful list was requested
	var age time.Duration         // of that list at the last post of the outage
	posts := 0
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != "TurnFunction" || r.Operation != "Query" || !strings.Contains(string(r.Body), "CONN#") {
			return proxy.Fine, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if !began.IsZero() && time.Since(began) < outage {
			return proxy.Broken, nil
		}
		lastList = time.Now()
		return proxy.Fine, nil
	})
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		mu.Lock()
		defer mu.Unlock()
		if !began.IsZero() && time.Since(began) < outage && strings.Contains(string(m.Body), `"type":"events"`) {
			age, posts = time.Since(lastList), posts+1
		}
		return f
	}})
	g.Send(w, "/say begun\n/stream 160 20\n/say the end")
	g.WaitFor(w, "shows the begin of the run", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant,
			"begun")
	})
	mu.Lock()
	began = time.Now()
	mu.Unlock()
	g.WaitFor(w, "shows the end", func(st client.State) bool {
		return testkit.Idle(st) &&
			testkit.Says(st, agui.RoleAssistant, "the end")
	})
	// 1.25 s and the time that two processes of a busy machine take; without the guard it is all of the outage
	if age > outage*3/4 || posts == 0 {
		t.Errorf("a post used a list of %v before; there were %d posts", age, posts)
	}
	if got := w.Received(t, []*testkit.User{p}); len(got.Events) != len(g.ReadLog(w.Thread)) {
		t.Errorf("the window saw %d events of %d", len(got.Events), len(g.ReadLog(w.Thread)))
	}
	t.Attr("figure",
		fmt.Sprintf("lists fail for %v under a stream: %d posts by the last one, the latest %d ms after it was "+
			"requested, and no event is lost",
			outage, posts, age.Milliseconds()))
}
