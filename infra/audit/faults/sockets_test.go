package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"
	"context"
	"slices"

	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"

	"carrel/shared/client"
	"carrel/shared/wire"
)

// A thousand clients lose their sockets at one moment, and for a minute no connect succeeds. The clients spread their
// attempts. The schedule is the real clients'; the clock and the service belong to the test.
func TestFault25_ReconnectStorm(t *testing.T) {
	t.Parallel()
	const clients, down = 1000, time.Minute
	begin := time.Unix(1_700_000_000, 0)
	random := rand.New(rand.NewPCG(testkit.Seed(t), 0))
	tenths := map[time.Duration]int{} // attempts, by tenth of a second
	for range clients {
		v := client.NewView(random.Float64)
		v.Opened(begin)
		v.Receive(begin, serverFrame(t, &wire.Ready{N: 1, ThreadID: "t"}))
		v.Actions()
		v.Lost(begin)
		for at := begin; ; {
			w := v.Actions()
			if !w.Connect {
				t.Fatal("a client has stopped trying")
			}
			at = at.Add(w.After)
			tenths[at.Sub(begin).Truncate(100*time.Millisecond)]++
			if at.Sub(begin) > down {
				break
			}
			v.Failed(at)
		}
	}
	total, most := 0, 0
	for at, n := range tenths {
		if total += n; at >= 5*time.Second { // the pauses are long then
			most = max(most, n)
		}
	}
	t.Logf("%d attempts of %d clients in %v; at most %d in a tenth of a second after the first five seconds", total,
		clients, down, most)
	if most > clients/20 {
		t.Errorf("%d of %d clients try within one tenth of a second", most, clients)
	}
	if total > clients*20 {
		t.Errorf("%d attempts are too many in %v", total, down)
	}
}

// serverFrame encodes a frame that fits into one message.
func serverFrame(t *testing.T, f wire.ServerFrame) []byte {
	t.Helper()
	messages, err := wire.Encode(f, "part")
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	return messages[0]
}

// An answer has pieces that are far longer than a message of API Gateway. No message is longer than the limit, and
// every window, also a later one, shows each byte.
func TestFault26_OutboundFrameOver32KB(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	first := g.window()
	g.Send(first, "/stream 3 0 60000\n/say the end")
	shown := g.WaitForAnswer(first, "the end")
	later := g.window()
	g.checkWindows(1, first, later)
	longest := 0
	for _, w := range []*testkit.Device{first, later} {
		for _, m := range w.Messages() {
			longest = max(longest, len(m))
		}
	}
	if longest > wire.MaxFrame {
		t.Errorf("a message of %d bytes was sent: %d is the most", longest, wire.MaxFrame)
	}
	parts := slices.ContainsFunc(first.Messages(), func(m []byte) bool { return isFrame(m, wire.TypePart) })
	if !parts {
		t.Error("nothing was sent in parts: this proves nothing")
	}
	size := 0
	for _, m := range shown.Messages {
		if m.Role == agui.RoleAssistant {
			size += len(m.Content)
		}
	}
	if size < 3*60_000 {
		t.Errorf("the window shows %d bytes of an answer of over %d", size, 3*60_000)
	}
}

// A text that is too long is refused before it is sent, with an error that says so, and the window remains usable. A
// client without this check loses its socket with 1009, and nothing that was accepted before is lost.
func TestFault27_InboundMessageOver32KB(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	window := g.window()
	sent := g.recordInbound(nil)
	if _, err := window.Send(strings.Repeat("x", 33<<10)); err == nil ||
		!strings.Contains(err.Error(), "send at most") {
		t.Errorf("send 33 KB: %v; want an error that states the limit", err)
	}
	if n := sent.count(window.Connection(t), "run"); n != 0 || window.State().Status != client.Ready {
		t.Errorf("%d frames were sent, and the window is %s", n, window.State().Status)
	}
	raw := testkit.OpenRaw(t, g.Ctx, g.Endpoints(), g.alice.Name)
	raw.MustSend(t, g.Ctx,
		fmt.Sprintf(`{"type":"run","n":1,"runId":"before","threadId":%q,"messages":[{"id":"m","role":"user",`+
			`"content":"/stream 20 40\n/say it was accepted"}]}`, g.alice.Threads[0]))
	for raw.MustRead(t, g.Ctx).Type != "accepted" { // events may be sent before
	}
	raw.MustSend(t, g.Ctx, `{"type":"ping","requestId":"`+strings.Repeat("x", 33<<10)+`"}`)
	var err error
	for err == nil {
		_, err = raw.Read(g.Ctx)
	}
	if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("the socket ends with %v, want 1009", err)
	}
	g.WaitForAnswer(window, "it was accepted")
	g.checkWindows(1, window, g.window())
}

// A socket reaches its maximum age in the middle of a run: the next socket is open before the old one closes, and the
// window shows every event once. The two hours are scaled: the token ends a minute and a half after the connect, and a
// client opens its next socket a minute before that.
func TestFault28_TwoHourRoll(t *testing.T) {
	campaign.Only(t, "it takes longer than a minute")
	g := newFaultEnvFor(t, stack.Config{}, 150*time.Second)
	overlaps := make(chan bool, 8)
	var before []string // the sockets that were open at the last connect
	var mu sync.Mutex
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "ConnectFunction" && r.Operation == "TransactWriteItems" {
			now := g.Gateway().Connections()
			mu.Lock()
			defer mu.Unlock()
			if before != nil {
				overlaps <- len(now) > 0
			}
			before = append([]string{}, now...)
		}
		return proxy.Fine, nil
	})
	window, err := testkit.Dial(g.Ctx, g.Endpoints(), g.alice, g.alice.Threads[0],
		func(context.Context) (string, error) {
			return testkit.Token(t, g.Ctx, g.Endpoints(), g.alice.Name, 92*time.Second), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	defer window.Close()
	g.WaitFor(window, "is ready", func(st client.State) bool { return st.Status == client.Ready })
	g.Send(window, "/stream 450 10\n/say the end") // 45 s
	select {
	case overlap := <-overlaps:
		if !overlap {
			t.Error("the old socket was closed before the next one was open")
		}
	case <-g.Ctx.Done():
		t.Fatal("the window never opened its next socket")
	}
	if st := window.State(); st.Active == "" {
		t.Errorf("the run had ended before the socket did: this proves nothing: %+v", st)
	}
	g.WaitForAnswer(window, "the end")
	g.checkWindows(1, window)
}

// A window in which nothing happens sends something at least every ten minutes, or API Gateway would close its socket.
// If the socket is closed all the same, the window reconnects and misses nothing. The first test is the real client's
// own schedule over a day. In the second the ten minutes are a second.
func TestFault29_TenMinutesIdle(t *testing.T) {
	t.Run("schedule", func(t *testing.T) {
		const idleLimit = 10 * time.Minute
		begin := time.Unix(1_700_000_000, 0)
		v := client.NewView(rand.Float64)
		v.Opened(begin)
		v.Receive(begin, serverFrame(t, &wire.Ready{N: 1, ThreadID: "t",
			ReconnectInMs: (48 * time.Hour).Milliseconds()}))
		v.Actions()
		last := begin
		for now := begin; now.Sub(begin) < 24*time.Hour; {
			at, due := v.Next()
			if !due {
				t.Fatal("no action is ever due")
			}
			now = at
			v.Tick(now)
			w := v.Actions()
			if w.Connect || w.Close {
				t.Fatalf("the client left the socket after %v", now.Sub(begin))
			}
			if len(w.Frames) == 0 {
				continue
			}
			if now.Sub(last) >= idleLimit {
				t.Fatalf("nothing was sent for %v", now.Sub(last))
			}
			last = now
			v.Receive(now, serverFrame(t, &wire.Pong{ThreadID: "t"}))
		}
	})
	t.Run("closed by the gateway", func(t *testing.T) {
		g := newFaultEnv(t, stack.Config{Idle: time.Second})
		window := g.window()
		first := window.Connection(t)
		g.WaitFor(window, "is ready on another connection", func(st client.State) bool {
			return st.Status == client.Ready && window.Connection(t) != first
		})
		other := g.window()
		g.Send(other, "/stream 10 10\n/say shown everywhere")
		g.WaitForAnswer(window, "shown everywhere")
		g.checkWindows(1, window)
	})
}
