package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"context"
	"errors"
	"fmt"
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

// The clocks of the functions' processes differ. A few seconds, more than on Lambda, have no effect. With minutes,
// sweep takes live workers for dead ones, so a run may be tried again or fail. Even then windows show the truth, each
// run ends once, and no thread or list shows an active run afterwards.
func TestFault38_ClockSkew(t *testing.T) {
	for name, skew := range map[string]time.Duration{"seconds": 4 * time.Second, "minutes": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) { checkSkew(t, skew) })
	}
}

// checkSkew runs the test with clocks that differ by this much.
func checkSkew(t *testing.T, skew time.Duration) {
	g := newFaultEnv(t, stack.Config{Minute: 2 * time.Second})
	var mu sync.Mutex
	processes := map[string]int{}
	g.Host().SetFaults(lambda.Faults{Env: func(function, _ string) map[string]string {
		off := skew
		mu.Lock()
		defer mu.Unlock()
		if processes[function]++; function == g.Function("TurnFunction") && processes[function]%2 == 1 {
			off = -skew // the first process of each user
		}
		return map[string]string{"CLOCK_SKEW": off.String()}
	}})
	var ends atomic.Int32 // tries to write the end of a run
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if requestHas(r, "TransactWriteItems", "RUN_FINISHED") {
			ends.Add(1)
		}
		return proxy.Fine, nil
	})
	windows := []*testkit.Device{g.window(), g.window()}
	second := testkit.Open(t, g.Ctx, g.Endpoints(), g.alice, testkit.NewThread())
	const runs = 3
	for n := range runs {
		for _, w := range []*testkit.Device{windows[0], second} { // two at once, in two processes
			g.Send(w, fmt.Sprintf("/say begun\n/stream 20 20\n/say end of %d", n))
		}
	}
	done := func(st client.State) bool { return testkit.Idle(st) && testkit.CountQuestions(st, "") == runs }
	for _, w := range append(windows, second) {
		st := g.WaitFor(w, "shows all runs", done)
		g.WaitFor(w, "shows a list without active runs", func(st client.State) bool {
			for _, row := range st.Threads {
				if row.Status != chat.ThreadIdle {
					return false
				}
			}
			return len(st.Threads) == 2
		})
		for n := range runs {
			if skew < time.Minute && !testkit.Says(st, agui.RoleAssistant, fmt.Sprintf("end of %d", n)) {
				t.Errorf("run %d did not end well: %+v", n, st.Messages)
			}
		}
	}
	g.checkWindows(runs, windows...)
	g.checkWindows(runs, second)
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d processes of turn, %d ends of runs were written in %d tries", processes[g.Function("TurnFunction")],
		2*runs,
		ends.Load())
	if n := ends.Load(); skew < time.Minute && n > 4*runs {
		t.Errorf("%d runs ended in %d tries: processes with a late clock had to wait", 2*runs, n)
	}
}

// A thread of 100,000 events resumes from any cursor. The cost depends on the number of
// missed events: as many reads as on a thread of 1,000 events from which as many were missed. The test writes the
// thread through its lease, without a model.
func TestFault39_Thread100000Events(t *testing.T) {
	campaign.Only(t, "it writes a thread of very many events")
	const events = 100_000
	g := newFaultEnv(t, stack.Config{})
	long, short := testkit.NewUser("long", 1), testkit.NewUser("short", 1)
	last := map[*testkit.User]*wire.Ready{}
	for p, n := range map[*testkit.User]int{long: events, short: 1000} {
		g.fill(p, n)
		w := testkit.Open(t, g.Ctx, g.Endpoints(), p, p.Threads[0])
		if st := g.WaitFor(w, "is idle", testkit.Idle); st.Seq != chat.Seq(n) {
			t.Errorf("a new window shows event %d of %d", st.Seq, n)
		}
		last[p] = w.Ready(t)
	}
	for _, missed := range []chat.Seq{0, 1, 100, 900} {
		units := map[*testkit.User]float64{}
		for p, r := range last {
			before := g.readUnits()
			got := resume(g, p.Name, p.Threads[0], chat.Cursor{Epoch: r.Epoch, Seq: r.Head - missed})
			units[p] = g.readUnits() - before
			if got != missed {
				t.Errorf("%s missed %d events and was sent %d", p.Name, missed, got)
			}
		}
		t.Logf("%d events missed: %.1f read units on the long thread, %.1f on the short", missed, units[long],
			units[short])
		if units[long] > 1.5*units[short]+2 {
			t.Errorf("%d events missed cost %.1f read units on a thread of %d events and %.1f on one of 1000", missed,
				units[long], events, units[short])
		}
	}
	const most = 10_000 // events that are replayed; beyond that, a snapshot is sent
	missed, before := min(chat.Seq(events), most)-1, g.readUnits()
	got := resume(g, long.Name, long.Threads[0], chat.Cursor{Epoch: last[long].Epoch, Seq: last[long].Head - missed})
	units := g.readUnits() - before
	t.Logf("%d events missed: %.1f read units", got, units)
	if got != missed || units > float64(missed)/20 {
		t.Errorf("%d events missed, %d were sent, for %.1f read units", missed, got, units)
	}
	if events > most {
		got := resume(g, long.Name, long.Threads[0], chat.Cursor{Epoch: last[long].Epoch, Seq: 1})
		if got != -1 {
			t.Errorf("of %d events missed %d were sent, want a snapshot", events-1, got)
		}
	}
}

// fill gives a user a thread with one run of so many events.
func (g *faultEnv) fill(p *testkit.User, events int) {
	g.Helper()
	db := store.NewClient(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(g.Endpoints().DynamoDB),
		Credentials: g.Endpoints().Operator()})
	own, err := store.New(db, store.Config{Name: g.Endpoints().Table,
		Limits: chat.DefaultLimits()}).For(chattest.User(g.T, p.Name))
	if err != nil {
		g.Fatal(err)
	}
	const run = "r"
	messages := []agui.Message{{ID: "m", Role: agui.RoleUser, Content: "a long story"}}
	_, err = own.Admit(g.Ctx, store.Admission{Run: run, Thread: p.Threads[0], Messages: messages, Title: "long"})
	if err != nil {
		g.Fatal(err)
	}
	held, err := own.Claim(g.Ctx, run)
	if err != nil {
		g.Fatal(err)
	}
	batch := []agui.Event{{Type: agui.RunStarted, ThreadID: p.Threads[0], RunID: run,
		Input: &agui.RunInput{ThreadID: p.Threads[0], RunID: run, Messages: messages}},
		{Type: agui.TextMessageStart, MessageID: "a", Role: agui.RoleAssistant}}
	for n := len(batch); n < events-2; n++ {
		if batch = append(batch, agui.Event{Type: agui.TextMessageContent, MessageID: "a",
			Delta: "x"}); len(batch) == 100 {
			if _, err = held.Append(g.Ctx, batch); err != nil {
				g.Fatal(err)
			}
			batch = nil
		}
		if n%10_000 == 0 {
			err = held.Renew(g.Ctx)
		}
	}
	batch = append(batch, agui.Event{Type: agui.TextMessageEnd, MessageID: "a"})
	if len(batch) > 0 {
		_, err2 := held.Append(g.Ctx, batch)
		err = errors.Join(err, err2)
	}
	_, err2 := held.End(g.Ctx, []agui.Event{{Type: agui.RunFinished, ThreadID: p.Threads[0], RunID: run,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}}})
	if err = errors.Join(err, err2); err != nil {
		g.Fatal(err)
	}
}

// readUnits returns the read units of the function that answers clients.
func (g *faultEnv) readUnits() float64 {
	for _, u := range g.DynamoDB().Usage() {
		if u.Caller == "MessageFunction" {
			return u.ReadUnits
		}
	}
	return 0
}

// resume sends hello with a cursor on a new socket and counts the events that it is sent, which must follow the cursor
// without a gap; -1: a snapshot takes their place.
func resume(g *faultEnv, user string, thread chat.ThreadID, c chat.Cursor) (events chat.Seq) {
	g.Helper()
	hello, err := wire.EncodeClient(&wire.Hello{N: 1, ThreadID: thread, Cursor: &c})
	if err != nil {
		g.Fatal(err)
	}
	r := testkit.OpenRaw(g.T, g.Ctx, g.Endpoints(), user)
	r.MustSend(g.T, g.Ctx, string(hello))
	for head := chat.Seq(-1); head < 0 || c.Seq+events < head; {
		frame, err := r.Read(g.Ctx)
		if err != nil {
			g.Fatal(err)
		}
		f, err := wire.DecodeServer(frame)
		if err != nil {
			g.Fatal(err)
		}
		switch f := f.(type) {
		case *wire.Ready:
			if head = f.Head; !f.Recovered {
				return -1
			}
		case *wire.Events:
			if f.Seq > c.Seq+events+1 {
				g.Errorf("event %d follows %d", f.Seq, c.Seq+events)
			}
			events = max(events, f.Seq+chat.Seq(len(f.Events))-1-c.Seq)
		}
	}
	return events
}

// oddNames returns user ids with each character that has a meaning in a key or a name, ids that would result if such
// characters were lost, and two that are too long for a key and differ only at the end.
func oddNames() []string {
	long := strings.Repeat("x", 299)
	return []string{"a|b", "a#b", "a*b", "a/b", "a%b", "a b", "a😀b", "a=7Cb", "a%7Cb", "ab", "a_b", "U#ab", "../ab",
		long + "1", long + "2"}
}

// Users with every odd character in their ids, and with ids of 300 characters, have runs at once on threads of the same
// id. Each user reaches only own messages and notes, and finds all of them again.
func TestFault40_OddUserIDs(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	forger := testkit.NewForger(t, g.Stack, "alice")
	var users []*testkit.User
	for _, name := range oddNames() {
		users = append(users, testkit.NewUser(name, 0))
	}
	token := func(p *testkit.User) string { // the test forges tokens: the local issuer refuses such names
		return forger.Sign(jwt.SigningMethodES256, forger.Key, jwt.MapClaims{"sub": p.Name, "username": nil})
	}
	thread := testkit.NewThread()
	open := func(p *testkit.User) *testkit.Device {
		s, err := testkit.Dial(g.Ctx, g.Endpoints(), p, thread,
			func(context.Context) (string, error) { return token(p), nil })
		if err != nil {
			t.Fatalf("%.20s: %v", p.Name, err)
		}
		t.Cleanup(s.Close)
		g.WaitFor(s, "is idle", testkit.Idle)
		return s
	}
	windows := map[*testkit.User]*testkit.Device{}
	for _, p := range users {
		windows[p] = open(p)
		g.Send(windows[p], "/say this is "+p.Secret+"\n/call notes_save {\"text\":\""+p.Secret+"\"}\n/say kept")
	}
	for _, p := range users {
		g.WaitForAnswer(windows[p], "kept")
	}
	for _, p := range users {
		again := open(p)
		st := g.WaitFor(again, "shows the thread again", func(st client.State) bool {
			return testkit.Says(st,
				agui.RoleAssistant, p.Secret)
		})
		if n := len(st.Messages); n != len(windows[p].State().Messages) || testkit.CountQuestions(st, "") != 1 {
			t.Errorf("%.20s finds %d messages: %+v", p.Name, n, st.Messages)
		}
		again.Ask(t, g.Ctx, "my notes", "1 (") // each user's numbers begin at one
		for _, w := range []*testkit.Device{windows[p], again} {
			w.Received(t, users)
		}
	}
}
