package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// TestClient_TenHours plays ten hours of runs in simulated time. Tokens are valid for 50 minutes and sockets for two
// hours, so runs continue across a change of sockets. There is an hour without runs, and a time in which the issuer
// gives no tokens and the socket in use expires. The client applies every event once, opens each next socket before it
// closes the last one, and the gateway never has to end a socket.
func TestClient_TenHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &edge{t: t, pipes: make(chan net.Conn), conns: map[*websocket.Conn]*edgeConn{}, tokenOK: true}
		server := &http.Server{Handler: http.HandlerFunc(e.serve)}
		var served sync.WaitGroup
		served.Go(func() {
			if err := server.Serve(e); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		c, err := client.Dial(t.Context(), client.Config{URL: "ws://edge", Thread: "t", Token: e.token,
			Transport: &http.Transport{DialContext: e.dial}})
		if err != nil {
			t.Fatal(err)
		}
		losses := watch(c)
		e.day(t.Context(), c)
		s, err := c.WaitFor(t.Context(), func(s client.State) bool {
			return !s.Lagging &&
				s.Seq == chat.Seq(len(e.log))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := equal(s.Messages, fold(e.log)); err != nil {
			t.Error(err)
		}
		c.Close()
		if lost := <-losses; lost != 1 {
			t.Errorf("the client lost its socket %d times, want 1: while the issuer gave no tokens", lost)
		}
		if e.cut != 0 || e.handovers < 10 || e.most > 2 {
			t.Errorf("the gateway ended %d sockets, want 0; %d opened while another was in use, want 10 or more; "+
				"%d were open at the same time, want at most 2", e.cut, e.handovers, e.most)
		}
		if e.tokens > 600 {
			t.Errorf("the client requested %d tokens, want at most 600", e.tokens)
		}
		close(e.pipes)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
	})
}

// watch counts how often the client lost its socket, until it is closed.
func watch(c *client.Client) <-chan int {
	lost := make(chan int, 1)
	go func() {
		n, before := 0, client.Ready
		for {
			changed := c.Changes()
			s := c.State()
			if s.Ended {
				lost <- n
				return
			}
			if s.Status == client.Lost && before != client.Lost {
				n++
			}
			before = s.Status
			select {
			case <-changed:
			case <-time.After(time.Hour):
			}
		}
	}()
	return lost
}

// day plays ten hours of runs, each of up to 20 minutes.
func (e *edge) day(ctx context.Context, c *client.Client) {
	rnd := rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	for i := 0; time.Since(start) < 10*time.Hour; i++ {
		run, m := chat.RunID(fmt.Sprint("r", i)), fmt.Sprint("m", i)
		e.set(run)
		e.say(ctx, agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: run, Input: &agui.RunInput{}})
		e.say(ctx, agui.Event{Type: agui.TextMessageStart, RunID: run, MessageID: m, Role: agui.RoleAssistant})
		for range rnd.IntN(60) {
			time.Sleep(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
			e.say(ctx, agui.Event{Type: agui.TextMessageContent, RunID: run, MessageID: m, Delta: "x "})
		}
		e.say(ctx, agui.Event{Type: agui.TextMessageEnd, RunID: run, MessageID: m})
		e.set("")
		e.say(ctx, agui.Event{Type: agui.RunFinished, ThreadID: "t", RunID: run,
			Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
		if i == 10 {
			time.Sleep(time.Hour)
		}
		if i == 20 {
			e.issuer(false)
			time.AfterFunc(80*time.Minute, func() { e.issuer(true) })
		}
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Second)
	}
}
