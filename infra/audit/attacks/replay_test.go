package attacks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"carrel/infra/testkit"
	"carrel/shared/chat/chattest"
	"carrel/shared/wire"
)

// The attacker replays all frames that the victim ever sent, byte by byte and socket by socket. They make threads of
// the attacker and have no other effect. On a socket of the attacker whose token has expired every valid frame is
// refused and has no effect.
func TestAttack_ReplayedFrames(t *testing.T) {
	t.Attr("row", "C5: replayed frames, also after the token has expired")
	s := newAttack(t)
	replayed := 0
	for _, recorded := range s.victim.sockets {
		p := s.attacker("mallory-replays")
		seen := map[string]bool{}
		for _, frame := range recorded.Sent {
			if seen[string(frame)] { // the tests repeat these
				continue
			}
			seen[string(frame)] = true
			if a := s.request(p, frame); a.Type == "accepted" &&
				(a.RunID == s.victim.running.run || a.RunID == s.victim.queued) {
				s.request(p, fmt.Appendf(nil, `{"type":"cancel","runId":%q}`, a.RunID))
			}
			replayed++
		}
		// The replayed calculation has the same result, which is not a leak.
		for _, secret := range s.victim.secrets {
			if !strings.HasPrefix(secret, "secret-") {
				p.Sent = append(p.Sent, []byte(secret))
			}
		}
	}
	s.checkExpired(s.join(target.expiring))
	t.Attr("figure", fmt.Sprintf("%d recorded frames of the victim replayed", replayed))
	s.verify()
}

// checkExpired waits until the token of a socket has expired, and sends every frame twice.
func (s *attack) checkExpired(p *testkit.Raw) {
	s.Helper()
	own := s.own(s.attacker(p.User))
	types, frames := encodedFrames(s.T, own)
	testkit.Eventually(s.T, s.ctx, "the token has expired", func() bool {
		return s.request(p, []byte(`{"type":"ping"}`)).Code == "token_expired"
	})
	ownItems := func() map[string]string {
		items := testkit.Items(s.T, s.ctx, s.Endpoints())
		maps.DeleteFunc(items, func(key, _ string) bool {
			return !strings.HasPrefix(key,
				"U#"+chattest.User(s.T, p.User).Key())
		})
		return items
	}
	before := ownItems()
	for _, kind := range types {
		for range 2 {
			if a := s.request(p, frames[kind]); a.Type != "error" || a.Code != "token_expired" {
				s.Errorf("%s is answered with %s", kind, a.Raw)
			}
		}
	}
	if after := ownItems(); !maps.Equal(after, before) {
		s.Errorf("after the expiry the account's items were\n%v\nand are\n%v", before, after)
	}
}

// Frames of the server that a client sends, and the names of API Gateway's routes, are refused like any unknown type. A
// binary message closes the sender's socket.
func TestAttack_GatewayRoutes(t *testing.T) {
	t.Attr("row", "C5: frames named like API Gateway's routes, and frames of the server")
	s := newAttack(t)
	p := s.attacker("mallory-routes")
	for _, route := range []string{"$connect", "$disconnect", "$default", "connect", "disconnect", "sweep", "turn"} {
		frame, err := json.Marshal(map[string]string{"type": route, "connectionId": s.victim.ids["connection"][0],
			"action": route})
		if err != nil {
			t.Fatal(err)
		}
		if a := s.request(p, frame); a.Code != "bad_frame" {
			t.Errorf("%s is answered with %s", frame, a.Raw)
		}
	}
	for _, kind := range []wire.Type{wire.TypeReady, wire.TypeEvents, wire.TypeSnapshot, wire.TypeThread, wire.TypeDone,
		wire.TypeEnded, wire.TypePart} {
		frame := fmt.Appendf(nil, `{"type":%q,"threadId":%q,"connectionId":%q}`, kind, s.victim.running.thread,
			s.victim.ids["connection"][0])
		if a := s.request(p, frame); a.Code != "bad_frame" || a.Field != "type" {
			t.Errorf("%s, a frame of the server, is answered with %s", frame, a.Raw)
		}
	}
	s.countTry()
	if err := p.Conn.Write(s.ctx, websocket.MessageBinary, bytes.Repeat([]byte{0}, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(s.ctx); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Errorf("a binary message is answered with %v", err)
	}
	s.verify()
}
