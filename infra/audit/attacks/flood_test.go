package attacks_test

import (
	"carrel/infra/testkit"

	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// atOnce is how many malformed frames a socket sends before it reads the answers.
const atOnce = 4

// The attacker floods the stack with malformed and oversized messages from several sockets at once. Every malformed
// message is refused, an oversized message closes the sender's socket, and another user's conversation is complete in
// the end.
func TestAttack_Flood(t *testing.T) {
	t.Attr("row", "C5: floods beside a conversation")
	s := newAttack(t)
	seed := testkit.Seed(t)
	vera := testkit.NewUser("vera-beside-the-flood", 0)
	thread := testkit.NewThread()
	target.accounts[chattest.User(t, vera.Name).Key()] = true // her items change, and are checked here
	w := testkit.Open(t, s.ctx, s.Endpoints(), vera, thread)
	other := testkit.Open(t, s.ctx, s.Endpoints(), vera, thread)
	if _,
		err := w.Send("/say begun\n/pace 60\n/say one two three four five six seven eight nine ten eleven " +
		"twelve\n/say end-of-first " + vera.Secret); err != nil {
		t.Fatal(err)
	}
	other.Wait(t, s.ctx, "her run begins", func(st client.State) bool {
		return testkit.Says(st, agui.RoleAssistant,
			"begun")
	})
	var floods []*testkit.Raw
	for i := range 4 {
		floods = append(floods, s.attacker(fmt.Sprintf("mallory-floods-%d", i%2)))
	}
	sent, closed := 0, 0
	inParallel(floods, func(p *testkit.Raw) {
		n := s.malformed(p, mathrand.New(mathrand.NewPCG(seed, uint64(slices.Index(floods, p)))), scale(80))
		s.mu.Lock()
		sent += n
		s.mu.Unlock()
	})
	for i := range scale(3) {
		closed += s.oversized(fmt.Sprintf("mallory-floods-%d", i%2))
	}
	for _, p := range floods {
		s.request(p, []byte(`{"type":"ping"}`)) // a socket that sent no oversized message is still open
	}
	if _, err := other.Send("/say end-of-second " + vera.Secret); err != nil {
		t.Fatal(err)
	}
	checkComplete(t, s, vera, w, other)
	t.Attr("figure", fmt.Sprintf("%d malformed frames, %d oversized messages: the conversation beside them is complete",
		sent, closed))
	s.verify()
}

// checkComplete waits for both runs in all windows. Every event must have been sent, in order, and each run must have
// ended in success.
func checkComplete(t *testing.T, s *attack, u *testkit.User, windows ...*testkit.Device) {
	t.Helper()
	for _, w := range windows {
		w.Wait(t, s.ctx, "shows both answers", func(st client.State) bool {
			return testkit.Idle(st) && testkit.Says(st, agui.RoleAssistant, "end-of-first "+u.Secret) &&
				testkit.Says(st, agui.RoleAssistant, "end-of-second "+u.Secret)
		})
		got := w.Received(t, []*testkit.User{u})
		events, _, err := got.Stream(w.State().Seq)
		if err != nil {
			t.Error(err)
		}
		if runs, err := testkit.SuccessfulRuns(u.Name, events); err != nil || len(runs) != 2 {
			t.Errorf("a window was sent %d runs, want 2: %v", len(runs), err)
		}
	}
}

// malformed sends malformed frames, a few at a time. Each must be refused.
func (s *attack) malformed(p *testkit.Raw, dice *mathrand.Rand, n int) (sent int) {
	for ; sent < n; sent += atOnce {
		for range atOnce {
			s.countTry()
			if err := p.Send(s.ctx, garbled(dice)); err != nil {
				s.Errorf("%s cannot send: %v", p.User, err)
				return sent
			}
		}
		for range atOnce {
			if a, err := p.ReadAnswer(s.ctx); err != nil || a.Type != "error" || a.Code != "bad_frame" &&
				a.Code != "too_large" {
				s.Errorf("%s is answered with %s, %v", p.User, a.Raw, err)
				return sent
			}
		}
	}
	return sent
}

// garbled returns a malformed frame.
func garbled(dice *mathrand.Rand) []byte {
	frame := []byte(`{"type":"history","threadId":"t","limit":10}`)
	switch dice.IntN(6) {
	case 0: // cut off
		return frame[:dice.IntN(len(frame)-1)+1]
	case 1: // a character that JSON does not allow there
		at := dice.IntN(len(frame))
		return append(append(bytes.Clone(frame[:at]), "\x01"...), frame[at:]...)
	case 2: // deep
		return []byte(strings.Repeat(`{"type":`, dice.IntN(3000)+1))
	case 3: // long
		return fmt.Appendf(nil, `{"type":"history","threadId":"%s"}`, strings.Repeat("x", 200+dice.IntN(20_000)))
	case 4: // many fields
		var b bytes.Buffer
		for i := range dice.IntN(1000) + 1 {
			fmt.Fprintf(&b, `"f%d":0,`, i)
		}
		return fmt.Appendf(nil, `{%s"type":"ping"}`, b.Bytes())
	}
	return fmt.Appendf(nil, `{"type":%q}`, rand.Text())
}

// oversized opens a socket and sends one message over the limit, in one frame. It returns 1 if that closed the socket.
func (s *attack) oversized(name string) int {
	s.Helper()
	p := s.attacker(name)
	s.countTry()
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	if err := p.Conn.Write(ctx, websocket.MessageText, bytes.Repeat([]byte("x"), wire.MaxFrame+1)); err != nil {
		s.Errorf("send the oversized message: %v", err)
	}
	if _, err := p.Read(ctx); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		s.Errorf("a message of %d bytes is answered with %v", wire.MaxFrame+1, err)
		return 0
	}
	return 1
}
