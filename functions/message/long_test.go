package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	engine "carrel/infra/local/dynamodb"
	"carrel/shared/agui"
	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// meter counts the requests to the table, and what their answers weigh.
type meter struct {
	http.Transport
	mu              sync.Mutex
	requests, bytes int
	before          map[string]func() // called once, before the next request of an operation
}

func (m *meter) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	m.mu.Lock()
	before := m.before[operation]
	delete(m.before, operation)
	m.mu.Unlock()
	if before != nil {
		before()
	}
	res, err := m.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	m.bytes += len(body)
	return res, nil
}

// next makes do be called before the next request of an operation.
func (m *meter) next(operation string, do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before == nil {
		m.before = map[string]func(){}
	}
	m.before[operation] = do
}

func (m *meter) take() (requests, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	requests, size = m.requests, m.bytes
	m.requests, m.bytes = 0, 0
	return requests, size
}

// longRig is a rig whose table is metered and can be written behind the store's back.
type longRig struct {
	*rig
	meter *meter
	db    *dynamodb.Client
}

func newLongRig(t *testing.T) longRig {
	t.Helper()
	r := longRig{newRig(t), &meter{}, nil}
	e, err := engine.Start(t.Context(), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.meter.CloseIdleConnections()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	r.db = store.NewClient(aws.Config{
		Region: "local", BaseEndpoint: aws.String(e.URL()), HTTPClient: r.meter,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err := storetest.CreateTable(t.Context(), r.db, "carrel"); err != nil {
		t.Fatal(err)
	}
	limits := r.limits
	r.table = store.New(r.db, store.Config{Name: "carrel", Limits: limits, Now: func() time.Time { return r.at }})
	return r
}

// perRecord is how many events a record has that lengthen writes.
const perRecord = 10

// lengthen writes events to the end of the window's thread, as runs that have ended would have left them, and returns
// its head.
func (r longRig) lengthen(t *testing.T, w window, events int) chat.Seq {
	t.Helper()
	th, err := w.store().Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(n int64) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }
	var all []types.WriteRequest
	at := th.Head
	for at < th.Head+chat.Seq(events) {
		all = append(all, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"pk": text("U#" + w.user.Key() + "#T#t#" + string(th.Epoch)), "sk": text(fmt.Sprintf("E#%012d", at+1)),
			"s": number(int64(at) + 1), "n": number(perRecord), "r": text("r1"), "f": number(1), "x": text("nonce"),
			"e": text(deltas(t, at)), "expires": number(r.at.Add(time.Hour).Unix()),
		}}})
		at += perRecord
	}
	for len(all) > 0 {
		n := min(25, len(all))
		_, err := r.db.BatchWriteItem(t.Context(),
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"carrel": all[:n]}})
		if err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
	_, err = r.db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("carrel"), Key: map[string]types.AttributeValue{"pk": text("U#" + w.user.Key()),
			"sk": text("THREAD#t")},
		UpdateExpression:          aws.String("SET head = :head"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":head": number(int64(at))},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.meter.take()
	return at
}

// deltas are the events of one record behind at: each says its number.
func deltas(t *testing.T, at chat.Seq) string {
	t.Helper()
	var events []agui.Event
	for i := range chat.Seq(perRecord) {
		events = append(events, agui.Event{Type: agui.TextMessageContent, MessageID: "m",
			Delta: fmt.Sprintf("word %d ", at+1+i), Timestamp: 1})
	}
	b, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func cursor(w window, at chat.Seq) string {
	return fmt.Sprintf(`{"type":"hello","n":9,"threadId":"t","cursor":{"epoch":%q,"seq":%d}}`, w.epoch(), at)
}

// A resume costs as much as the client missed, however long the thread is.
func TestHello_CostOfLongThread(t *testing.T) {
	campaign.Only(t, "it writes a log of many thousand records")
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	const event = 100 // bytes, about
	spent := map[int][2]int{}
	for _, length := range []int{20_000, 80_000} {
		head := r.lengthen(t, w, length)
		for _, missed := range []int{0, 1, 15, 100, 1000, 9990, maxReplay, maxReplay + 1, int(head) - 1} {
			hello := cursor(w, head-chat.Seq(missed))
			r.meter.take()
			g := w.hello(hello)
			requests, size := r.meter.take()
			if snapshot := missed > maxReplay; snapshot != (g.snapshot != nil) || g.ready.Recovered == snapshot ||
				g.ready.Head != head {
				t.Errorf("%d of %d missed: ready %+v, snapshot %v", missed, head, g.ready, g.snapshot != nil)
			} else if n := len(g.events); !snapshot && (n < missed || n >= missed+perRecord || missed > 0 &&
				g.next != head+1) {
				t.Errorf("%d of %d missed, and %d came, the next is %d", missed, head, n, g.next)
			}
			most := [2]int{6 + 2*missed/perRecord/logPage, 8_000 + 3*missed*event}
			if g.snapshot != nil {
				most = [2]int{8, 8_000}
			}
			if requests > most[0] || size > most[1] {
				t.Errorf("%d of %d missed: %d requests and %d bytes, more than %d", missed, head, requests, size, most)
			}
			if was, ok := spent[missed]; ok && (was[0] != requests || size > was[1]+was[1]/10+200) {
				t.Errorf("%d missed: %d requests and %d bytes, %d in a shorter thread", missed, requests, size, was)
			}
			spent[missed] = [2]int{requests, size}
			t.Logf("%6d of %6d missed: %2d requests, %7d bytes", missed, head, requests, size)
		}
	}
}

// slowly is an edge to which each post takes a while, by the rig's clock.
type slowly struct {
	*rig
	takes time.Duration
}

func (s slowly) Close(ctx context.Context, id chat.ConnectionID) error { return s.edge.Close(ctx, id) }

func (s slowly) Post(ctx context.Context, m lasthop.Message) error {
	s.at = s.at.Add(s.takes)
	return s.edge.Post(ctx, m)
}

// The next hello brings what one hello had no time for. Only the record at the cursor comes twice.
func TestHello_ReplayTimeIsOver(t *testing.T) {
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	head := r.lengthen(t, w, 9000)
	r.poster = slowly{r.rig, time.Second}
	at, hellos := chat.Seq(5), 0
	for at < head {
		g := w.hello(cursor(w, at))
		if hellos++; hellos > 20 || !g.ready.Recovered || g.ready.Head != head || g.next <= at+1 {
			t.Fatalf("hello %d from %d: %+v, next %d", hellos, at, g.ready, g.next)
		}
		for i, e := range g.events {
			if seq := int(g.next) - len(g.events) + i; e.Delta != fmt.Sprintf("word %d ", seq) {
				t.Fatalf("event %d says %q", seq, e.Delta)
			}
		}
		at = g.next - 1
	}
	if hellos < 2 {
		t.Errorf("%d hellos for what takes longer than one may", hellos)
	}
}

// turning is an edge at which something happens after so many posts.
type turning struct {
	*rig
	left, posts int
	do          func()
	fails       error
}

func (e *turning) Close(ctx context.Context, id chat.ConnectionID) error {
	return e.edge.Close(ctx, id)
}

func (e *turning) Post(ctx context.Context, m lasthop.Message) error {
	if e.fails != nil {
		return e.fails
	}
	e.posts++
	if e.left--; e.left == 0 {
		defer e.do()
	}
	return e.edge.Post(ctx, m)
}

// erase deletes the record that begins at seq, as TTL does.
func (r longRig) erase(t *testing.T, w window, seq chat.Seq) {
	t.Helper()
	_, err := r.db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("carrel"),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "U#" + w.user.Key() + "#T#t#" + string(w.epoch())},
			"sk": &types.AttributeValueMemberS{Value: fmt.Sprintf("E#%012d", seq)},
		}})
	if err != nil {
		t.Fatal(err)
	}
}
