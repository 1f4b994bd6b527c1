package audit_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// A flood comes from floodSockets sockets, sends floodRate frames a second on each, and lasts for floodTime. After a
// refused handshake a socket waits for floodPause. A flood of handshakes without this pause is not what the frame limit is
// about: each costs two function calls and reads one item, and on this machine its sender shares two processors with
// everybody else.
const (
	floodSockets = 4
	floodRate    = 1000
	floodTime    = 8 * time.Second
	floodPause   = 50 * time.Millisecond
)

// limitedFrames is the limit of a deployment that nobody gives another one.
func limitedFrames() map[string]string {
	return map[string]string{"FrameBurst": strconv.Itoa(chat.DefaultLimits().FrameBurst)}
}

// One user sends thousands of frames a second, and opens a new socket for each that is closed. Another user's pings are
// all answered, in the median within twice the time of before. UNLIMITED=1 shows what happens without the limit.
// It compares two times, so it needs a machine that does nothing else.
func TestFlood_AnotherUsersPings(t *testing.T) {
	if os.Getenv("CARREL_FLOOD") == "" {
		t.Skip("CARREL_FLOOD=1 runs it")
	}
	parameters := limitedFrames()
	if os.Getenv("UNLIMITED") != "" {
		parameters = nil
	}
	s := startWith(t, stack.Config{Parameters: parameters})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b := &bench{T: t, ctx: ctx, stack: s}
	url := s.Endpoints().WebSocket
	victim, err := dialParty(ctx, url, "vera", b.token(t, "vera", "3600"))
	if err != nil {
		t.Fatal(err)
	}
	pings(t, ctx, victim, 2*time.Second) // everything is warm
	before := pings(t, ctx, victim, floodTime/2)

	f := &frameFlood{url: url, token: b.token(t, "mallory", "3600")}
	flooding, stop := context.WithTimeout(ctx, floodTime+5*time.Second)
	defer stop()
	var all sync.WaitGroup
	for range floodSockets {
		all.Go(func() { f.run(flooding) })
	}
	during := pings(t, ctx, victim, floodTime)
	stop()
	all.Wait()
	t.Attr("figure", fmt.Sprintf("%d frames sent, %d sockets closed, %d handshakes refused: the other user's median ping takes %v before and %v meanwhile",
		f.sent.Load(), f.closed.Load(), f.refused.Load(), before, during))
	t.Logf("%d frames sent, %d sockets closed, %d handshakes refused; median ping %v before, %v meanwhile",
		f.sent.Load(), f.closed.Load(), f.refused.Load(), before, during)
	if parameters == nil {
		return
	}
	if f.closed.Load() == 0 || f.refused.Load() == 0 {
		t.Errorf("%d sockets of the flood were closed, and %d of its handshakes refused", f.closed.Load(), f.refused.Load())
	}
	if during > 2*before {
		t.Errorf("the other user's median ping takes %v, and %v before the flood", during, before)
	}
}

// pings asks one by one for a while and returns the median time to the answer. Each has an answer, and no call fails.
func pings(t *testing.T, ctx context.Context, p *party, during time.Duration) time.Duration {
	t.Helper()
	var took []time.Duration
	pace := time.NewTicker(25 * time.Millisecond) // 40 a second would be over the limit: each sixth tick sends
	defer pace.Stop()
	for begun, n := time.Now(), 0; time.Since(begun) < during; n++ {
		<-pace.C
		if n%6 != 0 {
			continue
		}
		at := time.Now()
		if a, err := p.ask(ctx, []byte(`{"type":"ping"}`)); err != nil || a.Type != "pong" {
			t.Errorf("a ping of another user, %v after the first, is answered with %s, %v", time.Since(begun), a.raw, err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// frameFlood is one user's frames from several sockets.
type frameFlood struct {
	url, token            string
	sent, closed, refused atomic.Int64
}

// run sends without a pause, and opens a new socket when one is closed, until ctx ends.
func (f *frameFlood) run(ctx context.Context) {
	pause := time.NewTicker(floodPause)
	defer pause.Stop()
	for ctx.Err() == nil {
		p, err := dialParty(ctx, f.url, "mallory", f.token)
		if err != nil {
			f.refused.Add(1)
			<-pause.C
			continue
		}
		f.use(ctx, p.conn)
	}
}

func (f *frameFlood) use(ctx context.Context, conn *websocket.Conn) {
	defer func() { _ = conn.CloseNow() }() // it may be closed already
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for open := true; open; <-pace.C {
		for range floodRate / 100 {
			if open = conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)) == nil; !open {
				break
			}
			f.sent.Add(1)
		}
	}
	_ = conn.CloseNow() // ends the reader
	<-ended
	if ctx.Err() == nil {
		f.closed.Add(1)
	}
}

// A user who floods loses all sockets and opens no other one. Another user is not affected.
func TestFlood_IsEnded(t *testing.T) {
	s := startWith(t, stack.Config{Parameters: limitedFrames()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b := &bench{T: t, ctx: ctx, stack: s}
	open := func(name string) *party {
		p, err := dialParty(ctx, s.Endpoints().WebSocket, name, b.token(t, name, "3600"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	victim, mallory, second := open("vera"), open("mallory"), open("mallory")
	const atOnce = 8
	sent := 0
	for over := false; !over; {
		for range atOnce {
			if err := mallory.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
				over = true // it was closed
				break
			}
			sent++
		}
		for range atOnce {
			raw, err := mallory.hear(ctx)
			if over = over || err != nil || strings.Contains(string(raw), "rate_limited"); over {
				break
			}
		}
	}
	for raw, err := second.hear(ctx); err == nil; raw, err = second.hear(ctx) {
		if !strings.Contains(string(raw), `"rate_limited"`) || !strings.Contains(string(raw), `"retryAfterMs"`) {
			t.Errorf("the other window of the user is sent %s", raw)
		}
	}
	if _, err := dialParty(ctx, s.Endpoints().WebSocket, "mallory", b.token(t, "mallory", "3600")); err == nil {
		t.Error("a user who floods opens a socket")
	}
	if a, err := victim.ask(ctx, []byte(`{"type":"ping"}`)); err != nil || a.Type != "pong" {
		t.Errorf("another user's ping is answered with %s, %v", a.raw, err)
	}
	t.Attr("figure", fmt.Sprintf("ended after %d frames", sent))
}

// A person with ten windows reloads all of them twice at once, and queues twenty runs. No frame of theirs is shed.
func TestFlood_HeavyUserIsNone(t *testing.T) {
	s := startWith(t, stack.Config{Parameters: limitedFrames()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var windows []*client.Client
	for range 3 {
		for _, c := range windows {
			c.Close()
		}
		windows = windows[:0]
		for range 10 {
			c, err := client.Start(ctx, client.Config{URL: s.Endpoints().WebSocket,
				Token: func(ctx context.Context) (string, error) { return signIn(ctx, s.Endpoints().Token, "alice") }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			windows = append(windows, c)
		}
		for _, c := range windows {
			comesTo(t, ctx, c, func(st client.State) bool { return st.Status == client.Ready })
			if _, err := c.Threads(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 20 {
		if _, err := windows[n%10].Send("/say hello"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range windows {
		comesTo(t, ctx, c, idle)
	}
	log, err := os.ReadFile(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	if shed := strings.Count(string(log), `"FramesShed":`); shed != 0 {
		t.Errorf("%d frames of a person's were shed", shed)
	}
}

// comesTo waits for a state of a window.
func comesTo(t *testing.T, ctx context.Context, c *client.Client, wanted func(client.State) bool) {
	t.Helper()
	for pace := time.NewTicker(20 * time.Millisecond); !wanted(c.State()); {
		select {
		case <-pace.C:
		case <-ctx.Done():
			t.Fatalf("the window stays %+v", c.State())
		}
	}
}
