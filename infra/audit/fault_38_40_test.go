package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/golang-jwt/jwt/v5"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// The processes of the functions disagree about the time. By a few seconds, which is more than Lambda's clocks do, nobody
// notices anything. By minutes, sweep takes living workers for dead ones, so that a run may be tried again or fail; but
// what windows show is true, each run ends once, and no thread or list stays as if it ran.
func TestFault38ClockSkew(t *testing.T) {
	for name, skew := range map[string]time.Duration{"seconds": 4 * time.Second, "minutes": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) { skewed(t, skew) })
	}
}

func skewed(t *testing.T, skew time.Duration) {
	g := newStage(t, stack.Config{Minute: 2 * time.Second})
	var mu sync.Mutex
	processes := map[string]int{}
	g.Host().SetFaults(lambda.Faults{Env: func(function, _ string) map[string]string {
		off := skew
		mu.Lock()
		defer mu.Unlock()
		if processes[function]++; function == g.Function("TurnFunction") && processes[function]%2 == 1 {
			off = -skew // the first one of each user's
		}
		return map[string]string{"CLOCK_SKEW": off.String()}
	}})
	var ends atomic.Int32 // tries to write the end of a run
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if holds(r, "TransactWriteItems", "RUN_FINISHED") {
			ends.Add(1)
		}
		return proxy.Fine, nil
	})
	windows := []*socket{g.window(), g.window()}
	second := mustOpen(t, g.ctx, g.Endpoints(), g.alice, chat.ThreadID(chat.NewID(time.Now())))
	const runs = 3
	for n := range runs {
		for _, w := range []*socket{windows[0], second} { // two at once: they have processes of their own
			g.send(w, fmt.Sprintf("/say begun\n/stream 20 20\n/say end of %d", n))
		}
	}
	done := func(st client.State) bool { return idle(st) && asked(st, "") == runs }
	for _, w := range append(windows, second) {
		st := g.await(w, "all runs", done)
		g.await(w, "a list in which nothing runs", func(st client.State) bool {
			for _, row := range st.Threads {
				if row.Status != chat.ThreadIdle {
					return false
				}
			}
			return len(st.Threads) == 2
		})
		for n := range runs {
			if skew < time.Minute && !says(st, agui.RoleAssistant, fmt.Sprintf("end of %d", n)) {
				t.Errorf("run %d did not end well: %+v", n, st.Messages)
			}
		}
	}
	g.exact(runs, windows...)
	g.exact(runs, second)
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d processes of turn, %d ends were written in %d tries", processes[g.Function("TurnFunction")], 2*runs, ends.Load())
	if n := ends.Load(); skew < time.Minute && n > 4*runs {
		t.Errorf("%d runs ended in %d tries: who is behind had to wait until it was later", 2*runs, n)
	}
}

// A thread of 100,000 events (5,000 without make faults) resumes from any cursor, and costs what was missed: as many reads
// as a thread of 1,000 events from which as much is missed. The thread's holder writes it, without a model and its pace.
func TestFault39Thread100000Events(t *testing.T) {
	events := 5_000
	if os.Getenv("CARREL_FAULTS") != "" {
		events = 100_000
	}
	g := newStage(t, stack.Config{})
	long, short := newPerson("long"), newPerson("short")
	last := map[*person]*wire.Ready{}
	for p, n := range map[*person]int{long: events, short: 1000} {
		g.fill(p, n)
		w := mustOpen(t, g.ctx, g.Endpoints(), p, p.threads[0])
		if st := g.await(w, "the thread", idle); st.Seq != chat.Seq(n) {
			t.Errorf("a new window stands at event %d of %d", st.Seq, n)
		}
		last[p] = w.ready(t)
	}
	b := &bench{T: t, ctx: g.ctx, stack: g.Stack}
	for _, missed := range []chat.Seq{0, 1, 100, 900} {
		units := map[*person]float64{}
		for p, r := range last {
			before := g.reads()
			got := b.open(t, p.name).resume(t, p.threads[0], chat.Cursor{Epoch: r.Epoch, Seq: r.Head - missed})
			units[p] = g.reads() - before
			if got != missed {
				t.Errorf("%s missed %d events and was sent %d", p.name, missed, got)
			}
		}
		t.Logf("%d events missed: %.1f read units on the long thread, %.1f on the short", missed, units[long], units[short])
		if units[long] > 1.5*units[short]+2 {
			t.Errorf("%d events missed cost %.1f read units on a thread of %d events and %.1f on one of 1000", missed, units[long], events, units[short])
		}
	}
	const most = 10_000 // events that are replayed; who missed more is given what was said
	missed, before := min(chat.Seq(events), most)-1, g.reads()
	got := b.open(t, long.name).resume(t, long.threads[0], chat.Cursor{Epoch: last[long].Epoch, Seq: last[long].Head - missed})
	units := g.reads() - before
	t.Logf("%d events missed: %.1f read units", got, units)
	if got != missed || units > float64(missed)/20 {
		t.Errorf("%d events missed, %d were sent, for %.1f read units", missed, got, units)
	}
	if events > most {
		got := b.open(t, long.name).resume(t, long.threads[0], chat.Cursor{Epoch: last[long].Epoch, Seq: 1})
		if got != -1 {
			t.Errorf("of %d events missed %d were sent, want a snapshot", events-1, got)
		}
	}
}

// fill gives a person a thread with one run of so many events.
func (g *stage) fill(p *person, events int) {
	g.Helper()
	db := store.NewClient(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(g.Endpoints().DynamoDB),
		Credentials: g.Endpoints().Operator()})
	mine, err := store.New(db, store.Config{Name: g.Endpoints().Table, Limits: chat.DefaultLimits()}).For(chattest.User(g.T, p.name))
	if err != nil {
		g.Fatal(err)
	}
	const run = "r"
	asked := []agui.Message{{ID: "m", Role: agui.RoleUser, Content: "a long story"}}
	_, err = mine.Admit(g.ctx, store.Admission{Run: run, Thread: p.threads[0], Messages: asked, Title: "long"})
	if err != nil {
		g.Fatal(err)
	}
	held, err := mine.Claim(g.ctx, run)
	if err != nil {
		g.Fatal(err)
	}
	batch := []agui.Event{{Type: agui.RunStarted, ThreadID: p.threads[0], RunID: run, Input: &agui.RunInput{ThreadID: p.threads[0], RunID: run, Messages: asked}},
		{Type: agui.TextMessageStart, MessageID: "a", Role: agui.RoleAssistant}}
	for n := len(batch); n < events-2; n++ {
		if batch = append(batch, agui.Event{Type: agui.TextMessageContent, MessageID: "a", Delta: "x"}); len(batch) == 100 {
			if _, err = held.Append(g.ctx, batch); err != nil {
				g.Fatal(err)
			}
			batch = nil
		}
		if n%10_000 == 0 {
			err = held.Renew(g.ctx)
		}
	}
	batch = append(batch, agui.Event{Type: agui.TextMessageEnd, MessageID: "a"})
	if len(batch) > 0 {
		_, err2 := held.Append(g.ctx, batch)
		err = errors.Join(err, err2)
	}
	_, _, err2 := held.End(g.ctx, []agui.Event{{Type: agui.RunFinished, ThreadID: p.threads[0], RunID: run, Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}}})
	if err = errors.Join(err, err2); err != nil {
		g.Fatal(err)
	}
}

// reads are the read units of the function that answers clients.
func (g *stage) reads() float64 {
	for _, u := range g.DynamoDB().Usage() {
		if u.Caller == "MessageFunction" {
			return u.ReadUnits
		}
	}
	return 0
}

// resume says hello with a cursor and counts the events that it is sent, which must follow it without a gap; -1: a
// snapshot takes their place.
func (p *plug) resume(t *testing.T, thread chat.ThreadID, c chat.Cursor) (got chat.Seq) {
	t.Helper()
	hello, err := wire.EncodeClient(&wire.Hello{N: 1, ThreadID: thread, Cursor: &c})
	if err != nil {
		t.Fatal(err)
	}
	p.SetReadLimit(1 << 20)
	p.say(t, 1, string(hello))
	head, joiner := chat.Seq(-1), wire.Joiner{}
	for head < 0 || c.Seq+got < head {
		ctx, cancel := context.WithTimeout(p.b.ctx, time.Minute)
		_, m, err := p.Read(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		frame, _, err := decode(&joiner, m)
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *wire.Ready:
			if head = f.Head; !f.Recovered {
				return -1
			}
		case *wire.Events:
			if f.Seq > c.Seq+got+1 {
				t.Errorf("event %d follows %d", f.Seq, c.Seq+got)
			}
			got = max(got, f.Seq+chat.Seq(len(f.Events))-1-c.Seq)
		}
	}
	return got
}

// oddNames are user ids with each character that means something somewhere below, those that would be one if such
// characters were lost, and two that are too long for a key and differ only at their end.
func oddNames() []string {
	long := strings.Repeat("x", 299)
	return []string{"a|b", "a#b", "a*b", "a/b", "a%b", "a b", "a😀b", "a=7Cb", "a%7Cb", "ab", "a_b", "U#ab", "../ab", long + "1", long + "2"}
}

// Users with every odd character in their ids, and with ids of 300 characters, talk at once on threads of one and the
// same id: each is alone, in the thread and among the notes, and finds all of it again.
func TestFault40OddUserIDs(t *testing.T) {
	state := t.TempDir()
	g := newStage(t, stack.Config{State: state})
	forge := newForger(t, &bench{T: t, ctx: g.ctx, state: state, stack: g.Stack}, "alice")
	var everybody []*person
	for _, name := range oddNames() {
		everybody = append(everybody, &person{name: name, secret: newPerson("").secret})
	}
	token := func(p *person) string { // tokens are the test's own: the local issuer gives none to such a user
		return forge.signed(jwt.SigningMethodES256, forge.key, jwt.MapClaims{"sub": p.name, "username": nil})
	}
	thread := chat.ThreadID(chat.NewID(time.Now()))
	visit := func(p *person) *socket {
		s, err := openWith(g.ctx, g.Endpoints(), p, thread, func() string { return token(p) })
		if err != nil {
			t.Fatalf("%.20s: %v", p.name, err)
		}
		t.Cleanup(s.Close)
		g.await(s, "a window", idle)
		return s
	}
	windows := map[*person]*socket{}
	for _, p := range everybody {
		windows[p] = visit(p)
		g.send(windows[p], "/say this is "+p.secret+"\n/call notes_save {\"text\":\""+p.secret+"\"}\n/say kept")
	}
	for _, p := range everybody {
		g.said(windows[p], "kept")
	}
	for _, p := range everybody {
		again := visit(p)
		st := g.await(again, "the thread again", func(st client.State) bool { return says(st, agui.RoleAssistant, p.secret) })
		if n := len(st.Messages); n != len(windows[p].State().Messages) || asked(st, "") != 1 {
			t.Errorf("%.20s finds %d messages: %+v", p.name, n, st.Messages)
		}
		again.asks(t, g.ctx, "my notes", "1 (") // their number begins at one for each
		for _, w := range []*socket{windows[p], again} {
			w.read(t, everybody)
		}
	}
}
