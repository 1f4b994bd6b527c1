package limits_test

import (
	"carrel/infra/testkit"
	"net/url"

	"context"
	"fmt"
	"testing"

	"carrel/shared/client"
)

// Forty windows of one user open at the same moment. Exactly ten stay connected. Each other window receives replaced.
func TestConnect_FortyWindowsAtOnce(t *testing.T) {
	g := kit.Shared(t)
	p := g.NewUser("alice")
	const windows = 40
	clients := make([]*client.Client, windows)
	for i := range clients {
		c, err := client.Start(g.Ctx, client.Config{
			URL: g.Endpoints().WebSocket,
			Token: func(ctx context.Context) (string, error) {
				return testkit.SignIn(ctx, g.Endpoints(), url.Values{"user": {p.Name}})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		clients[i] = c
	}
	count := func() (ready, replaced int) {
		for _, c := range clients {
			switch c.State().Status {
			case client.Ready:
				ready++
			case client.Replaced:
				replaced++
			}
		}
		return ready, replaced
	}
	g.Eventually("all windows are ready or replaced, and at most ten are ready", func() bool {
		ready, replaced := count()
		return ready+replaced == windows && ready <= 10
	})
	if ready, replaced := count(); ready != 10 || replaced != windows-10 {
		t.Errorf("%d windows are ready and %d replaced, want 10 and %d", ready, replaced, windows-10)
	}
	t.Attr("figure", fmt.Sprintf("%d windows at once: 10 stay, %d receive replaced", windows, windows-10))
}
