package limits_test

import (
	"carrel/infra/testkit"
	"net/url"

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
// refused handshake a socket waits for floodPause. A flood of handshakes without this pause is not what the frame limit
// is about: each costs two function calls and reads one item, and on this machine its sender shares two processors with
// everybody else.
const (
	floodSockets = 4
	floodRate    = 1000
	floodTime    = 8 * time.Second
	floodPause   = 50 * time.Millisecond
)

// limitedFrames returns the parameters for the default limit of a deployment, which the kit lifts.
func limitedFrames() map[string]string {
	return map[string]string{"FrameBurst": strconv.Itoa(chat.DefaultLimits().FrameBurst)}
}

// One user sends thousands of frames a second, and opens a new socket for each that is closed. Another user's pings are
// all answered, in the median within twice the time of before. UNLIMITED=1 shows what happens without the limit.
// It compares two times, so it needs a machine that does nothing else.
func TestFlood_OtherUsersPings(t *testing.T) {
	if os.Getenv("CARREL_FLOOD") == "" {
		t.Skip("this compares two times, so it needs an idle machine: CARREL_FLOOD=1 runs it")
	}
	parameters := limitedFrames()
	if os.Getenv("UNLIMITED") != "" {
		parameters = nil
	}
	s := kit.Start(t, stack.Config{Parameters: parameters})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	e := s.Endpoints()
	victim, _, err := testkit.DialRaw(ctx, e, "vera", testkit.Token(t, ctx, s.Endpoints(), "vera", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pings(t, ctx, victim, 2*time.Second) // warm up
	before := pings(t, ctx, victim, floodTime/2)

	f := &frameFlood{endpoints: e, token: testkit.Token(t, ctx, s.Endpoints(), "mallory", time.Hour)}
	flooding, stop := context.WithTimeout(ctx, floodTime+5*time.Second)
	defer stop()
	var all sync.WaitGroup
	for range floodSockets {
		all.Go(func() { f.run(flooding) })
	}
	during := pings(t, ctx, victim, floodTime)
	stop()
	all.Wait()
	t.Attr("figure",
		fmt.Sprintf("%d frames sent, %d sockets closed, %d handshakes refused: the other user's median ping takes %v "+
			"before and %v during the flood",
			f.sent.Load(), f.closed.Load(), f.refused.Load(), before, during))
	t.Logf("%d frames sent, %d sockets closed, %d handshakes refused; median ping %v before, %v during the flood",
		f.sent.Load(), f.closed.Load(), f.refused.Load(), before, during)
	if parameters == nil {
		return
	}
	if f.closed.Load() == 0 || f.refused.Load() == 0 {
		t.Errorf("%d sockets of the flood were closed, and %d of its handshakes refused", f.closed.Load(),
			f.refused.Load())
	}
	if during > 2*before {
		t.Errorf("the other user's median ping takes %v, and %v before the flood", during, before)
	}
}

// pings sends pings one by one for a while and returns the median time to the answer. Each ping must be answered with a
// pong.
func pings(t *testing.T, ctx context.Context, p *testkit.Raw, during time.Duration) time.Duration {
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
		if a, err := p.Request(ctx, []byte(`{"type":"ping"}`)); err != nil || a.Type != "pong" {
			t.Errorf("a ping of another user, %v after the first, is answered with %s, %v", time.Since(begun), a.Raw,
				err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// frameFlood sends one user's frames from several sockets.
type frameFlood struct {
	endpoints             stack.Endpoints
	token                 string
	sent, closed, refused atomic.Int64
}

// run sends without a pause, and opens a new socket when one is closed, until ctx ends.
func (f *frameFlood) run(ctx context.Context) {
	pause := time.NewTicker(floodPause)
	defer pause.Stop()
	for ctx.Err() == nil {
		p, _, err := testkit.DialRaw(ctx, f.endpoints, "mallory", f.token)
		if err != nil {
			f.refused.Add(1)
			<-pause.C
			continue
		}
		f.use(ctx, p.Conn)
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

// A user who floods loses all sockets and cannot open another one. Another user is not affected.
func TestFlood_Ended(t *testing.T) {
	s := kit.Start(t, stack.Config{Parameters: limitedFrames()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	open := func(user string) *testkit.Raw { return testkit.OpenRaw(t, ctx, s.Endpoints(), user) }
	victim, mallory, second := open("vera"), open("mallory"), open("mallory")
	const atOnce = 8
	sent := 0
	for closed := false; !closed; {
		for range atOnce {
			if err := mallory.Conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
				closed = true
				break
			}
			sent++
		}
		for range atOnce {
			raw, err := mallory.Read(ctx)
			if closed = closed || err != nil || strings.Contains(string(raw), "rate_limited"); closed {
				break
			}
		}
	}
	for raw, err := second.Read(ctx); err == nil; raw, err = second.Read(ctx) {
		if !strings.Contains(string(raw), `"rate_limited"`) || !strings.Contains(string(raw), `"retryAfterMs"`) {
			t.Errorf("the other window of the user is sent %s", raw)
		}
	}
	if _, _, err := testkit.DialRaw(ctx, s.Endpoints(), "mallory",
		testkit.Token(t, ctx, s.Endpoints(), "mallory", time.Hour)); err == nil {
		t.Error("a user who floods opens a socket")
	}
	if a, err := victim.Request(ctx, []byte(`{"type":"ping"}`)); err != nil || a.Type != "pong" {
		t.Errorf("another user's ping is answered with %s, %v", a.Raw, err)
	}
	t.Attr("figure", fmt.Sprintf("ended after %d frames", sent))
}

// A user with ten windows reloads all of them twice at once, and queues twenty runs. No frame of this user is shed.
func TestFlood_HeavyUser(t *testing.T) {
	s := kit.Start(t, stack.Config{Parameters: limitedFrames()})
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
				Token: func(ctx context.Context) (string, error) {
					return testkit.SignIn(ctx, s.Endpoints(), url.Values{"user": {"alice"}})
				}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			windows = append(windows, c)
		}
		for _, c := range windows {
			testkit.Eventually(t, ctx, "the window is ready", func() bool { return c.State().Status == client.Ready })
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
		testkit.Eventually(t, ctx, "the window is idle", func() bool { return testkit.Idle(c.State()) })
	}
	if shed := strings.Count(testkit.Log(t, s), `"FramesShed":`); shed != 0 {
		t.Errorf("%d frames of the user were shed", shed)
	}
}
