package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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

// shown is what /ops tells of violations.
type shown struct {
	Metrics    map[string]map[string]float64
	Violations []string
}

// count is how many violations there were, of all functions.
func (s shown) count() (n int) {
	for _, of := range s.Metrics["IsolationViolation"] {
		n += int(of)
	}
	return n
}

// ops asks the local stack's /ops.
func ops(t *testing.T, s *stack.Stack) (now shown) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoints().Page+"ops.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&now); err != nil {
		t.Fatal(err)
	}
	return now
}

// Ordinary life counts no violation: tabs, more of them than a user may have, switches of threads, lost sockets, ends of
// sockets that nobody tells of, reconnects, cancels, renames, deletions, one who is forgotten and comes back too early.
func TestOrdinaryLifeIsNoViolation(t *testing.T) {
	t.Attr("row", "E2: ordinary use raises no false alarm")
	s := startWith(t, stack.Config{Reorder: 5 * time.Millisecond, LoseDisconnects: true, Seed: 7})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var sockets, frames atomic.Int64
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() {
			p := &person{name: fmt.Sprintf("lives-%d", n), secret: "word", threads: []chat.ThreadID{"t-1", "t-2"}} // all use the same names
			err := live(ctx, s, p, func(more *socket) {
				sockets.Add(1)
				more.mu.Lock()
				defer more.mu.Unlock()
				frames.Add(int64(len(more.messages)))
			})
			if err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		})
	}
	all.Wait()
	now := ops(t, s)
	if n := now.count(); n != 0 {
		t.Errorf("%d violations: %s", n, strings.Join(now.Violations, "\n"))
	}
	if now.Metrics["RunsEnded"] == nil {
		t.Error("/ops has no metric of the runs: it would not have one of violations either")
	}
	t.Attr("figure", fmt.Sprintf("%d violations counted in ordinary life: 3 users of the same thread names, %d windows, %d frames", now.count(), sockets.Load(), frames.Load()))
}

// live is one user's ordinary life; closed is told of each window at its end.
func live(ctx context.Context, s *stack.Stack, p *person, closed func(*socket)) error {
	var tabs []*socket
	defer func() {
		for _, tab := range tabs {
			tab.Close()
			closed(tab)
		}
	}()
	for n := range 11 { // one too many
		tab, err := open(ctx, s.Endpoints(), p, p.threads[n%2])
		if err != nil {
			return err
		}
		tabs = append(tabs, tab)
		if _, err := tab.WaitFor(ctx, func(st client.State) bool { return st.Status == client.Ready }); err != nil {
			return err
		}
	}
	last := tabs[len(tabs)-1]
	for round, talker := range []*socket{last, tabs[5], tabs[6]} {
		if _, err := talker.Send(fmt.Sprintf("/say round %d\n/stream 10 20", round)); err != nil {
			return err
		}
		if err := last.Cut(); err != nil {
			return err
		}
		for _, tab := range tabs[7:9] {
			if err := tab.Open(p.threads[round%2]); err != nil {
				return err
			}
		}
		if _, err := talker.WaitFor(ctx, func(st client.State) bool {
			return idle(st) && says(st, agui.RoleAssistant, fmt.Sprint("round ", round))
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

// table is the operator's way to the table.
func table(s *stack.Stack) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoints().DynamoDB),
		Credentials: s.Endpoints().Operator()})
}

// item is a key of the table.
func item(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}}
}

// haunted is a user with a window, whose records are changed behind everybody's back.
type haunted struct {
	*socket
	t          *testing.T
	stack      *stack.Stack
	key        string
	connection chat.ConnectionID
}

func newHaunted(t *testing.T, ctx context.Context, s *stack.Stack, name string) haunted {
	t.Helper()
	w := mustOpen(t, ctx, s.Endpoints(), &person{name: name, secret: "secret-of-" + name}, "t")
	return haunted{w, t, s, "U#" + chattest.User(t, name).Key(), w.ready(t).ConnectionID}
}

// row is the connection's as it stands in the table.
func (v haunted) row() map[string]types.AttributeValue {
	v.t.Helper()
	got, err := table(v.stack).GetItem(v.t.Context(), &dynamodb.GetItemInput{TableName: aws.String("carrel-Table"),
		Key: item(v.key, "CONN#"+string(v.connection)), ConsistentRead: aws.Bool(true)})
	if err != nil || got.Item == nil {
		v.t.Fatalf("the row of a connection is %v, %v", got, err)
	}
	return got.Item
}

// set sets a text of an item.
func (v haunted) set(key map[string]types.AttributeValue, name string, value types.AttributeValue) {
	v.t.Helper()
	_, err := table(v.stack).UpdateItem(v.t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("carrel-Table"), Key: key,
		UpdateExpression: aws.String("SET #a = :a"), ExpressionAttributeNames: map[string]string{"#a": name},
		ExpressionAttributeValues: map[string]types.AttributeValue{":a": value}})
	if err != nil {
		v.t.Fatal(err)
	}
}

// A record of one user's connection stands where it should not, for a run that lists each second, for a client's frame,
// and for the end of a socket: nothing is posted, and each is a violation that is out, and on /ops, within ten seconds on a
// busy machine. The figure says how soon it was.
func TestEachViolationIsCounted(t *testing.T) {
	t.Attr("row", "E2: each guard's refusal is counted")
	s := startWith(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob, carol, dave := newHaunted(t, ctx, s, "alice"), newHaunted(t, ctx, s, "bob"), newHaunted(t, ctx, s, "carol"), newHaunted(t, ctx, s, "dave")

	// A copy of bob's row is among alice's while she has a run.
	if _, err := alice.Send("/say begun\n/stream 60 20\n/say " + alice.who.secret); err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, alice.socket, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	copied := bob.row()
	copied["pk"] = &types.AttributeValueMemberS{Value: alice.key}
	began := time.Now()
	if _, err := table(s).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("carrel-Table"), Item: copied}); err != nil {
		t.Fatal(err)
	}
	took := map[string]time.Duration{"TurnFunction connection_record": until(t, s, "TurnFunction", "connection_record").Sub(began)}
	wait(t, ctx, alice.socket, "the end", func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, alice.who.secret) })

	// Carol's own row says that it is bob's; dave's is gone, and the owner record says so.
	carol.set(item(carol.key, "CONN#"+string(carol.connection)), "owner", copied["owner"])
	carol.refused(took, "connection_record")
	owner := item("C#"+string(dave.connection), "OWNER")
	dave.set(owner, "user", &types.AttributeValueMemberS{Value: strings.TrimPrefix(bob.key, "U#")})
	if _, err := table(s).DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("carrel-Table"), Key: item(dave.key, "CONN#"+string(dave.connection))}); err != nil {
		t.Fatal(err)
	}
	dave.refused(took, "connection_owner")
	began = time.Now()
	dave.Close()
	took["DisconnectFunction connection_owner"] = until(t, s, "DisconnectFunction", "connection_owner").Sub(began)

	bob.read(t, []*person{alice.who, bob.who, carol.who, dave.who})
	var figures []string
	for guard, after := range took {
		figures = append(figures, fmt.Sprintf("%s %d ms", guard, after.Milliseconds()))
		if after > 10*time.Second { // a list each second, and a second; this machine may be busy
			t.Errorf("%s was on /ops after %v", guard, after)
		}
	}
	slices.Sort(figures)
	t.Attr("figure", fmt.Sprintf("on /ops after: %s (a run lists each second)", strings.Join(figures, ", ")))
	for _, v := range ops(t, s).Violations {
		for _, word := range []string{"alice", "bob", "carol", "dave", string(bob.connection), "secret"} {
			if strings.Contains(v, word) {
				t.Errorf("the violation tells %q: %s", word, v)
			}
		}
	}
}

// refused sends a frame that is to be a violation, and is to be answered nothing.
func (v haunted) refused(took map[string]time.Duration, guard string) {
	v.t.Helper()
	before, began := len(v.frames(v.t)), time.Now()
	if _, err := v.Send("/say never " + v.who.secret); err != nil {
		v.t.Fatal(err)
	}
	took["MessageFunction "+guard] = until(v.t, v.stack, "MessageFunction", guard).Sub(began)
	if now := v.frames(v.t); len(now) > before {
		v.t.Errorf("%s was answered %T", v.who.name, now[before])
	}
}

// until asks /ops until it shows a violation of a function's guard.
func until(t *testing.T, s *stack.Stack, function, guard string) time.Time {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		for _, v := range ops(t, s).Violations {
			if strings.Contains(v, `"Function":"carrel-`+function+`"`) && strings.Contains(v, `"Guard":"`+guard+`"`) {
				return time.Now()
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("/ops shows no violation of %s by %s", guard, function)
		}
	}
}
