package client_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"carrel/shared/client"
)

// TestClient_ReconnectStorm lets a thousand clients lose their sockets at the same moment. The gateway accepts 500 new
// connections per second, which is API Gateway's limit for an account. The attempts are spread out from the first on,
// and all clients are connected again within 30 s.
func TestClient_ReconnectStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	type lostClient struct {
		view *client.View
		at   time.Time // of its next attempt
	}
	start := time.UnixMilli(0)
	var waiting []*lostClient
	for range 1000 {
		v := client.NewView(rnd.Float64)
		v.Opened(start)
		v.Receive(start,
			[]byte(`{"type":"ready","n":1,"connectionId":"c","threadId":"t","head":0,"recovered":false,"queued":[],"interrupts":[],"limits":{},"reconnectInMs":0}`))
		v.Lost(start)
		waiting = append(waiting, &lostClient{v, start.Add(v.Actions().After)})
	}
	tenths, taken, attempts := map[int64]int{}, map[int64]int{}, 0
	for now := start; len(waiting) > 0; now = now.Add(time.Millisecond) {
		if now.Sub(start) > 30*time.Second {
			t.Fatalf("seed %d: %d clients are not connected after 30 s", seed, len(waiting))
		}
		var still []*lostClient
		for _, c := range waiting {
			if c.at.After(now) {
				still = append(still, c)
				continue
			}
			attempts++
			tenths[now.UnixMilli()/100]++
			if taken[now.Unix()]++; taken[now.Unix()] > 500 {
				c.view.Failed(now)
				c.at = now.Add(c.view.Actions().After)
				still = append(still, c)
			}
		}
		waiting = still
	}
	for tenth, n := range tenths {
		if n > 250 {
			t.Errorf("seed %d: %d attempts within 100 ms, %d ms after the loss", seed, n, tenth*100)
		}
	}
	if attempts > 3000 {
		t.Errorf("seed %d: 1,000 clients needed %d attempts, want at most 3,000", seed, attempts)
	}
}
