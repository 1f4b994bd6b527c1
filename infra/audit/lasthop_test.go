package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
	"carrel/shared/wire"
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
	return last.Forget(ctx)
}

// table is the operator's way to the table.
func table(s *stack.Stack) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoints().DynamoDB),
		Credentials: credentials.NewStaticCredentialsProvider("operator", "operator", "")})
}

func keyOf(t *testing.T, user string, id chat.ConnectionID) map[string]types.AttributeValue {
	t.Helper()
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "U#" + chattest.User(t, user).Key()}, "sk": &types.AttributeValueMemberS{Value: "CONN#" + string(id)},
	}
}

// A row of bob's connection is copied among alice's while she has a run: the run posts nothing to it, and the violation is
// out, and on /ops, within a second of the list that finds it. So is one of a frame on a connection that is another's.
func TestAViolationIsOutWithinASecond(t *testing.T) {
	s := startWith(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alice, bob := &person{name: "alice", secret: "secret-of-alice"}, &person{name: "bob", secret: "secret-of-bob"}
	a, b := mustOpen(t, ctx, s.Endpoints(), alice, "t"), mustOpen(t, ctx, s.Endpoints(), bob, "t")
	row, err := table(s).GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("carrel-Table"), Key: keyOf(t, "bob", b.ready(t).ConnectionID)})
	if err != nil || row.Item == nil {
		t.Fatalf("bob's row is %v, %v", row, err)
	}
	if _, err := a.Send("/say begun\n/stream 60 20\n/say " + alice.secret); err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, a, "the run", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	row.Item["pk"] = keyOf(t, "alice", "")["pk"]
	if _, err := table(s).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("carrel-Table"), Item: row.Item}); err != nil {
		t.Fatal(err)
	}
	planted := time.Now()
	took := until(t, s, "carrel-TurnFunction").Sub(planted) // the run lists each second
	wait(t, ctx, a, "the end", func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, alice.secret) })
	b.read(t, []*person{alice, bob})

	// Alice's own row says now that it is bob's: her next frame is refused.
	mine := keyOf(t, "alice", a.ready(t).ConnectionID)
	_, err = table(s).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String("carrel-Table"), Key: mine, UpdateExpression: aws.String("SET #o = :o"),
		ExpressionAttributeNames: map[string]string{"#o": "owner"}, ExpressionAttributeValues: map[string]types.AttributeValue{":o": row.Item["owner"]}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := a.Send("/say never " + alice.secret); err != nil {
		t.Fatal(err)
	}
	frame := until(t, s, "carrel-MessageFunction").Sub(began)
	if took > 2*time.Second || frame > time.Second {
		t.Errorf("on /ops %v after the row was there, and %v after the frame", took, frame)
	}
	now := ops(t, s)
	for _, v := range now.Violations {
		for _, word := range []string{"alice", "bob", string(b.ready(t).ConnectionID)} {
			if strings.Contains(v, word) {
				t.Errorf("the violation tells %q: %s", word, v)
			}
		}
		if !strings.Contains(v, `"Guard":"connection_record"`) {
			t.Errorf("the violation is %s", v)
		}
	}
	t.Attr("figure", fmt.Sprintf("a violation is on /ops %d ms after the row that a run lists each second, and %d ms after a client's frame", took.Milliseconds(), frame.Milliseconds()))
	for _, f := range a.frames(t) {
		if e, ok := f.(*wire.Error); ok {
			t.Errorf("alice was told %+v", e)
		}
	}
}

// until asks /ops until it shows a violation of a function.
func until(t *testing.T, s *stack.Stack, function string) time.Time {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ops(t, s).Metrics["IsolationViolation"][function] == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("/ops shows no violation of %s", function)
		}
	}
	return time.Now()
}
