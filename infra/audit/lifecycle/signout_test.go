package lifecycle_test

import (
	"carrel/infra/testkit"

	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/client"
)

// A user signs out everywhere on one device. Another device, which renews its token silently, is signed out too and
// stays signed out, however often it renews the token. A later sign-in of the same user connects. Another user is not
// affected.
func TestSignOut_RenewedToken(t *testing.T) {
	g := kit.Shared(t)
	p, bystander := g.NewUser("alice"), g.NewUser("bob")
	signedIn := time.Now().Add(-time.Minute)
	var renewals atomic.Int64
	device := func(since time.Time) *client.Client {
		c, err := client.Start(g.Ctx, client.Config{
			URL: g.Endpoints().WebSocket,
			Token: func(ctx context.Context) (string, error) {
				renewals.Add(1)
				age := fmt.Sprint(int(time.Since(since).Seconds()))
				return testkit.SignIn(ctx, g.Endpoints(), url.Values{"user": {p.Name}, "auth_age": {age}})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	here, there := device(signedIn), device(signedIn)
	waitForStatus(g, here, "the one device", client.Ready)
	waitForStatus(g, there, "the other device", client.Ready)
	w := g.Open(bystander, g.NewThread(bystander))
	began := time.Now()
	if err := here.SignOut(g.Ctx, false); err != nil {
		t.Fatal(err)
	}
	waitForStatus(g, here, "the device that signed out", client.SignedOut)
	waitForStatus(g, there, "the other device", client.SignedOut)
	took := time.Since(began)
	again := device(signedIn)
	waitForStatus(g, again, "a socket with a renewed token of the ended session", client.SignedOut)
	for !time.Now().After(began.Add(took + time.Second)) { // times of a sign-in are whole seconds
		select {
		case <-time.After(100 * time.Millisecond):
		case <-g.Ctx.Done():
			t.Fatal(g.Ctx.Err())
		}
	}
	waitForStatus(g, device(time.Now()), "a later sign-in", client.Ready)
	if status := w.State().Status; status != client.Ready {
		t.Errorf("the other user's window is %s", status)
	}
	t.Attr("figure",
		fmt.Sprintf("two devices signed out within %d ms; the ended session's renewed token stays out after %d "+
			"tokens, and a later sign-in connects",
			took.Milliseconds(), renewals.Load()))
}

// waitForStatus waits until a client has a status.
func waitForStatus(g *testkit.Env, c *client.Client, what string, want client.Status) {
	g.Helper()
	g.Eventually(fmt.Sprintf("%s is %s", what, want), func() bool { return c.State().Status == want })
}
