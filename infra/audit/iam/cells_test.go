package iam_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/iam"
	"carrel/shared/store/storetest"
)

// callers returns which functions call a method of the store: C, D and M for connect, disconnect and message with their
// own roles, U for turn and sweep with the user's role, S for sweep with its own role, O for operators.
func callers() map[string]string {
	return map[string]string{
		"Table.For": "CDMU", "Table.Owner": "D", "Table.Live": "SO", "Table.Due": "S", "Table.LiveOf": "S",
		"Table.ForOperator": "O",
		"Store.Connect":     "C", "Store.Disconnect": "DM", "Store.Connection": "M", "Store.Watch": "M",
		"Store.Connections": "MU", "Store.Acknowledge": "M", "Store.RemoveConnection": "MU",
		"Store.EndSessions": "MO", "Store.Unbar": "O", "Store.Sessions": "O", "Store.Lost": "M",
		"Store.RefuseConnections": "M",
		"Store.Thread":            "MU", "Store.Threads": "M", "Store.Rename": "M", "Store.Delete": "M",
		"Store.Erase":      "U",
		"Store.CancelRuns": "MU", "Store.Log": "M", "Store.Last": "M", "Store.Transcripts": "MU",
		"Store.SaveNote": "U", "Store.Notes": "U", "Store.DeleteNote": "U",
		"Store.Admit": "M", "Store.Run": "U", "Store.Runs": "M", "Store.Input": "M", "Store.RunQueue": "MU",
		"Store.Cancel": "MO",
		"Store.Rows":   "MU", "Store.Inputs": "M", "Store.LogPage": "M",
		"Rows.Connection": "M", "Rows.Thread": "MU", "Rows.RunQueue": "MU", "Rows.Open": "M", "Rows.Cancel": "M",
		"Rows.Rename": "M", "Rows.Delete": "M", "Rows.EndSessions": "M", "Rows.RequestErasure": "M",
		"Store.StartQueued": "MU", "Store.StartNext": "MU",
		"Store.Claim": "U", "Store.ClaimExpired": "U", "Store.ExpireQueued": "U",
		"Store.ClaimUnclaimed": "U", "Store.LookAgain": "U", "Store.Release": "U",
		"Store.RequestErasure": "M", "Store.Open": "M", "Store.StopAll": "U", "Store.EraseUser": "U",
		"Store.Verify": "O", "Store.Orphans": "O",
		"Lease.Run": "U", "Lease.Input": "U", "Lease.Thread": "U", "Lease.Deleted": "U", "Lease.Expires": "U",
		"Lease.Renew":          "U",
		"Lease.PreviousEvents": "U", "Lease.CancelRequested": "U", "Lease.Append": "U", "Lease.SetStats": "U",
		"Lease.Continues": "U", "Lease.MayHandOver": "U", "Lease.HandOver": "U",
		"Lease.HasRecords": "U", "Lease.Unreadable": "U", "Lease.PrepareEnd": "U", "Lease.End": "U",
	}
}

// beyondUser returns methods that reach items outside of the user's partitions: owner records, the index, a scan,
// partitions with similar names. The user's role may call none of them, not even for its own user.
func beyondUser() []string {
	return []string{"Store.Connect", "Store.Disconnect", "Store.EndSessions", "Store.Lost", "Store.Verify",
		"Store.Orphans", "Rows.EndSessions", "Table.Owner", "Table.Live", "Table.ForOperator",
		"Table.Due", "Table.LiveOf", "Store.Threads", "Store.Runs"}
}

// readsLive reports whether a method reads the index live, which sweep may do with its own role.
func readsLive(method string) bool {
	return method == "Table.Live" || method == "Table.Due" || method == "Table.LiveOf"
}

// roles returns the role of each letter of callers.
func roles() map[rune]string {
	return map[rune]string{'C': "ConnectFunction", 'D': "DisconnectFunction", 'M': "MessageFunction",
		'S': "SweepFunction", 'U': "UserRole"}
}

// cells counts the decisions.
type cells struct {
	allowed, denied map[string]int             // by column
	actions         map[string]map[string]bool // that were requested, by role
}

// This is lock 4 alone. Each method of the store is called for bob with the right keys and with foreign credentials.
// The template's policies decide, in force before a real table. With MATRIX=1 there are more users with similar names.
func TestIAMMatrix(t *testing.T) {
	t.Attr("row", "B3: each store method with another user's credentials, under the template's policies")
	if problems := storetest.Uncovered(callers()); len(problems) > 0 {
		t.Fatalf("the map callers is incomplete: %q", problems)
	}
	similarNames := map[string][]string{"bob": {"bobby", "bo"}}
	if os.Getenv("MATRIX") != "" {
		similarNames["a"] = []string{"a#b", "a=23b"}
		similarNames["a#b"] = []string{"a", "a#b#c"}
	}
	c := cells{map[string]int{}, map[string]int{}, map[string]map[string]bool{}}
	for as, colliding := range similarNames {
		m := newMatrix(t)
		c.fill(m, as, colliding)
		c.unused(m)
	}
	columns := maps.Clone(c.allowed)
	maps.Copy(columns, c.denied)
	allowed, denied := 0, 0
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		allowed, denied = allowed+c.allowed[column], denied+c.denied[column]
		t.Logf("%-48s %4d allowed %4d denied", column, c.allowed[column], c.denied[column])
	}
	if allowed == 0 || denied == 0 {
		t.Errorf("%d allowed and %d denied: this proves nothing", allowed, denied)
	}
	t.Attr("figure",
		fmt.Sprintf("%d methods, %d columns of credentials: %d calls and requests allowed, %d denied, each as "+
			"it should be", len(callers()), len(columns),
			allowed, denied))
}

// fill calls each method for a user with all credentials.
func (c *cells) fill(m *matrix, as string, colliding []string) {
	others := map[string]aws.CredentialsProvider{"as another user": m.as("alice"),
		"without a user, as turn":      static(functionKey("TurnFunction")),
		"without a user, as sweep":     static(functionKey("SweepFunction")),
		"without a user, as authorize": static(functionKey("AuthorizeFunction"))}
	for _, name := range colliding {
		others[fmt.Sprintf("as %q beside %q", name, as)] = m.as(name)
	}
	own := m.as(as)
	storetest.Methods(m.T, m.db(), m.template.Tables[0].Name, as, func(method string, call func() error) {
		for column, credentials := range others {
			requested, err := m.with(credentials, call)
			switch {
			case len(requested) == 0: // it makes no request of the table
			// its only right with its own role
			case err == nil && readsLive(method) && strings.HasSuffix(column, "sweep"):
				c.allowed[column]++
			case isDenied(err):
				c.denied[column]++
			default:
				m.Errorf("%s %s: %v after %d requests", method, column, err, len(requested))
			}
		}
		requested, err := m.with(own, call)
		switch {
		case slices.Contains(beyondUser(), method):
			if !isDenied(err) {
				m.Errorf("%s as the user: %v, want a denial", method, err)
			}
			c.denied["as the user"]++
			requested, err = m.with(m.now, call)
		case len(requested) > 0:
			c.allowed["as the user"]++
		}
		if err != nil {
			m.Errorf("%s: %v", method, err)
		}
		for column, credentials := range others {
			if !readsLive(method) {
				c.foreign(m, column, credentials, requested)
			}
		}
		c.keyless(m, own, requested)
		c.decide(m, method, requested)
	})
}

// foreign decides about each single request of a method: a call with foreign credentials ends at its first request.
func (c *cells) foreign(m *matrix, column string, credentials aws.CredentialsProvider, requested []iam.Request) {
	who := m.who(credentials)
	for _, r := range requested {
		if access.Decide(who, r) == nil {
			m.Errorf("%s: %s on %s of %q is allowed", column, r.Action, r.Resource, r.Context[access.LeadingKeys])
		}
		c.denied["requests "+column]++
	}
}

// keyless decides about the same requests of the user without the name of a partition.
func (c *cells) keyless(m *matrix, own aws.CredentialsProvider, requested []iam.Request) {
	who := m.who(own)
	for _, r := range requested {
		r.Context = map[string][]string{}
		if access.Decide(who, r) == nil {
			m.Errorf("as the user, without a key: %s on %s is allowed", r.Action, r.Resource)
		}
		c.denied["requests as the user, without a key"]++
	}
}

// decide checks that the policies of each function that calls a method allow its requests.
func (c *cells) decide(m *matrix, method string, requested []iam.Request) {
	for letter, role := range roles() {
		if !strings.ContainsRune(callers()[method], letter) {
			continue
		}
		for _, r := range requested {
			if c.actions[role] == nil {
				c.actions[role] = map[string]bool{}
			}
			c.actions[role][r.Action] = true
			if letter == 'U' {
				continue // the call has shown it
			}
			p, err := m.guard.STS.Authenticate(functionKey(role), "")
			if err != nil {
				m.Fatal(err)
			}
			if p.Policy.Decide(r) != iam.Allow {
				m.Errorf("%s needs %s on %s for %s, and may not", role, r.Action, r.Resource, method)
				continue
			}
			c.allowed["requests of "+role]++
		}
	}
}

// inRaces returns the actions that a role needs only if another request changes an item in the meantime. The calls of
// this test have no such competitor.
func inRaces() []string {
	return []string{
		"ConnectFunction dynamodb:GetItem", // Store.Connect reads SESSIONS after its first attempts were refused
	}
}

// unused reports actions that are granted and that no method requests.
func (c *cells) unused(m *matrix) {
	granted := map[string][]iam.Statement{}
	for _, f := range m.template.Functions {
		granted[f.LogicalID] = f.Policies
	}
	for _, r := range m.template.Roles {
		granted[r.LogicalID] = r.Policies
	}
	for role, statements := range granted {
		for _, s := range statements {
			for _, action := range s.Action {
				if strings.HasPrefix(action, "dynamodb:") && !c.actions[role][action] &&
					!slices.Contains(inRaces(), role+" "+action) {
					m.Errorf("%s may %s, and no method that it calls requests this", role, action)
				}
			}
		}
	}
}
