package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// atOnce is how many malformed frames a socket has under way.
const atOnce = 4

// A flood of malformed and oversized messages, each from several sockets at once: every malformed one is refused, an
// oversized one costs its sender the socket, and a conversation that goes on meanwhile is whole in the end.
func TestTheAttackerFloods(t *testing.T) {
	t.Attr("row", "C5: floods beside a conversation")
	s := besiege(t)
	seed := uint64(time.Now().UnixNano())
	if told, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = told
	}
	t.Logf("SEED=%d does it again", seed)
	vera := &person{name: "vera-who-talks-on", secret: "secret-" + rand.Text()}
	thread := chat.ThreadID(chat.NewID(time.Now()))
	arena.attackers[chattest.User(t, vera.name).Key()] = true // hers changes, and is looked at by itself
	w := mustOpen(t, s.ctx, s.Endpoints(), vera, thread)
	other := mustOpen(t, s.ctx, s.Endpoints(), vera, thread)
	if _, err := w.Send("/say begun\n/pace 60\n/say one two three four five six seven eight nine ten eleven twelve\n/say end-of-first " + vera.secret); err != nil {
		t.Fatal(err)
	}
	wait(t, s.ctx, other, "her run begins", func(st client.State) bool { return says(st, agui.RoleAssistant, "begun") })
	var floods []*party
	for i := range 4 {
		floods = append(floods, s.attacker(fmt.Sprintf("mallory-floods-%d", i%2)))
	}
	sent, closed := 0, 0
	besides(floods, func(p *party) {
		n := s.malformed(p, mathrand.New(mathrand.NewPCG(seed, uint64(slices.Index(floods, p)))), size(80))
		s.mu.Lock()
		sent += n
		s.mu.Unlock()
	})
	for i := range size(3) {
		closed += s.oversized(fmt.Sprintf("mallory-floods-%d", i%2))
	}
	for _, p := range floods {
		s.ask(p, []byte(`{"type":"ping"}`)) // who did not send too much at once is still there
	}
	if _, err := other.Send("/say end-of-second " + vera.secret); err != nil {
		t.Fatal(err)
	}
	whole(t, s, vera, w, other)
	t.Attr("figure", fmt.Sprintf("%d malformed frames, %d oversized messages: the conversation beside them is whole", sent, closed))
	s.judge()
}

// whole waits for both runs in both windows: every event of them came, in order and once, and each run ended.
func whole(t *testing.T, s *siege, who *person, windows ...*socket) {
	t.Helper()
	for _, w := range windows {
		wait(t, s.ctx, w, "both answers", func(st client.State) bool {
			return idle(st) && says(st, agui.RoleAssistant, "end-of-first "+who.secret) && says(st, agui.RoleAssistant, "end-of-second "+who.secret)
		})
		got := w.read(t, []*person{who})
		events, _, err := got.stream(w.State().Seq)
		if err != nil {
			t.Error(err)
		}
		if found, err := runs(who.name, events); err != nil || len(found) != 2 {
			t.Errorf("a window was sent %d runs, want 2: %v", len(found), err)
		}
	}
}

// malformed sends frames that are none, a few at a time, and wants each to be refused.
func (s *siege) malformed(p *party, dice *mathrand.Rand, n int) (sent int) {
	for ; sent < n; sent += atOnce {
		for range atOnce {
			s.attempt()
			if err := p.say(s.ctx, garbled(dice)); err != nil {
				s.Errorf("%s is cut off: %v", p.name, err)
				return sent
			}
		}
		for range atOnce {
			if a, err := p.reply(s.ctx); err != nil || a.Type != "error" || a.Code != "bad_frame" && a.Code != "too_large" {
				s.Errorf("%s is answered with %s, %v", p.name, a.raw, err)
				return sent
			}
		}
	}
	return sent
}

// garbled is something like a frame that is none.
func garbled(dice *mathrand.Rand) []byte {
	frame := []byte(`{"type":"history","threadId":"t","limit":10}`)
	switch dice.IntN(6) {
	case 0: // cut off
		return frame[:dice.IntN(len(frame)-1)+1]
	case 1: // a character that JSON has not there
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

// oversized opens a socket and sends one message that is longer than any may be, in one frame; it returns 1 if the socket was
// closed for it.
func (s *siege) oversized(name string) int {
	s.Helper()
	p := s.attacker(name)
	s.attempt()
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, bytes.Repeat([]byte("x"), wire.MaxFrame+1)); err != nil {
		s.Errorf("the message cannot be sent: %v", err)
	}
	if _, err := p.hear(ctx); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		s.Errorf("a message of %d bytes is answered with %v", wire.MaxFrame+1, err)
		return 0
	}
	return 1
}
