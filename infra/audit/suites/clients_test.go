package suites_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"fmt"
	"strings"
	"testing"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// The functions make their clients once per process and keep the connections, so many requests share few connections.
// The functions that serve all users have fewer connections than users: no connection belongs to one user.
func TestClients_Pooled(t *testing.T) {
	t.Attr("row", "E6: few connections are dialled for many requests")
	campaign.Only(t, "it runs twelve users one after the other and counts their connections")
	c := newSuite(t, 12, 1, stack.Config{})
	for _, p := range c.users { // one after the other, so that warm processes serve all users
		s, err := c.open(p, p.Threads[0])
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			end := fmt.Sprintf("end-%d %s", n, p.Secret)
			script := ""
			for factor := range 8 { // equal calls in a row would end the run
				script += fmt.Sprintf("/call calculator {\"expression\":\"6*%d\"}\n/stream 1 0\n", factor)
			}
			if err := c.ask(s, script+"/say "+end); err != nil {
				t.Fatal(err)
			}
			for range 5 { // as a page that becomes visible
				if err := s.Wake(); err != nil {
					t.Fatal(err)
				}
				whole := func(st client.State) bool {
					return testkit.Idle(st) &&
						testkit.Says(st, agui.RoleAssistant, end)
				}
				if err := s.WaitUntil(c.ctx, "is answered", whole); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.Close()
	}
	seen := 0
	for _, u := range c.DynamoDB().Usage() {
		if !strings.Contains("ConnectFunction MessageFunction TurnFunction", u.Caller) {
			continue
		}
		seen++
		c.figure("%s: %d requests of %d users to the table on %d connections", u.Caller, u.Requests, len(c.users),
			u.Connections)
		if u.Caller == "TurnFunction" { // each user has a process
			if u.Connections*5 > u.Requests || u.Connections > 4*len(c.users) {
				t.Errorf("%s made %d connections for %d requests", u.Caller, u.Connections, u.Requests)
			}
		} else if u.Connections >= len(c.users) {
			t.Errorf("%s made %d connections for %d users", u.Caller, u.Connections, len(c.users))
		}
	}
	if seen != 3 {
		t.Errorf("%d functions sent requests to the table, want 3", seen)
	}
	c.metrics()
}
