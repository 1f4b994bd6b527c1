package audit_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// scanner is an operator with the right to read and change the whole table.
type scanner struct {
	*testing.T
	db *dynamodb.Client
}

func newScanner(t *testing.T, e stack.Endpoints) scanner {
	return scanner{t, dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(e.DynamoDB),
		Credentials: e.Operator()})}
}

// items are all items of the table as text, by partition and sort key.
func (s scanner) items(ctx context.Context) map[string]string {
	s.Helper()
	all := map[string]string{}
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: aws.String("carrel-Table"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			s.Fatal(err)
		}
		for _, item := range page.Items {
			var plain map[string]any
			if err := attributevalue.UnmarshalMap(item, &plain); err != nil {
				s.Fatal(err)
			}
			text, err := json.Marshal(plain)
			if err != nil {
				s.Fatal(err)
			}
			all[fmt.Sprintf("%v %v", plain["pk"], plain["sk"])] = string(text)
		}
	}
	return all
}

// of are the items that hold a user's key anywhere: in their own keys, or in what they hold.
func of(user string, items map[string]string) map[string]string {
	its := maps.Clone(items)
	maps.DeleteFunc(its, func(k, text string) bool { return !strings.Contains(k+text, user) })
	return its
}

// await scans until only items that are let stay have a user's key.
func (s scanner) await(ctx context.Context, what, user string, stays func(key, text string) bool) map[string]string {
	s.Helper()
	return s.pass(ctx, what, user, stays, func() {})
}

// pass is await that lets time pass before each look. To do so once would not do: a pass over the user that was under way
// by then ends by setting a time of its own.
func (s scanner) pass(ctx context.Context, what, user string, stays func(key, text string) bool, passes func()) map[string]string {
	s.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		passes()
		left := of(user, s.items(ctx))
		gone := true
		for k, text := range left {
			gone = gone && stays(k, text)
		}
		if gone {
			return left
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			s.Fatalf("%s: there is still %q", what, slices.Sorted(maps.Keys(left)))
		}
	}
}

// set changes numbers of one item, as if time had passed. One that is gone stays gone.
func (s scanner) set(ctx context.Context, pk, sk string, values map[string]time.Time, unit time.Duration) {
	s.Helper()
	var change []string
	names, to := map[string]string{}, map[string]types.AttributeValue{}
	for name, at := range values {
		change = append(change, "#"+name+" = :"+name)
		names["#"+name] = name
		to[":"+name] = &types.AttributeValueMemberN{Value: fmt.Sprint(at.UnixNano() / int64(unit))}
	}
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String("carrel-Table"),
		Key:                      map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}},
		UpdateExpression:         aws.String("SET " + strings.Join(change, ", ")),
		ConditionExpression:      aws.String("attribute_exists(pk)"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: to})
	var gone *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &gone) {
		s.Fatal(err)
	}
}

// later tells whether the next pass of an ERASE# item or of ERASURE is to come: a pass has been, and the next one is due after it.
func later(text string) bool {
	var item struct{ Marked, Due float64 }
	return json.Unmarshal([]byte(text), &item) == nil && item.Due > item.Marked
}

// settled gives a person two threads, one of them deleted, and a note, in a window that stays open.
func settled(t *testing.T, ctx context.Context, e stack.Endpoints, p *person) *socket {
	t.Helper()
	gone := mustOpen(t, ctx, e, p, chat.ThreadID(chat.NewID(time.Now())))
	gone.asks(t, ctx, "/say "+p.secret, p.secret)
	if err := gone.Delete(ctx, gone.thread); err != nil {
		t.Fatal(err)
	}
	// The client asks for the thread once more. A hello that comes after its $disconnect makes the connection's records
	// again, until its answer finds nobody.
	wait(t, ctx, gone, "the thread is empty", func(client.State) bool {
		readies := 0
		for _, f := range gone.frames(t) {
			if _, is := f.(*wire.Ready); is {
				readies++
			}
		}
		return readies > 1
	})
	gone.Close()
	w := mustOpen(t, ctx, e, p, chat.ThreadID(chat.NewID(time.Now())))
	w.asks(t, ctx, "note: "+p.secret, "Saved as note 1.")
	return w
}

// A user who forgets themselves while a run works and another waits: all of it ends, nothing of theirs is left in the
// table, every window is told and then closed, and nothing of anybody else changes.
func TestAUserIsForgotten(t *testing.T) {
	s := startWith(t, stack.Config{Minute: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	e, table := s.Endpoints(), newScanner(t, s.Endpoints())
	alice := &person{name: "alice-who-leaves", secret: "secret-" + rand.Text()}
	bob := &person{name: "bob-who-stays", secret: "secret-" + rand.Text()}
	stays := settled(t, ctx, e, bob)
	leaves := settled(t, ctx, e, alice)
	other := mustOpen(t, ctx, e, alice, chat.ThreadID(chat.NewID(time.Now())))
	before := table.await(ctx, "bob's deleted thread", bob.name, func(k, text string) bool {
		if strings.Contains(k, " ERASE#") {
			return later(text) // which is the last that a pass writes
		}
		return !strings.Contains(k, "#T#") || strings.Contains(k, "#T#"+string(stays.thread)+"#")
	})
	for _, text := range []string{"/say begun " + alice.secret + "\n/stream 5000 20", "/say never"} {
		if _, err := leaves.Send(text); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, ctx, leaves, "one runs and one waits", func(st client.State) bool { return st.Active != "" && len(st.Queued) == 1 })
	table.seenOnOps(ctx, e.Ops, alice.name)
	if err := other.Erase(ctx); err != nil {
		t.Fatal(err)
	}
	left := table.await(ctx, "after erase", alice.name, func(k, text string) bool {
		return strings.HasSuffix(k, " QUEUE") && strings.Contains(text, "expires") || strings.HasSuffix(k, " ERASURE") && later(text) || strings.Contains(k, " ERASE#")
	})
	if all := fmt.Sprint(table.items(ctx)); strings.Contains(all, alice.secret) {
		t.Error("what she said is still in the table")
	}
	pk := "U#" + alice.name
	const closed = `{"erasing":true,"expires":%s,"pk":%q,"queued":[],"slots":{},"sk":"QUEUE","version":%s}`
	var desk struct{ Expires, Version json.Number }
	if err := json.Unmarshal([]byte(left[pk+" QUEUE"]), &desk); err != nil || left[pk+" QUEUE"] != fmt.Sprintf(closed, desk.Expires, pk, desk.Version) {
		t.Errorf("the desk that refuses her holds %s, %v", left[pk+" QUEUE"], err)
	}
	for _, w := range []*socket{leaves, other} {
		wait(t, ctx, w, "every window is told", func(st client.State) bool { return st.Status != client.Ready })
		if frames := w.frames(t); !slices.ContainsFunc(frames, func(f wire.ServerFrame) bool {
			done, is := f.(*wire.Done)
			return is && done.ThreadID == ""
		}) {
			t.Errorf("a window was told %d frames and no done", len(frames))
		}
	}
	table.aDayPasses(ctx, s, alice)
	back := mustOpen(t, ctx, e, alice, chat.ThreadID(chat.NewID(time.Now())))
	back.asks(t, ctx, "my notes", "There are no notes.")
	if after := of(bob.name, table.items(ctx)); !maps.Equal(after, before) {
		t.Errorf("bob's items were %q and are %q", before, after)
	}
}

// aDayPasses has the second pass over a user come due, and then the day end for which the desk refuses them. Passes take
// minutes at most: none may still be under way when so much time is said to be over.
func (s scanner) aDayPasses(ctx context.Context, on *stack.Stack, p *person) {
	s.Helper()
	g := &stage{T: s.T, Stack: on, ctx: ctx}
	rest := func() {
		g.resting("SweepFunction", "")
		g.resting("TurnFunction", p.name)
	}
	pk := "U#" + p.name
	rest()
	s.pass(ctx, "after the second pass", p.name, func(k, _ string) bool { return strings.HasSuffix(k, " QUEUE") }, func() {
		s.set(ctx, pk, "ERASURE", map[string]time.Time{"marked": time.Now().Add(-21 * time.Minute), "due": time.Now()}, time.Millisecond)
	})
	rest()
	s.set(ctx, pk, "QUEUE", map[string]time.Time{"expires": time.Now().Add(-time.Minute)}, time.Second)
}

// seenOnOps wants a user who has a run on the page /ops.
func (s scanner) seenOnOps(ctx context.Context, ops, user string) {
	s.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ops+".json", nil)
	if err != nil {
		s.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	var shown struct {
		Gateway struct{ Open, Posted int }
		Census  struct {
			People []struct {
				User          string
				Slots, Queued int
			}
			Runs []struct{ User, Status string }
		}
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		s.Fatal(err)
	}
	runs := map[string]int{}
	for _, r := range shown.Census.Runs {
		if r.User == user {
			runs[r.Status]++
		}
	}
	for _, p := range shown.Census.People {
		if p.User == user && (p.Slots != 1 || p.Queued != 1) {
			s.Errorf("%s has %+v", user, p)
		}
	}
	if runs["running"] != 1 || runs["queued"] != 1 || shown.Gateway.Open != 3 || shown.Gateway.Posted == 0 {
		s.Errorf("/ops.json shows the runs %v of %s, the gateway %+v", runs, user, shown.Gateway)
	}
}

// frames are all that reached the socket, those in parts excepted.
func (s *socket) frames(t *testing.T) (all []wire.ServerFrame) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if f, err := wire.DecodeServer(m); err == nil {
			all = append(all, f)
		}
	}
	return all
}
