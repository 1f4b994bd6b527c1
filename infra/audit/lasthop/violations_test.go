package lasthop_test

import (
	"carrel/infra/testkit"

	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
)

// violations returns how many violations /ops shows, of all functions.
func violations(o testkit.Ops) int { return int(o.Totals()["IsolationViolation"]) }

// Ordinary use counts no violation: windows, more of them than a user may have, switches of threads, lost sockets, lost
// $disconnects, reconnects, cancels, renames, deletions, and an erased user.
func TestViolations_OrdinaryUse(t *testing.T) {
	t.Attr("row", "E2: ordinary use raises no false alarm")
	s := kit.Start(t, stack.Config{Reorder: 5 * time.Millisecond, LoseDisconnects: true, Seed: 7})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var windows, frames atomic.Int64
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() {
			u := testkit.NewUser(fmt.Sprintf("user-%d", n), 0)
			u.Threads = []chat.ThreadID{"t-1", "t-2"} // the same ids for all users
			err := useOrdinarily(ctx, s, u, func(d *testkit.Device) {
				windows.Add(1)
				frames.Add(int64(len(d.Messages())))
			})
			if err != nil {
				t.Errorf("%s: %v", u.Name, err)
			}
		})
	}
	all.Wait()
	now := testkit.ReadOps(t, ctx, s.Endpoints())
	if n := violations(now); n != 0 {
		t.Errorf("%d violations: %s", n, strings.Join(now.Violations, "\n"))
	}
	if now.Metrics["RunsEnded"] == nil {
		t.Error("/ops has no metric of the runs, so it would have none of violations either")
	}
	t.Attr("figure",
		fmt.Sprintf("%d violations counted in ordinary use: 3 users with the same thread ids, %d windows, %d frames",
			violations(now), windows.Load(), frames.Load()))
}

// useOrdinarily does what one user does. It calls closed for each window at its end.
func useOrdinarily(ctx context.Context, s *stack.Stack, p *testkit.User, closed func(*testkit.Device)) error {
	var tabs []*testkit.Device
	defer func() {
		for _, tab := range tabs {
			tab.Close()
			closed(tab)
		}
	}()
	for n := range 11 { // one more than a user may have
		tab, err := testkit.Dial(ctx, s.Endpoints(), p, p.Threads[n%2], nil)
		if err != nil {
			return err
		}
		tabs = append(tabs, tab)
		if _, err := tab.WaitFor(ctx, func(st client.State) bool { return st.Status == client.Ready }); err != nil {
			return err
		}
	}
	last := tabs[len(tabs)-1]
	for round, talker := range []*testkit.Device{last, tabs[5], tabs[6]} {
		if _, err := talker.Send(fmt.Sprintf("/say round %d\n/stream 10 20", round)); err != nil {
			return err
		}
		if err := last.Cut(); err != nil {
			return err
		}
		for _, tab := range tabs[7:9] {
			if err := tab.Open(p.Threads[round%2]); err != nil {
				return err
			}
		}
		if _, err := talker.WaitFor(ctx, func(st client.State) bool {
			return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, fmt.Sprint("round ", round))
		}); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	run, err := last.Send("/stream 200 20")
	if err != nil {
		return err
	}
	if err := last.Cancel(run); err != nil {
		return err
	}
	for _, err := range []error{last.Rename(ctx, "t-1", "a title"), last.Delete(ctx, "t-2")} {
		if err != nil {
			return err
		}
	}
	return last.Erase(ctx)
}

// tampered is a user with a window whose records a test changes in the table.
type tampered struct {
	*testkit.Device
	t   *testing.T
	s   *stack.Stack
	key string // of the user's partition

	connection string
}

func newTampered(t *testing.T, ctx context.Context, s *stack.Stack, name string) tampered {
	t.Helper()
	d := testkit.Open(t, ctx, s.Endpoints(), &testkit.User{Name: name, Secret: "secret-of-" + name}, "t")
	return tampered{d, t, s, "U#" + chattest.User(t, name).Key(), d.Connection(t)}
}

// connectionKey returns the key of the record of the window's connection.
func (v tampered) connectionKey() map[string]types.AttributeValue {
	return testkit.Key(v.key, "CONN#"+v.connection)
}

// connectionRecord returns the record of the window's connection.
func (v tampered) connectionRecord() map[string]types.AttributeValue {
	v.t.Helper()
	got, err := testkit.Operator(v.s.Endpoints()).GetItem(v.t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(v.s.Endpoints().Table), Key: v.connectionKey(), ConsistentRead: aws.Bool(true)})
	if err != nil || got.Item == nil {
		v.t.Fatalf("the record of a connection is %v, %v", got, err)
	}
	return got.Item
}

// set sets an attribute of an item.
func (v tampered) set(key map[string]types.AttributeValue, name string, value types.AttributeValue) {
	v.t.Helper()
	_, err := testkit.Operator(v.s.Endpoints()).UpdateItem(v.t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(v.s.Endpoints().Table), Key: key,
		UpdateExpression: aws.String("SET #a = :a"), ExpressionAttributeNames: map[string]string{"#a": name},
		ExpressionAttributeValues: map[string]types.AttributeValue{":a": value}})
	if err != nil {
		v.t.Fatal(err)
	}
}

// The record of one user's connection is wrong: for a run, which lists the connections each second, for a client's
// frame, and for the end of a socket. Nothing is posted. Each is a violation, which /ops shows within ten seconds even
// on a busy machine. The figure says how soon it was.
func TestViolations_Counted(t *testing.T) {
	t.Attr("row", "E2: each guard's refusal is counted")
	s := kit.Start(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := newTampered(t, ctx, s, "alice"), newTampered(t, ctx, s, "bob")
	carol, dave := newTampered(t, ctx, s, "carol"), newTampered(t, ctx, s, "dave")
	db, table := testkit.Operator(s.Endpoints()), aws.String(s.Endpoints().Table)

	// A copy of the record of bob's connection stands under alice's key while she has a run.
	if _, err := alice.Send("/say begun\n/stream 60 20\n/say " + alice.User.Secret); err != nil {
		t.Fatal(err)
	}
	alice.Wait(t, ctx, "shows the begin of the run", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant, "begun")
	})
	copied := bob.connectionRecord()
	copied["pk"] = testkit.Text(alice.key)
	began := time.Now()
	if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: copied}); err != nil {
		t.Fatal(err)
	}
	took := map[string]time.Duration{
		"TurnFunction connection_record": waitForViolation(t, ctx, s, "TurnFunction", "connection_record").Sub(began)}
	alice.Wait(t, ctx, "shows the end of the run", func(st client.State) bool {
		return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, alice.User.Secret)
	})

	// The record of carol's connection names bob as the owner. Dave's is deleted, and the owner record names bob.
	carol.set(carol.connectionKey(), "owner", copied["owner"])
	carol.sendRefused(ctx, took, "connection_record")
	dave.set(testkit.Key("C#"+dave.connection, "OWNER"), "user", testkit.Text(strings.TrimPrefix(bob.key, "U#")))
	_, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: dave.connectionKey()})
	if err != nil {
		t.Fatal(err)
	}
	dave.sendRefused(ctx, took, "connection_owner")
	began = time.Now()
	dave.Close()
	took["DisconnectFunction connection_owner"] = waitForViolation(t, ctx, s, "DisconnectFunction",
		"connection_owner").Sub(began)

	bob.Received(t, []*testkit.User{alice.User, bob.User, carol.User, dave.User})
	var figures []string
	for guard, after := range took {
		figures = append(figures, fmt.Sprintf("%s %d ms", guard, after.Milliseconds()))
		if after > 10*time.Second { // a list each second, and a second; this machine may be busy
			t.Errorf("/ops showed %s after %v", guard, after)
		}
	}
	slices.Sort(figures)
	t.Attr("figure", fmt.Sprintf("on /ops after: %s (a run lists each second)", strings.Join(figures, ", ")))
	for _, v := range testkit.ReadOps(t, ctx, s.Endpoints()).Violations {
		for _, word := range []string{"alice", "bob", "carol", "dave", bob.connection, "secret"} {
			if strings.Contains(v, word) {
				t.Errorf("the violation reveals %q: %s", word, v)
			}
		}
	}
}

// sendRefused sends a frame that must be a violation and must get no answer.
func (v tampered) sendRefused(ctx context.Context, took map[string]time.Duration, guard string) {
	v.t.Helper()
	before, began := len(v.Messages()), time.Now()
	if _, err := v.Send("/say never " + v.User.Secret); err != nil {
		v.t.Fatal(err)
	}
	took["MessageFunction "+guard] = waitForViolation(v.t, ctx, v.s, "MessageFunction", guard).Sub(began)
	if now := v.Messages(); len(now) > before {
		v.t.Errorf("%s was answered with %s", v.User.Name, now[before])
	}
}

// waitForViolation waits until /ops shows a violation of a function's guard, and returns the time.
func waitForViolation(t *testing.T, ctx context.Context, s *stack.Stack, function, guard string) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	testkit.Eventually(t, ctx, "/ops shows a violation of "+guard+" by "+function, func() bool {
		for _, v := range testkit.ReadOps(t, ctx, s.Endpoints()).Violations {
			if strings.Contains(v, `"Function":"carrel-`+function+`"`) && strings.Contains(v, `"Guard":"`+guard+`"`) {
				return true
			}
		}
		return false
	})
	return time.Now()
}
