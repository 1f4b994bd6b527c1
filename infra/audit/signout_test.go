package audit_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/client"
)

// A user signs out everywhere on one device. Another device, which renews its token silently, is signed out too and stays
// so, however often it is renewed; a later sign-in of the same user connects, and another user never notices.
func TestSignOut_RenewedTokenStaysOut(t *testing.T) {
	g := onFaults(t)
	p, bystander := g.person("alice"), g.person("bob")
	signedIn := time.Now().Add(-time.Minute)
	var renewals atomic.Int64
	device := func(since time.Time) *client.Client {
		c, err := client.Start(g.ctx, client.Config{
			URL: g.Endpoints().WebSocket,
			Token: func(ctx context.Context) (string, error) {
				renewals.Add(1)
				age := fmt.Sprint(int(time.Since(since).Seconds()))
				return signInWith(ctx, g.Endpoints().Token, url.Values{"user": {p.name}, "auth_age": {age}})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	here, there := device(signedIn), device(signedIn)
	g.reaches(here, "the one device", client.Ready)
	g.reaches(there, "the other device", client.Ready)
	w := g.window(bystander, g.thread(bystander))
	began := time.Now()
	if err := here.SignOut(g.ctx, false); err != nil {
		t.Fatal(err)
	}
	g.reaches(here, "the device that signed out", client.SignedOut)
	g.reaches(there, "the other device", client.SignedOut)
	took := time.Since(began)
	again := device(signedIn)
	g.reaches(again, "a socket with a renewed token of the ended session", client.SignedOut)
	for !time.Now().After(began.Add(took + time.Second)) { // times of a sign-in are whole seconds
		select {
		case <-time.After(100 * time.Millisecond):
		case <-g.ctx.Done():
			t.Fatal(g.ctx.Err())
		}
	}
	g.reaches(device(time.Now()), "a later sign-in", client.Ready)
	if status := w.State().Status; status != client.Ready {
		t.Errorf("the other user's window is %s", status)
	}
	t.Attr("figure", fmt.Sprintf("two devices signed out within %d ms; the ended session's renewed token stays out after %d tokens, and a later sign-in connects",
		took.Milliseconds(), renewals.Load()))
}

// reaches waits until a client has a status.
func (g *ground) reaches(c *client.Client, what string, want client.Status) {
	g.t.Helper()
	for {
		changed := c.Changes()
		if c.State().Status == want {
			return
		}
		select {
		case <-changed:
		case <-g.ctx.Done():
			g.t.Fatalf("%s is %s, want %s", what, c.State().Status, want)
		}
	}
}
