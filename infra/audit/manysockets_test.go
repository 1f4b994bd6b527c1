package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrel/shared/client"
)

// Forty windows of one user open at the same moment. Exactly ten stay connected. Each other window receives replaced.
func TestConnect_FortyWindowsAtOnce(t *testing.T) {
	g := onFaults(t)
	p := g.person("alice")
	const count = 40
	windows := make([]*client.Client, count)
	for i := range windows {
		c, err := client.Start(g.ctx, client.Config{
			URL:   g.Endpoints().WebSocket,
			Token: func(ctx context.Context) (string, error) { return signIn(ctx, g.Endpoints().Token, p.name) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		windows[i] = c
	}
	settled := func() (ready, replaced int) {
		for _, c := range windows {
			switch c.State().Status {
			case client.Ready:
				ready++
			case client.Replaced:
				replaced++
			}
		}
		return ready, replaced
	}
	for ready, replaced := settled(); ready+replaced != count || ready > 10; ready, replaced = settled() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-g.ctx.Done():
			t.Fatalf("%d windows are ready and %d replaced, want 10 and %d", ready, replaced, count-10)
		}
	}
	if ready, replaced := settled(); ready != 10 || replaced != count-10 {
		t.Errorf("%d windows are ready and %d replaced, want 10 and %d", ready, replaced, count-10)
	}
	t.Attr("figure", fmt.Sprintf("%d windows at once: 10 stay, %d receive replaced", count, count-10))
}
